//! Enums by the names that people know them by: their own, or one of their values'.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Btf, Enumerator, Kind, TypeId};

/// The enums of one BTF by name; a base's are not among them.
#[derive(Debug)]
pub struct EnumIndex<B: Borrow<Btf> = Btf> {
    btf: B,
    /// By the enum's name, or a typedef's of it, in the order of the BTF.
    names: HashMap<Box<str>, Vec<TypeId>>,
    /// By an enumerator's name, made when it is first asked for.
    values: OnceLock<HashMap<Box<str>, TypeId>>,
}

impl<B: Borrow<Btf>> EnumIndex<B> {
    /// Walks all types once.
    #[must_use]
    pub fn new(btf: B) -> Self {
        let mut names: HashMap<Box<str>, Vec<TypeId>> = HashMap::new();
        for id in btf.borrow().ids() {
            let Some((name, target)) = named_enum(btf.borrow(), id) else { continue };
            let known = names.entry(name.into()).or_default();
            // `typedef enum state {...} state` is one enum.
            if !known.contains(&target) {
                known.push(target);
            }
        }
        Self { btf, names, values: OnceLock::new() }
    }

    /// Every enum of a name (`state`, `enum state`, or a typedef of one); else the first that has a value of
    /// that name, which is the only name that an enum without one can be called by.
    pub fn find(&self, name: &str) -> Vec<Vec<Enumerator<'_>>> {
        let ids = match self.names.get(name.strip_prefix("enum ").unwrap_or(name).trim()) {
            Some(ids) => ids.clone(),
            None => self.by_value(name).into_iter().collect(),
        };
        ids.into_iter().map(|id| enumerators(self.btf.borrow(), id)).collect()
    }

    /// The names of all enums that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.keys().map(AsRef::as_ref)
    }

    /// The names of all values of all enums.
    pub fn values(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_values().keys().map(AsRef::as_ref)
    }

    fn by_value(&self, name: &str) -> Option<TypeId> {
        self.by_values().get(name).copied()
    }

    fn by_values(&self) -> &HashMap<Box<str>, TypeId> {
        self.values.get_or_init(|| {
            let (btf, mut values) = (self.btf.borrow(), HashMap::new());
            for id in btf.ids().filter(|id| is_enum(btf, *id)) {
                for value in enumerators(btf, id) {
                    values.entry(value.name.into()).or_insert(id);
                }
            }
            values
        })
    }
}

/// The name of an enum that has values, or of a typedef that leads to one.
fn named_enum(btf: &Btf, id: TypeId) -> Option<(&str, TypeId)> {
    let found = btf.type_by_id(id).ok()?;
    let target = match found.kind() {
        Kind::Enum | Kind::Enum64 => id,
        Kind::Typedef => btf.resolve(id).ok().filter(|target| target.kind().is_enum())?.id(),
        _ => return None,
    };
    // A declaration without values says nothing of them.
    let is_empty = btf.type_by_id(target).ok()?.enumerators().len() == 0;
    (!is_empty && !found.name().is_empty()).then(|| (found.name(), target))
}

fn is_enum(btf: &Btf, id: TypeId) -> bool {
    btf.type_by_id(id).is_ok_and(|found| found.kind().is_enum())
}

fn enumerators(btf: &Btf, id: TypeId) -> Vec<Enumerator<'_>> {
    btf.type_by_id(id).map(|found| found.enumerators().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample::Sample;

    /// `kind` 6 is an enum of 32 bits, 19 one of 64, 8 a typedef.
    fn index() -> EnumIndex {
        let mut sample = Sample::new(false);
        let names: Vec<u32> =
            ["ONE", "TWO", "NONE", "BIG", "OTHER"].map(|name| sample.name(name)).into_iter().collect();
        sample.record("state", 6, 0, 4, &[]);
        sample.record("state", 6, 2, 4, &[names[0], 1, names[1], 2]);
        sample.record("", 6, 1 << 31 | 1, 4, &[names[2], u32::MAX]);
        sample.record("wide", 19, 1, 8, &[names[3], 5, 1]);
        sample.record("wide_t", 8, 0, 4, &[]);
        sample.record("state", 6, 1, 4, &[names[4], 9]);
        sample.record("state", 8, 0, 2, &[]);
        sample.integer("int", 4, 1);
        sample.record("number_t", 8, 0, 8, &[]);
        sample.record("circle", 8, 0, 10, &[]);
        EnumIndex::new(Btf::parse(&sample.bytes()).unwrap())
    }

    #[track_caller]
    fn check(name: &str, expected: &[&[(&str, i128)]]) {
        let index = index();
        let found: Vec<Vec<(&str, i128)>> = index
            .find(name)
            .into_iter()
            .map(|values| values.iter().map(|value| (value.name, value.value)).collect())
            .collect();
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn enums_are_found_by_every_name_they_have() {
        check("state", &[&[("ONE", 1), ("TWO", 2)], &[("OTHER", 9)]]);
        check("enum state", &[&[("ONE", 1), ("TWO", 2)], &[("OTHER", 9)]]);
        check("wide", &[&[("BIG", 1 << 32 | 5)]]);
        check("wide_t", &[&[("BIG", 1 << 32 | 5)]]);
        check("NONE", &[&[("NONE", -1)]]);
        check("TWO", &[&[("ONE", 1), ("TWO", 2)]]);
    }

    #[test]
    fn nothing_else_is_an_enum() {
        for name in ["", "enum ", "int", "number_t", "circle", "STATE", "enum ONE"] {
            check(name, &[]);
        }
        let index = index();
        let mut names: Vec<_> = index.names().collect();
        names.sort_unstable();
        assert_eq!(names, ["state", "wide", "wide_t"]);
    }
}
