//! A value of any shape into the bytes of a variable of any type.

use super::scalar;
use crate::btf::{BitField, Btf, BtfError, Layout, Member, MemberKind};
use crate::config::check::Sink;
use crate::config::findings::Spot;
use crate::config::raw::{RawGlobal, RawValue, ValueShape};
use crate::config::suggest;
use crate::elf::{ObjectInfo, Variable};
use crate::problem::{Place, Problem};
use crate::spec::GlobalPatch;

/// Bytes that are written, and who says so.
pub(super) struct Write {
    pub(super) patch: GlobalPatch,
    pub(super) spot: Spot,
}

/// Writes what the config says of a variable or a part of it.
pub(super) fn write(
    object: &ObjectInfo,
    sink: &mut Sink<'_>,
    variable: &Variable,
    path: &str,
    global: &RawGlobal,
    writes: &mut Vec<Write>,
) {
    let btf = &object.btf;
    let mut writer = Writer { object, btf, sink, variable, writes };
    match btf.member(variable.type_id, path) {
        Ok(member) => writer.value(&member, &global.name.value, &global.value),
        Err(error) => writer.no_member(&global.name.spot, &error),
    }
}

struct Writer<'w, 's> {
    object: &'w ObjectInfo,
    btf: &'w Btf,
    sink: &'w mut Sink<'s>,
    variable: &'w Variable,
    writes: &'w mut Vec<Write>,
}

impl Writer<'_, '_> {
    /// A value of a member; the member's offset counts from the variable's beginning.
    fn value(&mut self, member: &Member, name: &str, value: &RawValue) {
        match (&value.shape, member.kind) {
            (ValueShape::Members(members), MemberKind::Aggregate) => self.members(member, name, members),
            (ValueShape::List(items), MemberKind::Array { count, .. }) => {
                self.list(member, count as usize, name, value, items);
            }
            (ValueShape::List(items), MemberKind::Text) => self.list(member, member.size, name, value, items),
            (
                ValueShape::Scalar(found),
                MemberKind::Scalar(_) | MemberKind::Enum { .. } | MemberKind::Text,
            ) => match scalar::bytes(self.btf, member, name, found) {
                Ok((bytes, mask)) => self.push(member.offset, name, value, bytes, mask),
                Err(problem) => self.sink.report(&value.spot, *problem),
            },
            _ => self.wrong_shape(member, name, value),
        }
    }

    /// Members that are not given keep their initial values.
    fn members(&mut self, within: &Member, name: &str, members: &[RawGlobal]) {
        for given in members {
            match self.btf.member(within.type_id, &given.name.value) {
                Ok(member) => {
                    let name = format!("{name}.{}", given.name.value);
                    self.value(&moved(member, within), &name, &given.value);
                }
                Err(error) => self.no_member(&given.name.spot, &error),
            }
        }
    }

    /// A list is the whole array: what it does not reach is zero, as in C.
    fn list(&mut self, array: &Member, count: usize, name: &str, value: &RawValue, items: &[RawValue]) {
        if items.len() > count {
            let message = format!("`{name}` has no room for this list");
            let problem = Problem::error("global-range", Place::default(), message)
                .expected(format!("at most {count} values ({})", type_name(array)))
                .found(items.len().to_string());
            self.sink.report(&value.spot, problem);
            return;
        }
        for (index, item) in items.iter().enumerate() {
            match self.btf.member(array.type_id, &format!("[{index}]")) {
                Ok(element) => self.value(&moved(element, array), &format!("{name}[{index}]"), item),
                Err(error) => return self.no_member(&item.spot, &error),
            }
        }
        let element = array.size.checked_div(count).unwrap_or(0);
        let written = items.len().saturating_mul(element);
        if written < array.size {
            let zeros = vec![0; array.size - written];
            self.push(array.offset + written, name, value, zeros, None);
        }
    }

    fn push(&mut self, offset: usize, name: &str, value: &RawValue, bytes: Vec<u8>, mask: Option<Vec<u8>>) {
        if bytes.is_empty() {
            return;
        }
        // The reader of objects made sure that the variable lies in its section, and that members lie in it.
        let offset = (self.variable.offset as usize).saturating_add(offset);
        let (name, section) = (name.to_owned(), self.variable.section.clone());
        let initial = self.object.section_bytes(&section, offset, bytes.len());
        let patch = GlobalPatch { name, section, offset, bytes, mask, initial };
        self.writes.push(Write { patch, spot: value.spot.clone() });
    }

