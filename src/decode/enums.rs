//! `enum`: the names that the kernel, or the object, gives to numbers.
//!
//! The enumerators come as plain data: whoever reads the config looks the type up.

use std::collections::{HashMap, HashSet};

use super::{
    BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Params, Traits, Value,
    number::{self, Numbers},
    text,
};

pub(super) const ENTRY: Entry = Entry {
    name: "enum",
    summary: "The name that the running kernel's enum `type` gives to a number, or the object's where the kernel \
              lacks it; `unknown:N` when it has none.",
    build: |params, kind, _| build(params, kind),
};

/// Two to the power of 32 and of 64: what a number is off by when its sign was read otherwise.
const WRAPS: [i128; 2] = [1 << 32, 1 << 64];

#[derive(Debug)]
struct Enum {
    numbers: Numbers,
    /// By value, rising.
    names: Vec<(i128, Box<[u8]>)>,
    /// In the order of declaration, those that can come.
    texts: Vec<Vec<u8>>,
    /// Whether a field is a signed integer.
    signed: bool,
    /// Whether a number may have been read with the other sign.
    wraps: bool,
    injective: Injective,
}

fn build(params: &Params, kind: Kind) -> Built {
    let numbers = Numbers::of("enum", kind)?;
    let Some(enumerators) = &params.enumerators else { return Err(no_type(params)) };
    let named = named(enumerators, params);
    let signed = named.iter().any(|(value, _)| *value < 0);
    let fits = |value: i128| match kind {
        Kind::Field(size) => range(size, signed).contains(&value),
        Kind::Text | Kind::Number | Kind::Signed => true,
    };
    let mut seen = HashSet::new();
    let texts = named.iter().filter(|(value, _)| fits(*value)).map(|(_, name)| name.to_vec());
    let texts: Vec<_> = texts.filter(|text| seen.insert(text.clone())).collect();
    // A field is read with the sign of the enum; a number was read already, perhaps with the other one.
    let wraps = match kind {
        Kind::Field(_) => false,
        _ => signed || named.iter().any(|(value, _)| *value > i128::from(i32::MAX)),
    };
    let distinct = named.iter().map(|(_, name)| name).collect::<HashSet<_>>().len() == named.len();
    let like_unknown = named.iter().any(|(_, name)| name.starts_with(b"unknown:"));
    let injective = if distinct && !like_unknown && !wraps { numbers.injective() } else { Injective::Never };
    let mut names = named;
    names.sort_unstable_by_key(|(value, _)| *value);
    Ok((Box::new(Enum { numbers, names, texts, signed, wraps, injective }), Kind::Text))
}

/// Each value's first name, as it will be shown.
fn named(enumerators: &[(i128, String)], params: &Params) -> Vec<(i128, Box<[u8]>)> {
    let mut firsts: HashMap<i128, &str> = HashMap::with_capacity(enumerators.len());
    let mut named = Vec::with_capacity(enumerators.len());
    for (value, name) in enumerators {
        if firsts.insert(*value, name).is_none() {
            named.push((*value, params.shown(name).into_bytes().into_boxed_slice()));
        }
    }
    named
}

/// The values that a field of some bytes can have.
fn range(size: usize, signed: bool) -> std::ops::Range<i128> {
    let bits = size.min(8) * 8;
    if signed { -(1 << (bits - 1))..1 << (bits - 1) } else { 0..1 << bits }
}

fn no_type(params: &Params) -> BuildError {
    let message = match params.type_name.as_deref() {
        None | Some("") => "decoder enum without a `type`".to_owned(),
        Some(name) => format!("the enum {name:?} was not found"),
    };
    BuildError {
        code: "missing-type",
        param: Some(("type", None)),
        message,
        expected: Some("`type`, the name of an enum, such as `type: skb_drop_reason`".to_owned()),
        help: Some(
            "for an enum without a name, `type` is the name of any of its values, such as TCP_ESTABLISHED"
                .to_owned(),
        ),
    }
}

