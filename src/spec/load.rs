//! What a config changes about its object before it is loaded.

use std::path::PathBuf;

use super::Attach;

/// Bytes of a variable's initial value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalPatch {
    /// How the config names it, such as `settings.limit`: for messages.
    pub name: String,
    /// The section, such as `.rodata`.
    pub section: String,
    /// The first byte, from the beginning of the section.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Of a bit-field, which bits of the bytes are its own; none when all are.
    pub mask: Option<Vec<u8>>,
    /// What the object itself has there.
    pub initial: Vec<u8>,
}

impl GlobalPatch {
    /// Whether programs can write the variable, so that it can be set while they run.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.section.starts_with(".rodata")
    }

    fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.section == other.section
            && self.offset == other.offset
            && self.bytes.len() == other.bytes.len()
            && self.mask == other.mask
    }

    fn overlaps(&self, other: &Self) -> bool {
        let end = |patch: &Self| patch.offset.saturating_add(patch.bytes.len());
        self.section == other.section && self.offset < end(other) && other.offset < end(self)
    }
}

/// What has to be written to get from some values to others: variables that are no longer set get what
/// the object has. Those that are set as before are left alone: programs may have changed them since.
pub(super) fn changes(from: &[GlobalPatch], to: &[GlobalPatch]) -> Vec<GlobalPatch> {
    let is_left = |old: &&GlobalPatch| !to.iter().any(|new| new.is_at_the_place_of(old));
    let mut changes: Vec<GlobalPatch> = from
        .iter()
        .filter(is_left)
        .map(|old| GlobalPatch { bytes: old.initial.clone(), ..old.clone() })
        .collect();
    let taken_back = changes.len();
    for new in to {
        let is_new = !from.iter().any(|old| old.is_at_the_place_of(new) && old.bytes == new.bytes);
        let is_undone = changes.iter().take(taken_back).any(|old| old.overlaps(new));
        if is_new || is_undone {
            changes.push(new.clone());
        }
    }
    changes
}

/// What differs from "load and attach it, and complain if that fails".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramSetting {
    /// The program's name.
    pub name: String,
    /// Whether to load it, whatever its section says.
    pub enabled: Option<bool>,
    /// Whether the config is whole without it.
    pub optional: bool,
    /// Where it is attached, whatever its section says.
    pub attach: Option<Attach>,
}

/// What differs from the object's definition of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapSetting {
    /// The map's name.
    pub name: String,
    /// Its capacity.
    pub max_entries: Option<u32>,
    /// Where it is pinned, so that it outlives the exporter.
    pub pin_path: Option<PathBuf>,
    /// The name by which configs share it.
    pub shared: Option<String>,
}

/// A map that somebody else loaded and pinned. It is only read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromPin {
    /// What the config calls it.
    pub map: String,
    /// The pin.
    pub path: PathBuf,
    /// The kernel's number of the map that the config was checked against; none when there was none.
    pub id: Option<u32>,
}

/// A buffer whose events are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BufferSpec {
    /// The map's name.
    pub map: String,
    /// Of an array of performance events, pages of each CPU's buffer; none of a ring buffer.
    pub pages: Option<usize>,
}

/// A map of maps, by what its object declares the maps to be that it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NestedMap {
    /// The name of the map that holds them.
    pub name: String,
    /// The kernel's number of their kind.
    pub kind: u32,
    /// Bytes of a key in one of them.
    pub key_size: u32,
    /// Bytes of a value in one of them, of one CPU.
    pub value_size: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(section: &str, offset: usize, bytes: &[u8]) -> GlobalPatch {
        GlobalPatch {
            name: format!("{section}+{offset}"),
            section: section.to_owned(),
            offset,
            bytes: bytes.to_vec(),
            mask: None,
            initial: vec![0xee; bytes.len()],
        }
    }

    /// What is written, as places and bytes.
    #[track_caller]
    fn check(from: &[GlobalPatch], to: &[GlobalPatch], expected: &[(usize, &[u8])]) {
        let changes = changes(from, to);
        let found: Vec<_> = changes.iter().map(|change| (change.offset, change.bytes.as_slice())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_what_differs_is_written() {
        let (one, two) = (patch(".bss", 0, &[1, 0]), patch(".bss", 2, &[2, 0]));
        check(&[one.clone(), two.clone()], &[two.clone(), one.clone()], &[]);
        check(std::slice::from_ref(&one), &[one.clone(), two.clone()], &[(2, &[2, 0])]);
        check(&[one.clone(), two.clone()], std::slice::from_ref(&two), &[(0, &[0xee, 0xee])]);
        check(std::slice::from_ref(&one), &[patch(".bss", 0, &[9, 0])], &[(0, &[9, 0])]);
        check(&[one], &[patch(".data", 0, &[1, 0])], &[(0, &[0xee, 0xee]), (0, &[1, 0])]);
    }

    /// A list may become shorter, and what stood behind it zeros of another length.
    #[test]
    fn what_is_taken_back_does_not_undo_what_is_set() {
        let whole = patch(".data", 0, &[1, 2, 3, 4]);
        let part = patch(".data", 1, &[2]);
        check(&[whole.clone(), part.clone()], std::slice::from_ref(&part), &[(0, &[0xee; 4]), (1, &[2])]);
        check(std::slice::from_ref(&part), &[whole], &[(1, &[0xee]), (0, &[1, 2, 3, 4])]);
        let bits = |mask: u8, bits: u8| GlobalPatch { mask: Some(vec![mask]), ..patch(".data", 8, &[bits]) };
        check(&[bits(1, 1), bits(2, 2)], &[bits(1, 0), bits(2, 2)], &[(8, &[0])]);
    }

    #[test]
    fn constants_are_not_written() {
        assert!(patch(".bss", 0, &[1]).is_writable() && patch(".data.own", 0, &[1]).is_writable());
        assert!(!patch(".rodata", 0, &[1]).is_writable() && !patch(".rodata.own", 0, &[1]).is_writable());
    }
}
