//! What holds for every decoder and every input.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::host::{Host, Roots};

fn host() -> Arc<Host> {
    // A fixture below nothing: no decoder may need a file to survive.
    let nowhere = std::path::PathBuf::from("/nonexistent");
    Arc::new(Host::new(Roots {
        procfs: nowhere.clone(),
        sysfs: nowhere.clone(),
        cgroupfs: nowhere.clone(),
        rootfs: nowhere,
    }))
}

fn params() -> Params {
    Params {
        static_map: Some(vec![
            ("1".to_owned(), "one".to_owned()),
            ("0x2".to_owned(), "two".to_owned()),
            ("ab".to_owned(), "letters".to_owned()),
        ]),
        allow_unknown: false,
        regexps: vec!["^([a-m]+)".to_owned(), "^[0-9]+$".to_owned()],
        enumerators: Some(vec![
            (0, "E_Zero".to_owned()),
            (-1, "E_None".to_owned()),
            (5, "E_zero".to_owned()),
        ]),
        strip_prefix: "E_".to_owned(),
        ..Params::default()
    }
}

fn step(entry: &Entry) -> (String, Params) {
    (entry.name.to_owned(), params())
}

/// A chain and the names of its decoders.
type Named = (Vec<&'static str>, Chain);

/// Every chain of one or two decoders that can be built for a size; built once, as patterns are dear to compile.
fn with_chains<R>(size: usize, use_them: impl FnOnce(&[Named]) -> R) -> R {
    thread_local! {
        static BY_SIZE: RefCell<HashMap<usize, Vec<Named>>> = RefCell::default();
    }
    BY_SIZE.with_borrow_mut(|by_size| use_them(by_size.entry(size).or_insert_with(|| chains(size))))
}

fn chains(size: usize) -> Vec<Named> {
    let host = host();
    let seconds = || std::iter::once(None).chain(DECODERS.iter().map(Some));
    DECODERS
        .iter()
        .flat_map(|first| seconds().map(move |second| std::iter::once(first).chain(second)))
        .filter_map(|entries| {
            let steps: Vec<_> = entries.clone().map(step).collect();
            let names = entries.map(|entry| entry.name).collect();
            Chain::build(&steps, size, &host).ok().map(|chain| (names, chain))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No input makes any chain of up to two decoders panic or leave half a label behind.
    #[test]
    fn no_input_panics(field in proptest::collection::vec(any::<u8>(), 0..=40)) {
        let mut scratch = Vec::new();
        with_chains(field.len(), |chains| {
            for (names, chain) in chains {
                let mut out = b"page".to_vec();
                let outcome = chain.decode(&field, &mut out, &mut scratch);
                assert!(out.starts_with(b"page"), "{names:?}");
                if outcome != Ok(Outcome::Label) {
                    assert_eq!(out, b"page", "{names:?}");
                }
                let _ = chain.decode_number(&field);
            }
        });
    }

    /// A decoder never trusts the size that it was built for.
    #[test]
    fn other_sizes_than_promised_do_not_panic(
        size in 1_usize..=40,
        field in proptest::collection::vec(any::<u8>(), 0..=40),
    ) {
        with_chains(size, |chains| {
            for (_, chain) in chains {
                let _ = chain.decode(&field, &mut Vec::new(), &mut Vec::new());
            }
        });
    }

    /// What is done without asking the first decoders is what they would do.
    #[test]
    fn a_lead_changes_nothing(field in proptest::collection::vec(any::<u8>(), 0..=17)) {
        with_chains(field.len(), |chains| {
            for (names, chain) in chains {
                let mut scratch = Vec::new();
                let (mut led, mut asked) = (b"page".to_vec(), b"page".to_vec());
                let outcome = chain.decode(&field, &mut led, &mut scratch);
                assert_eq!(outcome, chain.decode_step_by_step(&field, &mut asked), "{names:?} {field:02x?}");
                assert_eq!(led, asked, "{names:?} on {field:02x?}");
                let is_digits = led[4..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
                assert!(!chain.is_number() || is_digits, "{names:?} on {field:02x?}");
            }
        });
    }

    /// Different inputs give different labels where a chain claims so.
    #[test]
    fn injective_claims_hold(
        size in prop::sample::select(vec![1_usize, 2, 3, 4, 6, 8, 12, 16]),
        seed in proptest::collection::vec(any::<u8>(), 16),
        flip in (0_usize..16, 1_u8..=255),
        small in any::<bool>(),
    ) {
        let mut one = seed[..size].to_vec();
        if small {
            // Small numbers are where tables have their names.
            one.iter_mut().skip(1).for_each(|byte| *byte = 0);
        }
        let mut other = one.clone();
        other[if small { 0 } else { flip.0 % size }] ^= flip.1;
        with_chains(size, |chains| {
            for (names, chain) in chains {
                let claimed = match chain.traits().injective {
                    Injective::Never => false,
                    Injective::Canonical => canonical(&one) && canonical(&other),
                    Injective::Always => true,
                };
                if claimed && let (Some(left), Some(right)) = (label(chain, &one), label(chain, &other)) {
                    assert_ne!(left, right, "{names:?} on {one:02x?} and {other:02x?}");
                }
            }
        });
    }
}

fn label(chain: &Chain, field: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    (chain.decode(field, &mut out, &mut Vec::new()) == Ok(Outcome::Label)).then_some(out)
}

/// Valid UTF-8 before the first NUL, zeros after it.
fn canonical(field: &[u8]) -> bool {
    let text = text::before_nul(field);
    std::str::from_utf8(text).is_ok() && field[text.len()..].iter().all(|byte| *byte == 0)
}

#[test]
fn the_claims_that_the_direct_path_lives_on_are_made() {
    let host = host();
    for (name, size, expected) in [
        ("uint", 4, Injective::Always),
        ("int", 8, Injective::Always),
        ("hex", 5, Injective::Always),
        ("inet_ip", 16, Injective::Always),
        ("inet_union", 16, Injective::Always),
        ("mac", 6, Injective::Always),
        ("port", 2, Injective::Always),
        ("errno", 4, Injective::Always),
        ("syscall", 8, Injective::Always),
        ("signal", 4, Injective::Always),
        ("proto", 1, Injective::Always),
        ("string", 16, Injective::Canonical),
        ("static_map", 4, Injective::Never),
        ("bool", 1, Injective::Never),
        ("cgroup", 8, Injective::Never),
    ] {
        let entry = DECODERS.iter().find(|entry| entry.name == name).unwrap();
        let chain = Chain::build(&[step(entry)], size, &host).unwrap();
        assert_eq!(chain.traits().injective, expected, "{name}");
    }
}

#[test]
fn a_static_map_is_injective_when_its_names_tell_keys_apart() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], allow_unknown: bool, expected: Injective) {
        let static_map = pairs.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect();
        let params = Params { static_map: Some(static_map), allow_unknown, ..Params::default() };
        let steps = [("uint".to_owned(), Params::default()), ("static_map".to_owned(), params)];
        let chain = Chain::build(&steps, 4, &host()).unwrap();
        assert_eq!(chain.traits().injective, expected, "{pairs:?}");
    }
    check(&[("1", "read"), ("2", "write")], false, Injective::Always);
    check(&[("1", "read"), ("2", "write")], true, Injective::Always);
    check(&[("1", "read"), ("2", "read")], false, Injective::Never);
    check(&[("1", "unknown:2")], false, Injective::Never);
    check(&[("1", "2")], true, Injective::Never);
    check(&[("1", "2")], false, Injective::Always);
    check(&[], true, Injective::Always);
}
