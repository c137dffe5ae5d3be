//! Decoders that follow from a member's type, so that nobody has to write them.

use crate::btf::{Member, MemberKind, ScalarKind};

/// The decoder that a type asks for; none for types whose bytes can mean anything.
pub(super) fn decoder(member: &Member) -> Option<&'static str> {
    let is_number = matches!(member.size, 1 | 2 | 4 | 8) || member.bits.is_some();
    match member.kind {
        MemberKind::Text => Some("string"),
        MemberKind::Array { count, .. } if member.size == count as usize => Some("hex"),
        MemberKind::Scalar(ScalarKind::Bool) => Some("bool"),
        MemberKind::Scalar(ScalarKind::Float) => None,
        MemberKind::Scalar(ScalarKind::Signed) | MemberKind::Enum { signed: true } if is_number => {
            Some("int")
        }
        MemberKind::Scalar(ScalarKind::Unsigned | ScalarKind::Char)
        | MemberKind::Enum { signed: false }
        | MemberKind::Pointer
            if is_number =>
        {
            Some("uint")
        }
        MemberKind::Scalar(_) | MemberKind::Enum { .. } | MemberKind::Pointer => None,
        MemberKind::Array { .. } | MemberKind::Aggregate => None,
    }
}

/// The decoder that goes before a chain: the type's own, unless the chain's first one reads the
/// member's bytes itself.
pub(super) fn before(default: Option<&'static str>, first: &str) -> Option<&'static str> {
    let default = default?;
    let reads_bytes = match first {
        "uint" | "int" | "bool" | "hex" | "string" | "inet_ip" | "inet_union" | "mac" | "port" | "ksym"
        | "kstack" | "dns_name" => true,
        // A name in wire format is text that ends with its first zero.
        "dname" if matches!(default, "string" | "hex") => return Some("string"),
        // Whether bytes are text or a number is for the decoder to say.
        _ => matches!(default, "hex" | "bool") && !matches!(first, "static_map" | "regexp"),
    };
    (!reads_bytes).then_some(default)
}

/// Whether the names of an enum, instead of its numbers, go before a chain: what begins with
/// anything but `regexp` works on numbers, as errors, signals and the keys of a `static_map` are.
pub(super) fn names_before(first: Option<&str>) -> bool {
    matches!(first, None | Some("regexp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_begins_where_the_type_ends() {
        #[track_caller]
        fn check(default: &'static str, first: &str, expected: bool) {
            assert_eq!(before(Some(default), first).is_some(), expected, "{default} {first}");
        }
        for first in ["cgroup", "errno", "static_map", "regexp", "ifname", "majorminor", "syscall", "uid"] {
            check("uint", first, true);
            check("int", first, true);
        }
        for first in ["uint", "int", "hex", "inet_ip", "ksym", "port", "bool"] {
            check("uint", first, false);
        }
        check("string", "regexp", true);
        check("string", "dname", true);
        check("string", "string", false);
        assert_eq!(before(Some("hex"), "dname"), Some("string"));
        check("hex", "mac", false);
        check("hex", "kstack", false);
        check("hex", "regexp", true);
        check("hex", "cgroup", false);
        check("bool", "static_map", true);
        check("bool", "uid", false);
        assert_eq!(before(None, "errno"), None);
    }
}
