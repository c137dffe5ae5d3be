//! What a map is, and in what two maps differ.

use crate::elf::MapKind;

/// What a map is. Of two objects, maps with equal definitions hold the same, so that the one can be handed to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDefinition {
    /// The map's name.
    pub name: String,
    /// The kernel's number of its kind.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Its capacity, as the config sets it.
    pub max_entries: u32,
    /// Flags of its creation.
    pub flags: u32,
    /// What some kinds want beside the flags.
    pub extra: u64,
    /// The NUMA node that it asks for.
    pub numa_node: Option<u32>,
    /// The members of a key and of a value, comparable between objects; empty when it declares no types.
    pub types: [String; 2],
}

/// In what a map that is there differs from the one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is that differs.
    pub what: String,
    /// What is wanted.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Difference {
    fn new(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

impl MapDefinition {
    /// In what another map differs, although it shall be used for this one. Types count where both are known,
    /// and what the kernel rounds or decides by itself does not count.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        if self.kind != other.kind {
            found.push(Difference::new("type", MapKind(self.kind), MapKind(other.kind)));
        }
        let mut compare = |what: &str, expected: u64, there: u64| {
            if expected != there {
                found.push(Difference::new(what, expected, there));
            }
        };
        compare("key_size", self.key_size.into(), other.key_size.into());
        compare("value_size", self.value_size.into(), other.value_size.into());
        if self.kind != other.kind || !self.is_sized_by_others() {
            compare("max_entries", self.max_entries.into(), other.max_entries.into());
        }
        compare("map_flags", self.flags.into(), other.flags.into());
        compare("map_extra", self.extra, other.extra);
        for (side, (wanted, there)) in ["key", "value"].iter().zip(self.types.iter().zip(&other.types)) {
            if !wanted.is_empty() && !there.is_empty() && wanted != there {
                found.extend(members(side, wanted, there));
            }
        }
        found
    }

    /// Whether the kernel or libbpf has a word in the capacity: ring buffers are rounded up to pages, and arrays
    /// of performance events have one entry for each CPU.
    fn is_sized_by_others(&self) -> bool {
        match MapKind(self.kind) {
            MapKind::RINGBUF | MapKind::USER_RINGBUF => true,
            MapKind::PERF_EVENT_ARRAY => self.max_entries == 0,
            _ => false,
        }
    }
}

/// Members of two structs that differ by name, place or type; else the types as a whole.
fn members(side: &str, wanted: &str, there: &str) -> Vec<Difference> {
    let (Some(wanted_members), Some(there_members)) = (split(wanted), split(there)) else {
        return vec![Difference::new(format!("the type of the {side}"), wanted, there)];
    };
    let mut found = Vec::new();
    for (name, description) in &wanted_members {
        let other = there_members.iter().find(|(other, _)| other == name);
        match other {
            Some((_, other)) if other == description => {}
            Some((_, other)) => found.push(Difference::new(
                format!("the member `{name}` of the {side}"),
                place(description),
                place(other),
            )),
            None => {
                let what = format!("the member `{name}` of the {side}");
                found.push(Difference::new(what, place(description), "no such member"));
            }
        }
    }
    for (name, description) in &there_members {
        if !wanted_members.iter().any(|(other, _)| other == name) {
            let what = format!("the member `{name}` of the {side}");
            found.push(Difference::new(what, "no such member", place(description)));
        }
    }
    if found.is_empty() {
        found.push(Difference::new(format!("the type of the {side}"), wanted, there));
    }
    found
}

/// The members of a struct in the text of its shape (see [`crate::btf::Btf::shape`]), each with its place and type.
fn split(shape: &str) -> Option<Vec<(&str, &str)>> {
    let body = shape.strip_prefix("struct ")?.split_once('{')?.1.strip_suffix('}')?;
    let mut members = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => {
                members.push(body.get(start..at)?.split_once('@')?);
                start = at + 1;
            }
            _ => {}
        }
    }
    Some(members)
}

/// A member's place and type in words.
fn place(description: &str) -> String {
    let parts = description.split_once(' ').and_then(|(place, kind)| {
        let (bit, width) = place.split_once(':')?;
        Some((bit.parse::<u64>().ok()?, width, kind))
    });
    match parts {
        Some((bit, "0", kind)) => format!("{kind} at byte {}", bit / 8),
        Some((bit, width, kind)) => format!("{width} bits of {kind} at bit {bit}"),
        None => description.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(max_entries: u32, value: &str) -> MapDefinition {
        MapDefinition {
            name: "flows".into(),
            kind: 1,
            key_size: 4,
            value_size: 16,
            max_entries,
            types: ["Unsigned4".into(), value.into()],
            ..MapDefinition::default()
        }
    }

    #[track_caller]
    fn check(wanted: &MapDefinition, there: &MapDefinition, expected: &[&str]) {
        let found: Vec<String> = wanted
            .differences(there)
            .iter()
            .map(|difference| format!("{}: {} / {}", difference.what, difference.expected, difference.found))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_difference_is_named() {
        let two = "struct 16{bytes@0:0 Unsigned8;packets@64:0 Unsigned8;}";
        let (same, other) = (definition(10, two), definition(10, two));
        check(&same, &other, &[]);
        check(&same, &definition(11, two), &["max_entries: 10 / 11"]);
        let moved = "struct 16{packets@0:0 Unsigned8;bytes@64:0 Unsigned8;}";
        check(
            &same,
            &definition(10, moved),
            &[
                "the member `bytes` of the value: Unsigned8 at byte 0 / Unsigned8 at byte 8",
                "the member `packets` of the value: Unsigned8 at byte 8 / Unsigned8 at byte 0",
            ],
        );
        let renamed = "struct 16{bytes@0:0 Unsigned8;errors@64:3 Unsigned8;}";
        check(
            &same,
            &definition(10, renamed),
            &[
                "the member `packets` of the value: Unsigned8 at byte 8 / no such member",
                "the member `errors` of the value: no such member / 3 bits of Unsigned8 at bit 64",
            ],
        );
        let nested = "struct 16{bytes@0:0 struct 8{a@0:0 Unsigned8;};packets@64:0 Unsigned8;}";
        check(
            &same,
            &definition(10, nested),
            &["the member `bytes` of the value: Unsigned8 at byte 0 / struct 8{a@0:0 Unsigned8;} at byte 0"],
        );
        let larger = "struct 24{bytes@0:0 Unsigned8;packets@64:0 Unsigned8;}";
        check(&same, &definition(10, larger), &[&format!("the type of the value: {two} / {larger}")]);
        check(&same, &definition(10, "Unsigned8"), &[&format!("the type of the value: {two} / Unsigned8")]);
    }

    #[test]
    fn what_is_not_known_or_not_ours_does_not_count() {
        check(&definition(10, "Unsigned8"), &definition(10, ""), &[]);
        let ring = |max_entries| MapDefinition { kind: 27, ..definition(max_entries, "") };
        check(&ring(5000), &ring(8192), &[]);
        let events = |max_entries| MapDefinition { kind: 4, ..definition(max_entries, "") };
        check(&events(0), &events(2), &[]);
        check(&events(1), &events(2), &["max_entries: 1 / 2"]);
        let sized =
            MapDefinition { kind: 2, key_size: 8, value_size: 1, flags: 1, extra: 3, ..definition(1, "") };
        check(
            &definition(1, ""),
            &sized,
            &[
                "type: hash / array",
                "key_size: 4 / 8",
                "value_size: 16 / 1",
                "map_flags: 0 / 1",
                "map_extra: 0 / 3",
            ],
        );
    }
}
