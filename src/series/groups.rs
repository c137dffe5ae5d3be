//! Adding up what has the same labels.

use super::{LabelSets, Number};

/// Label sets with one number each, or, for histograms, with one number a slot.
#[derive(Debug)]
pub struct Groups {
    sets: LabelSets,
    stride: usize,
    cells: Vec<Number>,
}

impl Groups {
    /// No groups yet; each will have `stride` numbers.
    #[must_use]
    pub fn new(stride: usize) -> Self {
        Self { sets: LabelSets::default(), stride: stride.max(1), cells: Vec::new() }
    }

    /// Adds a number to a slot of a label set; a slot that does not exist takes nothing.
    pub fn add(&mut self, list: &[u8], slot: usize, number: Number) {
        let group = self.group(list);
        if let Some(cell) = group.get_mut(slot) {
            *cell = cell.plus(number);
        }
    }

    /// The numbers of a label set, which is made when it is not there.
    pub fn group(&mut self, list: &[u8]) -> &mut [Number] {
        let (set, fresh) = self.sets.intern(list);
        if fresh {
            self.cells.extend(std::iter::repeat_n(Number::ZERO, self.stride));
        }
        let start = set as usize * self.stride;
        self.cells.get_mut(start..start + self.stride).unwrap_or_default()
    }

    /// The numbers of a label set that is there.
    pub fn known(&mut self, list: &[u8]) -> Option<&mut [Number]> {
        let start = self.sets.find(list)? as usize * self.stride;
        self.cells.get_mut(start..start + self.stride)
    }

    /// How many label sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The lists with their numbers, in the order of their first row.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[Number])> {
        self.cells.chunks_exact(self.stride).zip(0u32..).map(|(cells, set)| (self.sets.list(set), cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_label_sets_add_up() {
        let mut groups = Groups::new(1);
        for (list, number) in [(b"foo", 8), (b"bar", 1), (b"foo", 3)] {
            groups.add(list, 0, Number::U64(number));
        }
        let all: Vec<_> = groups.iter().collect();
        assert_eq!(all, [(&b"foo"[..], &[Number::U64(11)][..]), (b"bar", &[Number::U64(1)])]);
    }

    #[test]
    fn slots_are_apart() {
        let mut groups = Groups::new(3);
        groups.add(b"a", 0, Number::U64(1));
        groups.add(b"a", 2, Number::U64(5));
        groups.add(b"a", 3, Number::U64(9));
        let (_, cells) = groups.iter().next().unwrap();
        assert_eq!(cells, [Number::U64(1), Number::ZERO, Number::U64(5)]);
    }
}
