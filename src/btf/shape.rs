//! What a type's bytes mean, as text that can be compared between two objects.

use std::fmt::Write;

use super::resolve::MAX_DEPTH;
use super::{Btf, Kind, TypeId};

/// Longer descriptions are given up: no key or value of a map comes near.
const MAX_TEXT: usize = 256 << 10;

impl Btf {
    /// Two types with equal shapes hold the same members at the same places, whatever their
    /// typedefs and tags are called. None when a type is too deep, too large or broken: it is like no other.
    #[must_use]
    pub fn shape(&self, id: TypeId) -> Option<String> {
        let mut text = String::new();
        self.describe(id, &mut text, MAX_DEPTH)?;
        Some(text)
    }

    fn describe(&self, id: TypeId, text: &mut String, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1).filter(|_| text.len() < MAX_TEXT)?;
        let found = self.resolve(id).ok()?;
        match found.kind() {
            Kind::Array => {
                write!(text, "[{}]", found.element_count()).ok()?;
                self.describe(found.target(), text, depth)
            }
            Kind::Struct | Kind::Union => {
                let tag = if found.kind() == Kind::Union { "union" } else { "struct" };
                write!(text, "{tag} {}{{", found.stated_size()?).ok()?;
                for field in found.fields() {
                    let width = field.bit_width.unwrap_or(0);
                    write!(text, "{}@{}:{width} ", field.name, field.bit_offset).ok()?;
                    self.describe(field.type_id, text, depth)?;
                    text.push(';');
                }
                text.push('}');
                Some(())
            }
            // What a pointer points to is no part of the bytes.
            Kind::Ptr => {
                text.push_str("pointer");
                Some(())
            }
            _ => {
                let (size, kind) = self.scalar(id)?;
                write!(text, "{kind:?}{size}").ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    /// 1 and 2 integers, 3 a typedef of 2, then structs of two members.
    #[test]
    fn names_of_types_do_not_matter_and_those_of_members_do() {
        let mut sample = Sample::new(false);
        sample.integer("unsigned int", 4, 0).integer("of another compiler", 4, 0).record("u32", 8, 0, 2, &[]);
        let (a, b, c) = (sample.name("a"), sample.name("b"), sample.name("c"));
        sample.record("one", 4, 2, 8, &[a, 1, 0, b, 1, 32]);
        sample.record("two", 4, 2, 8, &[a, 3, 0, b, 1, 32]);
        sample.record("renamed", 4, 2, 8, &[a, 1, 0, c, 1, 32]);
        sample.record("moved", 4, 2, 8, &[b, 1, 0, a, 1, 32]);
        sample.record("larger", 4, 2, 12, &[a, 1, 0, b, 1, 32]);
        let btf = Btf::parse(&sample.bytes()).unwrap();
        let shape = |id| btf.shape(TypeId(id)).unwrap();
        assert_eq!(shape(4), "struct 8{a@0:0 Unsigned4;b@32:0 Unsigned4;}");
        assert_eq!(shape(4), shape(5));
        for other in 6..=8 {
            assert_ne!(shape(4), shape(other));
        }
    }

    #[test]
    fn what_is_endless_has_no_shape() {
        let mut sample = Sample::new(false);
        let again = sample.name("again");
        sample.record("circle", 4, 1, 4, &[again, 1, 0]);
        // Each struct holds the one before twice: 2^30 members.
        sample.record("seed", 4, 0, 0, &[]);
        for id in 2..32 {
            sample.record("twice", 4, 2, 0, &[again, id, 0, again, id, 0]);
        }
        let btf = Btf::parse(&sample.bytes()).unwrap();
        assert_eq!(btf.shape(TypeId(1)), None);
        assert_eq!(btf.shape(TypeId(32)), None);
        assert_eq!(btf.shape(TypeId(2)).as_deref(), Some("struct 0{}"));
    }
}
