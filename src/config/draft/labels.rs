//! Labels from the members of a key, with decoders that their names and types suggest.

use super::words::{bare, is_filler, leaf, name};
use crate::btf::{BitField, Layout, Member, MemberKind, ScalarKind};
use crate::elf::{MapInfo, ObjectInfo};
use crate::spec::Bits;

/// Labels that one metric gets at most; other members are summed over.
const MAX_LABELS: usize = 32;

/// Members that are looked at: each is compared with all others.
const MAX_MEMBERS: usize = 1024;

/// The labels of a map, each as an item of a YAML list.
pub(super) fn of(object: &ObjectInfo, map: &MapInfo, slot: Option<&str>) -> Vec<String> {
    let layout = map.key_type.and_then(|id| object.btf.layout(id).ok());
    let Some(layout) = layout.filter(|layout| layout.size > 0) else { return by_size(map) };
    if is_single(map) {
        return Vec::new();
    }
    if let [only] = layout.members.as_slice()
        && only.path.is_empty()
    {
        // A number of a size that no number has.
        if only.kind == MemberKind::Aggregate {
            return by_size(map);
        }
        return if slot.is_some() { Vec::new() } else { vec![unnamed(map, only)] };
    }
    let mut taken: Vec<String> = vec!["le".to_owned()];
    let mut labels = Vec::new();
    let shown = shown(&layout)
        .filter(|member| Some(member.path.as_str()) != slot && reaches(object, &layout, member));
    for member in shown.take(MAX_LABELS) {
        let mut label = name(&member.path);
        while taken.contains(&label) {
            label.push_str("_2");
        }
        labels.push(item(&label, Some(&member.path), member));
        taken.push(label);
    }
    // Without labels only the entry with the key 0 would be seen.
    if labels.is_empty() && slot.is_none() { by_size(map) } else { labels }
}

/// The member of the key that is a histogram's slot: the last one, if its name says so.
pub(super) fn slot(object: &ObjectInfo, map: &MapInfo) -> Option<String> {
    let layout = object.btf.layout(map.key_type?).ok()?;
    let last = shown(&layout).next_back()?;
    (is_integer(last) && reaches(object, &layout, last) && matches!(leaf(&last.path), "bucket" | "slot"))
        .then(|| last.path.clone())
}

/// Whether the key is one number.
pub(super) fn is_index(object: &ObjectInfo, map: &MapInfo) -> bool {
    let layout = map.key_type.and_then(|id| object.btf.layout(id).ok());
    layout.is_some_and(
        |layout| matches!(layout.members.as_slice(), [only] if only.path.is_empty() && is_integer(only)),
    )
}

pub(super) fn is_integer(member: &Member) -> bool {
    matches!(member.kind, MemberKind::Scalar(ScalarKind::Signed | ScalarKind::Unsigned))
        && (member.bits.is_some() || matches!(member.size, 1 | 2 | 4 | 8))
}

/// Whether a member can be read by its path: names in an object may be no identifiers, or be there twice,
/// and bit-fields wider than any number.
pub(super) fn reaches(object: &ObjectInfo, layout: &Layout, member: &Member) -> bool {
    let bits = |bits: BitField| Bits { shift: bits.shift, width: bits.width, signed: false };
    member.bits.is_none_or(|found| bits(found).fits(member.size))
        && object.btf.member(layout.type_id, &member.path).is_ok_and(|found| found == *member)
}

/// Members that show something: of those that overlap in a union the largest.
fn shown(layout: &Layout) -> impl DoubleEndedIterator<Item = &Member> {
    let members = layout.members.get(..MAX_MEMBERS).unwrap_or(&layout.members);
    members.iter().enumerate().filter_map(move |(index, member)| {
        let hidden = members.iter().enumerate().any(|(other_index, other)| {
            let (own, its) = (bits(member), bits(other));
            let overlap = own.0 < its.1 && its.0 < own.1;
            let (own, its) = (own.1 - own.0, its.1 - its.0);
            overlap && (its > own || (its == own && other_index < index))
        });
        let is_value = member.size > 0 && member.kind != MemberKind::Aggregate;
        (is_value && !hidden && !is_filler(&member.path)).then_some(member)
    })
}

