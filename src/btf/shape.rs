//! What a type's bytes mean, as text that can be compared between two objects.

use std::fmt::Write;

use super::resolve::MAX_DEPTH;
use super::{Btf, Kind, TypeId};

/// Structs that the kernel knows by their names. A map with one of these keeps, with the entries, callbacks of
/// the programs that it was made for, or objects of their types.
const OF_ONE_OBJECT: &[&str] = &[
    "bpf_timer",
    "bpf_wq",
    "bpf_task_work",
    "bpf_list_head",
    "bpf_list_node",
    "bpf_rb_root",
    "bpf_rb_node",
    "bpf_refcount",
];

/// Tags of pointers to objects that a map owns; others say only in whose memory something is.
const OWNING_TAGS: &[&str] = &["kptr", "kptr_ref", "kptr_untrusted", "percpu_kptr", "uptr"];

/// Structs that the kernel knows by their names, and that are the same for every program.
const OF_THE_KERNEL: &[&str] = &["bpf_spin_lock", "bpf_res_spin_lock"];

/// Longer descriptions are given up: no key or value of a map comes near.
const MAX_TEXT: usize = 256 << 10;

impl Btf {
    /// Two types with equal shapes hold the same members at the same places, whatever their
    /// typedefs and tags are called, and the same names for numbers. None when a type is too deep, too large
    /// or broken, or has members that belong to the programs of one object, such as a timer: it is like no other.
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
                if OF_ONE_OBJECT.contains(&found.name()) {
                    return None;
                }
                let tag = if found.kind() == Kind::Union { "union" } else { "struct" };
                let name = OF_THE_KERNEL.iter().find(|name| **name == found.name()).copied().unwrap_or("");
                write!(text, "{tag} {name}{}{{", found.stated_size()?).ok()?;
                for field in found.fields() {
                    let width = field.bit_width.unwrap_or(0);
                    write!(text, "{}@{}:{width} ", field.name, field.bit_offset).ok()?;
                    self.describe(field.type_id, text, depth)?;
                    text.push(';');
                }
                text.push('}');
                Some(())
            }
            // What a pointer points to is no part of the bytes, unless the map owns it, which a tag says.
            Kind::Ptr => {
                let tag =
                    self.type_by_id(found.target()).ok().filter(|target| target.kind() == Kind::TypeTag);
                text.push_str("pointer");
                tag.is_none_or(|tag| !OWNING_TAGS.contains(&tag.name())).then_some(())
            }
            Kind::Enum | Kind::Enum64 => {
                write!(text, "enum{}{{", found.stated_size()?).ok()?;
                for enumerator in found.enumerators() {
                    write!(text, "{}={} ", enumerator.name, enumerator.value).ok()?;
                }
                text.push('}');
                (text.len() < MAX_TEXT).then_some(())
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
    fn enums_with_other_numbers_are_other_types() {
        let mut sample = Sample::new(false);
        let (a, b) = (sample.name("A"), sample.name("B"));
        sample.record("", 6, 2, 4, &[a, 0, b, 1]);
        sample.record("named", 6, 2, 4, &[a, 0, b, 1]);
        sample.record("", 6, 2, 4, &[a, 1, b, 0]);
        let btf = Btf::parse(&sample.bytes()).unwrap();
        let shape = |id| btf.shape(TypeId(id)).unwrap();
        assert_eq!(shape(1), "enum4{A=0 B=1 }");
        assert_eq!(shape(1), shape(2));
        assert_ne!(shape(1), shape(3));
    }

    /// 1 is an integer, then a struct of it by each name, and one that holds that.
    #[test]
    fn members_that_the_kernel_knows_by_name_are_told_apart() {
        let shape = |name: &str| {
            let mut sample = Sample::new(false);
            let (value, lock) = (sample.name("val"), sample.name("lock"));
            sample.integer("u32", 4, 0).record(name, 4, 1, 4, &[value, 1, 0]);
            sample.record("holder", 4, 1, 4, &[lock, 2, 0]);
            Btf::parse(&sample.bytes()).unwrap().shape(TypeId(3))
        };
        assert_eq!(shape("mine"), shape("yours"));
        assert_ne!(shape("mine"), shape("bpf_spin_lock"));
        assert!(shape("bpf_spin_lock").is_some());
        assert_eq!(shape("bpf_timer"), None);
        assert_eq!(shape("bpf_rb_root"), None);
        // Kind 18 is a tag of what a pointer, kind 2, points to.
        let mut sample = Sample::new(false);
        sample.record("task_struct", 7, 0, 0, &[]).record("kptr", 18, 0, 1, &[]);
        sample.record("", 2, 0, 1, &[]).record("", 2, 0, 2, &[]);
        sample.record("user", 18, 0, 1, &[]).record("", 2, 0, 5, &[]);
        let btf = Btf::parse(&sample.bytes()).unwrap();
        assert_eq!(btf.shape(TypeId(3)).as_deref(), Some("pointer"));
        assert_eq!(btf.shape(TypeId(4)), None);
        assert_eq!(btf.shape(TypeId(6)).as_deref(), Some("pointer"));
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
