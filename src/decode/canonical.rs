//! One form for all fields that a decoder takes for the same.

use super::dns_name;

/// How bytes of a field are brought to the form that all have which mean the same: so that what counts by the bytes
/// of a field counts by what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonical {
    /// Text ends with its first NUL, and programs leave behind it what lay there before.
    Text,
    /// A DNS name ends with its root, and knows no case.
    DnsName,
}

impl Canonical {
    /// Brings a field to this form, which is decoded to the same text.
    pub fn apply(self, field: &mut [u8]) {
        match self {
            Self::Text => {
                let end = memchr::memchr(0, field).unwrap_or(field.len());
                if let Some(rest) = field.get_mut(end..) {
                    rest.fill(0);
                }
            }
            Self::DnsName => dns_name::canonicalise(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{Chain, Params};
    use crate::host::{Host, Roots};

    fn chain(name: &str, size: usize) -> Chain {
        let host = std::sync::Arc::new(Host::new(Roots::default()));
        Chain::build(&[(name.to_owned(), Params::default())], size, &host).unwrap()
    }

    fn text(chain: &Chain, field: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        chain.decode(field, &mut out, &mut Vec::new()).unwrap();
        out
    }

    #[track_caller]
    fn check(form: Canonical, field: &[u8], expected: &[u8]) {
        let mut found = field.to_vec();
        form.apply(&mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_lies_behind_a_text_is_cleared() {
        check(Canonical::Text, b"sh\0gar\0", b"sh\0\0\0\0\0");
        check(Canonical::Text, b"bash", b"bash");
        check(Canonical::Text, b"\0ash", b"\0\0\0\0");
        check(Canonical::DnsName, b"\x03WwW\x01a\0garbage", b"\x03www\x01a\0\0\0\0\0\0\0\0");
        check(Canonical::DnsName, b"\x03WwW", b"\x03www");
        // A length is no letter.
        let (mut long, mut lower) = (vec![b'A'; 100], vec![0; 100]);
        check(Canonical::DnsName, &long, &[&[0xff][..], &[0; 99]].concat());
        long[0] = 63;
        (long[64], lower[0]) = (0, 63);
        lower[1..64].fill(b'a');
        check(Canonical::DnsName, &long, &lower);
        check(Canonical::DnsName, b"\x03ww", b"\xff\0\0");
        check(Canonical::DnsName, b"\x03ww\xc0\x0c", b"\xff\0\0\0\0");
        check(Canonical::DnsName, b"", b"");
    }

    #[test]
    fn decoders_say_their_form() {
        assert_eq!(chain("string", 16).canonical(), Some(Canonical::Text));
        assert_eq!(chain("dns_name", 16).canonical(), Some(Canonical::DnsName));
        assert_eq!(chain("uint", 8).canonical(), None);
        assert!(chain("dns_name", 16).tells_canonical_apart() && chain("uint", 8).tells_canonical_apart());
        assert!(!chain("uid", 4).tells_canonical_apart());
    }

    proptest! {
        /// The text stays, and is that of one form alone.
        #[test]
        fn one_form_for_each_text(
            fields in prop::collection::vec(prop::collection::vec(
                prop::sample::select(vec![0u8, 1, 2, 3, b'a', b'A', b'.', b'\\', 0x80, 0xff]), 6), 2),
            is_name in any::<bool>(),
        ) {
            let chain = chain(if is_name { "dns_name" } else { "string" }, 6);
            let form = chain.canonical().unwrap();
            let mut forms = fields.clone();
            for (form_of, field) in forms.iter_mut().zip(&fields) {
                form.apply(form_of);
                prop_assert_eq!(text(&chain, form_of), text(&chain, field));
            }
            let same = text(&chain, &fields[0]) == text(&chain, &fields[1]);
            prop_assert_eq!(same, forms[0] == forms[1]);
        }
    }
}