fn bits(member: &Member) -> (usize, usize) {
    let start = member.offset * 8;
    match member.bits {
        Some(bits) => (start + bits.shift as usize, start + (bits.shift + bits.width) as usize),
        None => (start, start + member.size * 8),
    }
}

/// Whether there is one series without labels, that of the key 0.
fn is_single(map: &MapInfo) -> bool {
    map.kind.is_array() && map.max_entries == 1 && map.key_size == 4
}

/// A key without a type: its bytes.
fn by_size(map: &MapInfo) -> Vec<String> {
    if is_single(map) {
        return Vec::new();
    }
    let decoder = if matches!(map.key_size, 1 | 2 | 4 | 8) { "uint" } else { "hex" };
    vec![format!("{{name: key, size: {}, decoders: [{decoder}]}}", map.key_size)]
}

/// The label of a key that is no struct.
fn unnamed(map: &MapInfo, only: &Member) -> String {
    let by = map.name.rsplit_once("_by_").map(|(_, by)| by);
    let typed = only.type_name.strip_prefix("enum ").or_else(|| only.type_name.strip_suffix("_t"));
    let known = |name: &&str| decoder(name, only).is_some() || matches!(*name, "pid" | "tid" | "tgid");
    let label = match (by, typed) {
        (Some(by), _) if by != "cpu" => by,
        (_, Some(typed)) if matches!(only.kind, MemberKind::Enum { .. }) || known(&typed) => typed,
        _ if map.kind.is_array() => "index",
        _ => "key",
    };
    item(&name(label), None, only)
}

fn item(label: &str, path: Option<&str>, member: &Member) -> String {
    let field = path.filter(|path| *path != label).map(|path| format!(", field: {}", bare(path)));
    let decoders = decoder(label_word(label, path), member).map(|found| format!(", decoders: [{found}]"));
    if field.is_none() && decoders.is_none() {
        return bare(label);
    }
    format!("{{name: {}{}{}}}", bare(label), field.unwrap_or_default(), decoders.unwrap_or_default())
}

fn label_word<'a>(label: &'a str, path: Option<&'a str>) -> &'a str {
    path.map_or(label, leaf)
}

/// What makes more of a member than its type alone.
fn decoder(word: &str, member: &Member) -> Option<String> {
    let element_bytes = match member.kind {
        MemberKind::Array { count, .. } => member.size.checked_div(count as usize),
        _ => None,
    };
    let number = is_integer(member);
    let whole = number && member.bits.is_none();
    let address =
        word.ends_with("addr") || matches!(word, "ip" | "src_ip" | "dst_ip" | "sip" | "dip" | "v6" | "ip6");
    let found = match word {
        "cgroup_id" | "cgroup" | "cgid" | "cgrp_id" if whole && member.size == 8 => "cgroup",
        "ifindex" if whole && member.size == 4 => "ifname",
        _ if word.ends_with("_ifindex") && whole && member.size == 4 => "ifname",
        "dev" | "device" if whole && member.size == 4 => "majorminor",
        "errno" | "err" if number => "errno",
        "syscall" | "syscall_nr" | "syscall_id" if number => "syscall",
        "proto" | "protocol" if number && !member.type_name.contains("be16") => "proto",
        "uid" if number => "uid",
        "signal" | "sig" | "signo" if number => "signal",
        _ if word.ends_with("port") && member.type_name.ends_with("be16") && whole => "port",
        _ if address && whole && member.size == 4 => "inet_ip",
        _ if address && element_bytes.is_some() && matches!(member.size, 4 | 16) => "inet_ip",
        _ if word.ends_with("mac") && member.size == 6 && element_bytes == Some(1) => "mac",
        _ => match member.kind {
            MemberKind::Enum { .. } if member.bits.is_none() && !matches!(member.size, 1 | 2 | 4 | 8) => {
                "hex"
            }
            MemberKind::Enum { .. } => {
                let named = member.type_name.strip_prefix("enum ").filter(|name| bare(name) == **name)?;
                return Some(format!("{{name: enum, type: {named}}}"));
            }
            MemberKind::Array { .. } if element_bytes != Some(1) => "hex",
            MemberKind::Scalar(ScalarKind::Float) => "hex",
            MemberKind::Scalar(_) if member.bits.is_none() && member.size > 8 => "hex",
            _ => return None,
        },
    };
    Some(found.to_owned())
}
