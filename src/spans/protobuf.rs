//! Protobuf's wire format, as far as OTLP's traces need it.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Writes one message.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn varint(&mut self, field: u64, value: u64) {
        self.raw(field << 3 | VARINT);
        self.raw(value);
    }

    pub(super) fn fixed64(&mut self, field: u64, value: u64) {
        self.raw(field << 3 | FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u64, value: u32) {
        self.raw(field << 3 | FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | LENGTH);
        self.raw(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A message inside this one.
    pub(super) fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        self.raw(field << 3 | LENGTH);
        let begin = self.0.len();
        write(self);
        // The length goes before what is known only now.
        let mut length = Self::default();
        length.raw((self.0.len() - begin) as u64);
        self.0.splice(begin..begin, length.0);
    }

    #[allow(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a field of a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message; ends where it is no message any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.raw()?;
        let value = match key & 7 {
            VARINT => Value::Number(self.raw()?),
            FIXED64 => Value::Bytes(self.take(8)?),
            LENGTH => {
                let length = usize::try_from(self.raw()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            FIXED32 => Value::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn raw(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Writer), expected: &[u8]) {
        let mut writer = Writer::default();
        write(&mut writer);
        assert_eq!(writer.into_bytes(), expected);
    }

    #[test]
    fn fields_are_as_the_specification_writes_them() {
        // The examples of the encoding's description: 150, "testing", and a message that holds the former.
        check(|writer| writer.varint(1, 150), &[0x08, 0x96, 0x01]);
        check(|writer| writer.bytes(2, b"testing"), b"\x12\x07testing");
        check(|writer| writer.message(3, |inner| inner.varint(1, 150)), &[0x1a, 0x03, 0x08, 0x96, 0x01]);
        check(|writer| writer.fixed64(7, 1), &[0x39, 1, 0, 0, 0, 0, 0, 0, 0]);
        check(|writer| writer.fixed32(16, 1), &[0x85, 0x01, 1, 0, 0, 0]);
        check(
            |writer| writer.varint(1, u64::MAX),
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        );
    }

    #[test]
    fn long_messages_have_long_lengths() {
        let mut writer = Writer::default();
        writer.message(1, |inner| inner.bytes(2, &[7; 200]));
        let bytes = writer.into_bytes();
        let (field, value) = Fields(&bytes).next().unwrap();
        let Value::Bytes(inner) = value else { panic!("{value:?}") };
        assert_eq!((field, inner.len()), (1, 203));
        assert_eq!(Fields(inner).next(), Some((2, Value::Bytes(&[7; 200]))));
    }

    #[test]
    fn what_is_no_message_ends() {
        for bytes in [
            &[0x08][..],
            &[0x0a, 0x05, 1],
            &[0x0b],
            &[0x80; 11],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            assert_eq!(Fields(bytes).next(), None, "{bytes:02x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(numbers: Vec<u64>, bytes: Vec<u8>) {
            let mut writer = Writer::default();
            numbers.iter().for_each(|number| writer.varint(3, *number));
            writer.bytes(4, &bytes);
            let written = writer.into_bytes();
            let numbers = numbers.into_iter().map(|number| (3, Value::Number(number)));
            let expected: Vec<_> = numbers.chain([(4, Value::Bytes(bytes.as_slice()))]).collect();
            proptest::prop_assert_eq!(Fields(&written).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            proptest::prop_assert!(Fields(&bytes).count() <= bytes.len());
        }
    }
}