impl Params {
    /// An enumerator's name without what is stripped; nothing is stripped of which nothing would be left.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        let left = |rest: &&str| !rest.is_empty();
        let name = name.strip_prefix(self.strip_prefix.as_str()).filter(left).unwrap_or(name);
        let name = name.strip_suffix(self.strip_suffix.as_str()).filter(left).unwrap_or(name);
        if self.lower { name.to_lowercase() } else { name.to_owned() }
    }
}

impl Enum {
    fn name(&self, number: i128) -> Option<&[u8]> {
        let index = self.names.binary_search_by_key(&number, |(value, _)| *value).ok()?;
        self.names.get(index).map(|(_, name)| name.as_ref())
    }

    /// The same bits with the other sign.
    fn wrapped(&self, number: i128) -> Option<&[u8]> {
        if !self.wraps {
            return None;
        }
        let other = |wrap: i128| if number < 0 { number + wrap } else { number - wrap };
        let half =
            |wrap: i128, other: i128| (-(wrap / 2)..wrap).contains(&other) && (other < 0) != (number < 0);
        WRAPS
            .iter()
            .map(|wrap| (*wrap, other(*wrap)))
            .find_map(|(wrap, other)| if half(wrap, other) { self.name(other) } else { None })
    }
}

impl Decode for Enum {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let number = match value {
            Value::Bytes(field) if self.signed && self.numbers == Numbers::Field => {
                i128::from(number::signed(field)?)
            }
            value => self.numbers.read(value)?,
        };
        match self.name(number).or_else(|| self.wrapped(number)) {
            Some(name) => out.extend_from_slice(name),
            None => text::push_unknown(out, "unknown:", number),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }

