//! Parts of a value that are tables of their own: variables inside of a data section.

/// Some bytes of a source's only value, seen as entries whose keys are their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Area {
    /// First byte.
    pub offset: usize,
    /// Bytes of one element. Of a single one fewer are there when the source ends before.
    pub size: usize,
    /// How many entries there are.
    pub rows: usize,
    /// How many elements each of them has, which are reduced as those of CPUs are.
    pub lanes: usize,
}

/// What is read at once of a section for all variables that are one value each.
const BLOCK: usize = 64 << 10;

impl Area {
    /// Whole blocks around a variable: others that lie there are read with it. Where the variable begins in them.
    #[must_use]
    pub fn around(offset: usize, size: usize) -> (Self, usize) {
        let inside = offset % BLOCK;
        let end = inside.saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        (Self { offset: offset - inside, size: end, rows: 1, lanes: 1 }, inside)
    }

    /// Each element is an entry.
    #[must_use]
    pub const fn entries(offset: usize, size: usize, count: usize) -> Self {
        Self { offset, size, rows: count, lanes: 1 }
    }

    /// All elements are one entry.
    #[must_use]
    pub const fn reduced(offset: usize, size: usize, count: usize) -> Self {
        Self { offset, size, rows: 1, lanes: count }
    }

    /// The same inside of so many bytes; none when it lies outside.
    #[must_use]
    pub fn within(self, whole: usize) -> Option<Self> {
        let room = whole.checked_sub(self.offset).filter(|room| *room > 0)?;
        let elements = self.rows.checked_mul(self.lanes).filter(|elements| *elements > 0)?;
        let size = if elements == 1 { self.size.min(room) } else { self.size };
        let fits = size > 0 && size.checked_mul(elements)? <= room;
        fits.then_some(Self { size, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offset: usize, size: usize, expected: (usize, usize, usize)) {
        let (area, inside) = Area::around(offset, size);
        assert_eq!((area.offset, area.size, inside), expected, "{offset}+{size}");
    }

    #[test]
    fn what_lies_together_is_read_together() {
        check(0, 8, (0, BLOCK, 0));
        check(BLOCK - 8, 8, (0, BLOCK, BLOCK - 8));
        check(BLOCK - 4, 8, (0, 2 * BLOCK, BLOCK - 4));
        check(3 * BLOCK + 16, 4, (3 * BLOCK, BLOCK, 16));
    }

    #[test]
    fn an_area_ends_with_its_section() {
        assert_eq!(Area::around(40, 8).0.within(48).map(|area| area.size), Some(48));
        assert_eq!(Area::entries(8, 8, 5).within(48), Some(Area::entries(8, 8, 5)));
        assert_eq!(Area::entries(8, 8, 5).within(47), None);
        assert_eq!(Area::reduced(8, usize::MAX, 2).within(48), None);
        assert_eq!(Area::entries(48, 8, 1).within(48), None);
        assert_eq!(Area::entries(0, 8, 0).within(48), None);
    }
}
