//! Bit-fields: a number that begins and ends inside bytes.

/// Which bits of some bytes are a number, counted from the first bit of the first byte in memory order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// Bits before it in its first byte.
    pub shift: u32,
    /// How many bits it has.
    pub width: u32,
    /// Two's complement.
    pub signed: bool,
}

impl Bits {
    /// Whether so many bytes hold it, and 64 bits its number.
    #[must_use]
    pub fn fits(self, bytes: usize) -> bool {
        let end = u64::from(self.shift) + u64::from(self.width);
        matches!(self.width, 1..=64) && self.shift < 8 && end <= bytes as u64 * 8
    }

    /// The number in the bytes that it touches; a signed one as the bits of an `i64`.
    #[must_use]
    #[inline]
    pub fn number(self, bytes: &[u8]) -> u64 {
        // 64 bits behind a shift of 7 touch 9 bytes.
        let mut word = [0; 16];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        let unused = 64u32.saturating_sub(self.width).min(63);
        #[allow(clippy::cast_possible_truncation, reason = "what lies above the field is cut off")]
        let high = ((u128::from_le_bytes(word) >> (self.shift % 128)) as u64) << unused;
        if self.signed { (high.cast_signed() >> unused).cast_unsigned() } else { high >> unused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shift: u32, width: u32, bytes: &[u8], unsigned: u64, signed: i64) {
        let bits = Bits { shift, width, signed: false };
        assert!(bits.fits(bytes.len()));
        assert_eq!(bits.number(bytes), unsigned);
        assert_eq!(Bits { signed: true, ..bits }.number(bytes).cast_signed(), signed);
    }

    #[test]
    fn every_place_and_width() {
        check(0, 1, &[0b1], 1, -1);
        check(0, 1, &[0b10], 0, 0);
        check(7, 1, &[0x80], 1, -1);
        check(3, 5, &[0b1011_0111], 0b10110, -10);
        check(4, 12, &[0xf3, 0x7a], 0x7af, 0x7af);
        check(0, 64, &u64::MAX.to_le_bytes(), u64::MAX, -1);
        check(7, 60, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0x04], (1 << 59) | 1, (1 << 59 | 1) - (1 << 60));
        check(7, 64, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0x40], (1 << 63) | 1, i64::MIN + 1);
    }

    #[test]
    fn what_cannot_be_does_not_fit() {
        let fits = |shift, width, bytes| Bits { shift, width, signed: false }.fits(bytes);
        assert!(fits(7, 64, 9) && fits(0, 8, 1));
        assert!(!fits(0, 0, 1) && !fits(0, 65, 9) && !fits(8, 1, 2) && !fits(1, 8, 1));
        assert!(!fits(u32::MAX, u32::MAX, usize::MAX / 8));
    }
}
