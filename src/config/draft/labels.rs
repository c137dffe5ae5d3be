//! Labels from the members of a key, with decoders that their names and types suggest.

use super::words::{bare, is_filler, leaf, name};
use crate::btf::{BitField, Layout, Member, MemberKind, ScalarKind};
use crate::elf::{MapInfo, ObjectInfo};
use crate::spec::Bits;

/// Labels that one metric gets at most; other members are summed over.
const MAX_LABELS: usize = 32;

/// Members that are looked at: each is compared with all others.
pub(super) const MAX_MEMBERS: usize = 1024;

/// Other members of a union that are mentioned with the one that is shown.
const MAX_HINTS: usize = 8;

/// A label, or what could stand in its place.
pub(super) struct Label {
    /// The item of a YAML list.
    pub(super) text: String,
    /// Why it is only a comment: another label shows the same bytes, or there are too many.
    pub(super) aside: Option<String>,
}

impl Label {
    fn new(text: String) -> Self {
        Self { text, aside: None }
    }
}

/// The labels of a map.
pub(super) fn of(object: &ObjectInfo, map: &MapInfo, slot: Option<&str>) -> Vec<Label> {
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
        return if slot.is_some() { Vec::new() } else { vec![Label::new(unnamed(map, only))] };
    }
    let mut taken: Vec<String> = vec!["le".to_owned()];
    let mut labels = Vec::new();
    let shown = shown(&layout)
        .filter(|member| Some(member.path.as_str()) != slot && reaches(object, &layout, member));
    let (mut count, mut left) = (0, 0);
    for member in shown {
        count += 1;
        if count > MAX_LABELS + MAX_HINTS {
            left += 1;
            continue;
        }
        let mut others = alternatives(&layout, member);
        others.retain(|other| reaches(object, &layout, other));
        let label = free_name(member, &mut taken);
        let text = item(&label, Some(&member.path), member, &others);
        if count > MAX_LABELS {
            let aside = Some(format!("more than {MAX_LABELS} labels: keys that differ only here are summed"));
            labels.push(Label { text, aside });
            continue;
        }
        labels.push(Label::new(text));
        for other in others.into_iter().filter(|other| says_more(member, other)).take(MAX_HINTS) {
            let text = item(&free_name(other, &mut taken), Some(&other.path), other, &[]);
            labels.push(Label { text, aside: Some(format!("the same bytes as {label}")) });
        }
    }
    if left > 0 {
        labels.push(Label { text: String::new(), aside: Some(format!("and {left} more members")) });
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

/// A name that no other label has.
fn free_name(member: &Member, taken: &mut Vec<String>) -> String {
    let mut label = name(without_address_parts(&member.path));
    while taken.contains(&label) {
        label.push_str("_2");
    }
    taken.push(label.clone());
    label
}

/// Whether a member can be read by its path: names in an object may be no identifiers, or be there twice,
/// and bit-fields wider than any number.
pub(super) fn reaches(object: &ObjectInfo, layout: &Layout, member: &Member) -> bool {
    let bits = |bits: BitField| Bits { shift: bits.shift, width: bits.width, signed: false };
    member.bits.is_none_or(|found| bits(found).fits(member.size))
        && object.btf.member(layout.type_id, &member.path).is_ok_and(|found| found == *member)
}

/// Members that show something: of those that overlap in a union the largest.
pub(super) fn shown(layout: &Layout) -> impl DoubleEndedIterator<Item = &Member> {
    let members = layout.members.get(..MAX_MEMBERS).unwrap_or(&layout.members);
    members.iter().enumerate().filter_map(move |(index, member)| {
        let hidden = members.iter().enumerate().any(|(other_index, other)| {
            let (own, its) = (width(member), width(other));
            overlap(member, other) && (its > own || (its == own && other_index < index))
        });
        (is_value(member) && !hidden).then_some(member)
    })
}

/// Other members of the same bytes, none of which is shown.
pub(super) fn alternatives<'l>(layout: &'l Layout, shown: &Member) -> Vec<&'l Member> {
    let is_other = |other: &&Member| other.path != shown.path && is_value(other) && overlap(shown, other);
    layout.members.iter().filter(is_other).collect()
}

fn is_value(member: &Member) -> bool {
    member.size > 0 && member.kind != MemberKind::Aggregate && !is_filler(&member.path)
}

/// Whether a member is worth a comment beside the one that is shown: the same address once more is not.
fn says_more(shown: &Member, other: &Member) -> bool {
    let is_array = matches!(other.kind, MemberKind::Array { .. });
    !(is_array && other.size == shown.size && is_address(address_word(&shown.path)))
}

fn overlap(one: &Member, other: &Member) -> bool {
    let (one, other) = (bits(one), bits(other));
    one.0 < other.1 && other.0 < one.1
}