    fn wrong_shape(&mut self, member: &Member, name: &str, value: &RawValue) {
        let type_name = type_name(member);
        let mut problem =
            Problem::error("global-type", Place::default(), format!("`{name}` has another type"));
        problem = match member.kind {
            MemberKind::Pointer => {
                Problem::error("global-pointer", Place::default(), format!("`{name}` is a pointer"))
                    .expected("a number, a text, or a list or mapping of them")
                    .help("addresses of kernel symbols come by `kaddrs`, into variables of the type u64")
            }
            MemberKind::Aggregate => {
                let example = self.btf.layout(member.type_id).ok().and_then(example);
                problem
                    .expected(format!("a mapping of members of `{type_name}`{}", example.unwrap_or_default()))
            }
            MemberKind::Array { count, .. } => {
                problem.expected(format!("a list of up to {count} values ({type_name})"))
            }
            MemberKind::Text => problem.expected(format!("a text ({type_name})")),
            MemberKind::Scalar(_) | MemberKind::Enum { .. } => {
                problem.expected(format!("one value ({type_name})"))
            }
        };
        self.sink.report(&value.spot, problem.found(value.found.clone()));
    }

    fn no_member(&mut self, spot: &Spot, error: &BtfError) {
        let problem = match error {
            BtfError::NoMember { name, within, known } => {
                let mut problem = Problem::error(
                    "missing-member",
                    Place::default(),
                    format!("`{within}` has no member `{name}`"),
                );
                problem.help = suggest::help("members there are", name, known.iter().map(String::as_str));
                if problem.help.is_none() {
                    problem = problem.expected(suggest::instead(within));
                }
                problem
            }
            other => Problem::error("missing-member", Place::default(), other.to_string())
                .expected("a path such as `settings.limits[2].high`"),
        };
        self.sink.report(spot, problem);
    }
}

/// The first members of a struct, as one could be written.
fn example(layout: Layout) -> Option<String> {
    let first = layout.members.into_iter().find(|member| !member.path.is_empty())?;
    Some(format!(", such as {{{}: ...}}", first.path))
}

/// A member of a member, counted from where the outer one counts.
fn moved(mut inner: Member, outer: &Member) -> Member {
    inner.offset += outer.offset;
    inner
}

/// A type without the qualifiers that every variable to be set has.
pub(super) fn type_name(member: &Member) -> &str {
    let mut name = member.type_name.as_str();
    while let Some(rest) = name.strip_prefix("const ").or_else(|| name.strip_prefix("volatile ")) {
        name = rest;
    }
    name
}

/// A number in the bytes of a member; of a bit-field, also which bits are its own.
pub(super) fn number(size: usize, bits: Option<BitField>, value: i128) -> (Vec<u8>, Option<Vec<u8>>) {
    let Some(BitField { shift, width }) = bits else { return (in_memory(size, value), None) };
    let ones = if width >= 127 { i128::MAX } else { (1 << width) - 1 };
    let bit_count = u32::try_from(size.saturating_mul(8)).unwrap_or(u32::MAX);
    let shift = if cfg!(target_endian = "big") {
        // Bits count from the first one in memory, which is the highest there.
        bit_count.saturating_sub(shift).saturating_sub(width)
    } else {
        shift
    };
    let placed = |bits: i128| bits.checked_shl(shift).unwrap_or(0);
    (in_memory(size, placed(value & ones)), Some(in_memory(size, placed(ones))))
}

/// The lowest bytes of a number in this machine's order.
fn in_memory(size: usize, value: i128) -> Vec<u8> {
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.resize(size, if value < 0 { 0xff } else { 0 });
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: usize, bits: Option<(u32, u32)>, value: i128, bytes: &[u8], mask: Option<&[u8]>) {
        let bits = bits.map(|(shift, width)| BitField { shift, width });
        let (found, found_mask) = number(size, bits, value);
        assert_eq!((found.as_slice(), found_mask.as_deref()), (bytes, mask));
    }

    #[test]
    fn numbers_lie_in_their_bytes_and_bits() {
        check(4, None, 1000, &[0xe8, 3, 0, 0], None);
        check(2, None, -2, &[0xfe, 0xff], None);
        check(8, None, i128::from(u64::MAX), &[0xff; 8], None);
        check(1, Some((3, 2)), 3, &[0b1_1000], Some(&[0b1_1000]));
        check(2, Some((6, 4)), -1, &[0xc0, 3], Some(&[0xc0, 3]));
        check(
            9,
            Some((7, 64)),
            1,
            &[0x80, 0, 0, 0, 0, 0, 0, 0, 0],
            Some(&[0x80, 255, 255, 255, 255, 255, 255, 255, 127]),
        );
    }
}
