//! A span as plain data, as OTLP has it.

use std::sync::Arc;

/// Which trace a span belongs to; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId(pub(super) [u8; 16]);

/// Which span of a trace it is; never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanId(pub(super) [u8; 8]);

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    /// Nanoseconds since the unix epoch.
    pub(super) start: u64,
    /// Nanoseconds since the unix epoch.
    pub(super) end: u64,
    /// In the order of the config's labels.
    pub(super) attributes: Vec<(Arc<str>, String)>,
}

/// The bytes of an identifier that is written in hexadecimal; none when it is anything else.
pub(super) fn identifier<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_hexadecimal_and_of_their_length() {
        assert_eq!(identifier::<2>(b"beef"), Some([0xbe, 0xef]));
        assert_eq!(identifier::<2>(b"BEEF"), Some([0xbe, 0xef]));
        assert_eq!(identifier::<2>(b"0000"), Some([0, 0]));
        for wrong in ["", "bee", "beefe", "beefbe", "be-f", " bee", "+bee"] {
            assert_eq!(identifier::<2>(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