fn width(member: &Member) -> usize {
    let (start, end) = bits(member);
    end - start
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
fn by_size(map: &MapInfo) -> Vec<Label> {
    if is_single(map) {
        return Vec::new();
    }
    let decoder = if matches!(map.key_size, 1 | 2 | 4 | 8) { "uint" } else { "hex" };
    vec![Label::new(format!("{{name: key, size: {}, decoders: [{decoder}]}}", map.key_size))]
}

/// The label of a key that is no struct.
fn unnamed(map: &MapInfo, only: &Member) -> String {
    let by = map.name.rsplit_once("_by_").map(|(_, by)| by);
    let typed = only.type_name.strip_prefix("enum ").or_else(|| only.type_name.strip_suffix("_t"));
    let known = |name: &&str| decoder(name, only, &[]).is_some() || matches!(*name, "pid" | "tid" | "tgid");
    let label = match (by, typed) {
        (Some(by), _) if by != "cpu" => by,
        (_, Some(typed)) if matches!(only.kind, MemberKind::Enum { .. }) || known(&typed) => typed,
        _ if map.kind.is_array() => "index",
        _ => "key",
    };
    item(&name(label), None, only, &[])
}

fn item(label: &str, path: Option<&str>, member: &Member, others: &[&Member]) -> String {
    let field = path.filter(|path| *path != label).map(|path| format!(", field: {}", bare(path)));
    let word = path.map_or(label, address_word);
    let decoders = decoder(word, member, others).map(|found| format!(", decoders: [{found}]"));
    if field.is_none() && decoders.is_none() {
        return bare(label);
    }
    format!("{{name: {}{}{}}}", bare(label), field.unwrap_or_default(), decoders.unwrap_or_default())
}

/// A path without what `struct in_addr` and `struct in6_addr` are made of.
fn without_address_parts(path: &str) -> &str {
    const PARTS: [&str; 6] =
        ["in6_u.u6_addr8", "__in6_u.__u6_addr8", "in6_u.u6_addr16", "in6_u.u6_addr32", "s6_addr", "s_addr"];
    if PARTS.contains(&path) {
        return "addr";
    }
    let rest = PARTS.iter().find_map(|part| path.strip_suffix(part)?.strip_suffix('.'));
    rest.unwrap_or(path)
}

/// What a member is called, for the sake of its decoder.
fn address_word(path: &str) -> &str {
    let stem = without_address_parts(path);
    if stem == path { leaf(path) } else { "addr" }
}

/// Whether a member of this name is an address of the internet, given that its type can be one.
fn is_address(word: &str) -> bool {
    let stem = ["v4", "v6", "4", "6"].iter().find_map(|version| word.strip_suffix(version)).unwrap_or(word);
    let stem = stem.trim_end_matches('_');
    stem.ends_with("addr") || stem.ends_with("_ip") || matches!(stem, "" | "ip" | "sip" | "dip" | "address")
}

/// The families of sockets that people meet, by `AF_...`.
const FAMILIES: &str =
    "{name: static_map, static_map: {1: unix, 2: ipv4, 10: ipv6, 16: netlink}, allow_unknown: true}";

/// What makes more of a member than its type alone; `others` are what it shares its bytes with.
fn decoder(word: &str, member: &Member, others: &[&Member]) -> Option<String> {
    let element_bytes = match member.kind {
        MemberKind::Array { count, .. } => member.size.checked_div(count as usize),
        _ => None,
    };
    let number = is_integer(member);
    // A bit-field comes as a number of its own, not as the bytes that it lies in.
    let lone = member.bits.is_none();
    let whole = number && lone;
    let address = is_address(word);
    let bytes = lone && (element_bytes.is_some() || matches!(member.kind, MemberKind::Scalar(_)));
    let or_v4 =
        || others.iter().any(|other| other.offset == member.offset && other.size == 4 && is_integer(other));
    let found = match word {
        "cgroup_id" | "cgroup" | "cgid" | "cgrp_id" if whole && member.size == 8 => "cgroup",
        "ifindex" if whole && member.size == 4 => "ifname",
        _ if word.ends_with("_ifindex") && whole && member.size == 4 => "ifname",
        "dev" | "rdev" | "device" if whole && member.size == 4 => "majorminor",
        "errno" | "err" if number => "errno",
        "syscall" | "syscall_nr" | "syscall_id" if number => "syscall",
        "proto" | "protocol" if number && !member.type_name.contains("be16") => "proto",
        "uid" if number => "uid",
        "signal" | "sig" | "signo" if number => "signal",
        _ if word.ends_with("port") && member.type_name.ends_with("be16") && whole => "port",
        _ if address && whole && member.size == 4 => "inet_ip",
        // What is one number of 16 bytes holds addresses of both families, those of IPv4 in its first 4.
        _ if address
            && bytes
            && member.size == 16
            && (or_v4() || matches!(member.kind, MemberKind::Scalar(_))) =>
        {
            "inet_union"
        }
        _ if address && bytes && matches!(member.size, 4 | 16) => "inet_ip",
        "family" | "sa_family" | "af" if number => FAMILIES,
        _ if word.ends_with("mac") && lone && member.size == 6 && element_bytes == Some(1) => "mac",
        _ => match member.kind {
            MemberKind::Enum { .. } if lone && !matches!(member.size, 1 | 2 | 4 | 8) => "hex",
            MemberKind::Enum { .. } => {
                let named = member.type_name.strip_prefix("enum ").filter(|name| bare(name) == **name)?;
                return Some(format!("{{name: enum, type: {named}}}"));
            }
            MemberKind::Array { .. } if element_bytes != Some(1) => "hex",
            MemberKind::Scalar(ScalarKind::Float) => "hex",
            MemberKind::Scalar(_) if lone && member.size > 8 => "hex",
            _ => return None,
        },
    };
    Some(found.to_owned())
}