    fn texts(&self) -> Option<Vec<Vec<u8>>> {
        Some(self.texts.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decode::{Chain, Outcome};
    use crate::host::{Host, Roots};

    const STATES: &[(i128, &str)] =
        &[(1, "TCP_OPEN"), (2, "TCP_CLOSED"), (2, "TCP_GONE"), (300, "TCP_"), (3, "LAST")];
    const SIGNED: &[(i128, &str)] = &[(-1, "NONE"), (0, "ZERO"), (5, "FIVE")];
    const FLAGS: &[(i128, &str)] = &[(1, "LOW"), (1 << 31, "HIGH"), (u64::MAX as i128, "ALL")];

    fn chain(enumerators: &[(i128, &str)], before: &[&str], size: usize, lower: bool) -> Chain {
        let params = Params {
            enumerators: Some(enumerators.iter().map(|(value, name)| (*value, (*name).to_owned())).collect()),
            strip_prefix: "TCP_".to_owned(),
            lower,
            ..Params::default()
        };
        let mut steps: Vec<_> = before.iter().map(|name| ((*name).to_owned(), Params::default())).collect();
        steps.push(("enum".to_owned(), params));
        Chain::build(&steps, size, &Arc::new(Host::new(Roots::default()))).unwrap()
    }

    #[track_caller]
    fn check(chain: &Chain, field: &[u8], expected: &str) {
        let mut out = Vec::new();
        assert_eq!(chain.decode(field, &mut out, &mut Vec::new()), Ok(Outcome::Label));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn numbers_get_their_first_name_and_unknown_ones_are_seen() {
        for size in [1, 2, 4, 8] {
            for before in [&[][..], &["uint"], &["int"]] {
                let lower = chain(STATES, before, size, true);
                for (number, expected) in [(1u64, "open"), (2, "closed"), (3, "last"), (77, "unknown:77")] {
                    check(&lower, &number.to_ne_bytes()[..size], expected);
                }
            }
        }
        check(&chain(STATES, &[], 4, false), &1u32.to_ne_bytes(), "OPEN");
        // What would leave nothing stays whole.
        check(&chain(STATES, &[], 4, false), &300u32.to_ne_bytes(), "TCP_");
        check(&chain(STATES, &[], 8, false), &u64::MAX.to_ne_bytes(), "unknown:18446744073709551615");
        check(&chain(&[], &[], 8, false), &7u64.to_ne_bytes(), "unknown:7");
    }

    #[test]
    fn negative_values_are_found_however_they_were_read() {
        for size in [1, 2, 4, 8] {
            check(&chain(SIGNED, &[], size, false), &(-1i64).to_ne_bytes()[..size], "NONE");
            check(&chain(SIGNED, &[], size, false), &(-2i64).to_ne_bytes()[..size], "unknown:-2");
            check(&chain(SIGNED, &["int"], size, false), &(-1i64).to_ne_bytes()[..size], "NONE");
            check(&chain(SIGNED, &["int"], size, false), &5u64.to_ne_bytes()[..size], "FIVE");
        }
        check(&chain(SIGNED, &["uint"], 4, false), &(-1i32).to_ne_bytes(), "NONE");
        check(&chain(SIGNED, &["uint"], 8, false), &(-1i64).to_ne_bytes(), "NONE");
        check(&chain(SIGNED, &["uint"], 4, false), &(-2i32).to_ne_bytes(), "unknown:4294967294");
        check(&chain(FLAGS, &[], 4, false), &(1u32 << 31).to_ne_bytes(), "HIGH");
        check(&chain(FLAGS, &["int"], 4, false), &(1u32 << 31).to_ne_bytes(), "HIGH");
        check(&chain(FLAGS, &[], 8, false), &u64::MAX.to_ne_bytes(), "ALL");
        check(&chain(FLAGS, &["int"], 8, false), &u64::MAX.to_ne_bytes(), "ALL");
        check(&chain(FLAGS, &["int"], 8, false), &(-5i64).to_ne_bytes(), "unknown:-5");
    }

    #[test]
    fn different_numbers_have_different_names_only_where_that_is_certain() {
        #[track_caller]
        fn check(enumerators: &[(i128, &str)], before: &[&str], expected: Injective) {
            assert_eq!(chain(enumerators, before, 4, true).traits().injective, expected, "{enumerators:?}");
        }
        check(STATES, &[], Injective::Always);
        check(STATES, &["uint"], Injective::Always);
        check(SIGNED, &[], Injective::Always);
        check(SIGNED, &["int"], Injective::Never);
        check(FLAGS, &["uint"], Injective::Never);
        check(&[(1, "A"), (2, "a")], &[], Injective::Never);
        check(&[(1, "TCP_A"), (2, "A")], &[], Injective::Never);
        check(&[(1, "unknown:2")], &[], Injective::Never);
        check(STATES, &["string"], Injective::Never);
    }

    #[test]
    fn only_what_fits_the_field_can_come() {
        #[track_caller]
        fn check(enumerators: &[(i128, &str)], before: &[&str], size: usize, expected: &[&str]) {
            let texts = chain(enumerators, before, size, true).texts().unwrap();
            let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
            assert_eq!(texts, expected);
        }
        check(STATES, &[], 1, &["open", "closed", "last"]);
        check(STATES, &[], 2, &["open", "closed", "tcp_", "last"]);
        check(FLAGS, &[], 2, &["low"]);
        check(FLAGS, &[], 4, &["low", "high"]);
        check(FLAGS, &[], 8, &["low", "high", "all"]);
        check(SIGNED, &[], 1, &["none", "zero", "five"]);
        check(&[(1, "A"), (2, "a")], &[], 4, &["a"]);
    }

    #[test]
    fn a_suffix_is_stripped_too() {
        let params = Params { strip_suffix: "_SOFTIRQ".to_owned(), lower: true, ..Params::default() };
        assert_eq!(params.shown("NET_RX_SOFTIRQ"), "net_rx");
        assert_eq!(params.shown("NR_SOFTIRQS"), "nr_softirqs");
        assert_eq!(params.shown("_SOFTIRQ"), "_softirq");
    }

    #[test]
    fn without_a_type_there_is_no_decoder() {
        let error = build(&Params::default(), Kind::Field(4)).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), ("missing-type", "decoder enum without a `type`"));
        assert_eq!(build(&Params::default(), Kind::Field(3)).unwrap_err().code, "field-size");
    }
}
