//! Adding up what has the same labels.

use super::{LabelSets, Number};

/// More memory than this is kept only if a quarter of it was used.
const WORTH_GIVING_BACK: usize = 256 * 1024;

/// Label sets with one number each, or, for histograms, with one number a slot.
#[derive(Debug)]
pub struct Groups {
    sets: LabelSets,
    stride: usize,
    cells: Vec<Number>,
    /// Whether label sets are looked up; none need be when they are certain to differ.
    is_indexed: bool,
}

impl Groups {
    /// No groups yet; each will have `stride` numbers.
    #[must_use]
    pub fn new(stride: usize) -> Self {
        Self { sets: LabelSets::default(), stride: stride.max(1), cells: Vec::new(), is_indexed: true }
    }

    /// No groups yet, and none will be asked for twice: so none is looked up.
    #[must_use]
    pub fn distinct(stride: usize) -> Self {
        Self { is_indexed: false, ..Self::new(stride) }
    }

    /// Forgets all groups; those to come have `stride` numbers, and may be asked for twice if they are indexed.
    /// The memory is kept.
    pub fn reset(&mut self, stride: usize, is_indexed: bool) {
        self.sets.clear();
        self.cells.clear();
        (self.stride, self.is_indexed) = (stride.max(1), is_indexed);
    }

    /// Whether its memory is not much larger than what is in it.
    #[must_use]
    pub fn is_worth_keeping(&self) -> bool {
        let (cells, sets) = (self.cells.len() * size_of::<Number>(), self.sets.used());
        let held = self.cells.capacity() * size_of::<Number>() + self.sets.held();
        held <= WORTH_GIVING_BACK || held <= (cells + sets).saturating_mul(4)
    }

    /// Makes room for so many more groups, whose lists have so many bytes together.
    pub fn reserve(&mut self, groups: usize, bytes: usize) {
        self.sets.reserve(groups, bytes);
        self.cells.reserve(groups.saturating_mul(self.stride));
        if self.is_indexed {
            self.sets.reserve_table(groups);
        }
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
        let (set, fresh) =
            if self.is_indexed { self.sets.intern(list) } else { (self.sets.append(list), true) };
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
        self.cells.len() / self.stride
    }

    /// Bytes of all lists.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sets.bytes()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
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
    fn what_is_certain_to_differ_is_not_looked_up() {
        let mut groups = Groups::distinct(2);
        groups.reserve(3, 3);
        for list in [b"a", b"b"] {
            groups.group(list).fill(Number::U64(7));
        }
        assert_eq!((groups.len(), groups.known(b"a")), (2, None));
        assert_eq!(groups.iter().map(|(list, _)| list).collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(groups.iter().all(|(_, cells)| cells == [Number::U64(7); 2]));
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
