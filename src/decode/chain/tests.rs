use super::*;
use crate::host::Roots;

fn host() -> Arc<Host> {
    Arc::new(Host::new(Roots::default()))
}

fn steps(names: &[&str]) -> Vec<(String, Params)> {
    names.iter().map(|name| ((*name).to_owned(), Params::default())).collect()
}

#[track_caller]
fn check_fault(names: &[&str], size: usize, index: usize, code: &str) -> BuildError {
    let (at, error) = Chain::build(&steps(names), size, &host()).unwrap_err();
    assert_eq!((at, error.code), (index, code), "{error}");
    error
}

#[test]
fn faults_name_the_decoder() {
    check_fault(&[], 4, 0, "no-decoders");
    check_fault(&["string", "strnig"], 4, 1, "unknown-decoder");
    check_fault(&["uint"], 3, 0, "field-size");
    check_fault(&["int"], 16, 0, "field-size");
    check_fault(&["cgroup"], 3, 0, "field-size");
    check_fault(&["ksym"], 4, 0, "field-size");
    check_fault(&["kstack"], 12, 0, "field-size");
    check_fault(&["ifname"], 3, 0, "field-size");
    check_fault(&["majorminor"], 2, 0, "field-size");
    check_fault(&["mac"], 8, 0, "field-size");
    check_fault(&["port"], 4, 0, "field-size");
    check_fault(&["string", "bool"], 4, 1, "decoder-input");
    check_fault(&["uint", "mac"], 8, 1, "decoder-input");
    check_fault(&["string", "port"], 2, 1, "decoder-input");
    check_fault(&["string", "regexp"], 2, 1, "no-regexps");
    let error = check_fault(&["uint"], 3, 0, "field-size");
    assert_eq!(error.expected.as_deref(), Some("1, 2, 4 or 8 bytes"));
}

#[test]
fn close_names_are_offered() {
    for (wrong, meant) in [
        ("static-map", "static_map"),
        ("Uint", "uint"),
        ("uint64", "uint"),
        ("inet_ipv4", "inet_ip"),
        ("regex", "regexp"),
        ("sycsall", "syscall"),
        ("majormino", "majorminor"),
    ] {
        let error = check_fault(&[wrong], 4, 0, "unknown-decoder");
        assert_eq!(error.help, Some(format!("did you mean `{meant}`?")), "{wrong}");
    }
    assert_eq!(check_fault(&["kubecontext"], 4, 0, "unknown-decoder").help, None);
}

#[test]
fn the_table_is_in_order_and_complete() {
    let names: Vec<_> = DECODERS.iter().map(|entry| entry.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for ours in ["inet_union", "int", "bool", "mac", "port", "uid", "signal", "proto"] {
        assert!(names.contains(&ours), "{ours}");
    }
    assert_eq!(names.len(), 28);
    assert!(DECODERS.iter().all(|entry| entry.summary.ends_with('.') || entry.summary.contains("`")));
}

#[test]
fn errors_and_skips_leave_the_output_as_it_was() {
    let only_a = Params { regexps: vec!["^a$".to_owned()], ..Params::default() };
    let named = Params { static_map: Some(Vec::new()), allow_unknown: true, ..Params::default() };
    let chain = |steps: &[(&str, &Params)]| {
        let steps: Vec<_> =
            steps.iter().map(|(name, params)| ((*name).to_owned(), (*params).clone())).collect();
        Chain::build(&steps, 2, &host()).unwrap()
    };
    let plain = Params::default();
    let mut out = b"page".to_vec();
    let mut scratch = b"left over".to_vec();

    let skipping = chain(&[("string", &plain), ("regexp", &only_a)]);
    assert_eq!(skipping.decode(b"b\0", &mut out, &mut scratch), Ok(Outcome::Skip));
    assert_eq!(out, b"page");
    assert_eq!(skipping.decode(b"a\0", &mut out, &mut scratch), Ok(Outcome::Label));
    assert_eq!(out, b"pagea");

    let failing = chain(&[("string", &plain), ("static_map", &named), ("errno", &plain)]);
    assert_eq!(failing.decode(b"xy", &mut out, &mut scratch), Err(DecodeError::NotANumber));
    assert_eq!(out, b"pagea");
    assert_eq!(failing.decode(b"2\0", &mut out, &mut scratch), Ok(Outcome::Label));
    assert_eq!(out, b"pageaENOENT");
}

#[test]
fn steady_state_does_not_grow_buffers() {
    let names = Params {
        static_map: Some(vec![("1".to_owned(), "read".to_owned())]),
        allow_unknown: true,
        ..Params::default()
    };
    let any = Params { regexps: vec!["^(.*)$".to_owned()], ..Params::default() };
    let steps = [
        ("uint".to_owned(), Params::default()),
        ("static_map".to_owned(), names),
        ("regexp".to_owned(), any),
        ("string".to_owned(), Params::default()),
    ];
    let chain = Chain::build(&steps, 4, &host()).unwrap();
    let mut out = Vec::with_capacity(64);
    let mut scratch = Vec::with_capacity(64);
    let before = (out.as_ptr(), scratch.as_ptr());
    for number in 0..1000_u32 {
        out.truncate(4);
        chain.decode(&number.to_ne_bytes(), &mut out, &mut scratch).unwrap();
    }
    assert_eq!(out, b"0rea999");
    assert_eq!((out.as_ptr(), scratch.as_ptr()), before);
}

#[track_caller]
fn check_number(names: &[&str], field: &[u8], expected: Result<Option<u64>, DecodeError>) {
    let chain = Chain::build(&steps(names), field.len(), &host()).unwrap();
    assert_eq!(chain.decode_number(field), expected, "{names:?} on {field:?}");
}

#[test]
fn bucket_labels_are_numbers() {
    check_number(&["uint"], &7_u32.to_ne_bytes(), Ok(Some(7)));
    check_number(&["uint"], &u64::MAX.to_ne_bytes(), Ok(Some(u64::MAX)));
    check_number(&["int"], &5_i32.to_ne_bytes(), Ok(Some(5)));
    check_number(&["int"], &(-5_i32).to_ne_bytes(), Err(DecodeError::NotANumber));
    check_number(&["port"], &80_u16.to_be_bytes(), Ok(Some(80)));
    check_number(&["string"], b"0x10\0\0", Ok(Some(16)));
    check_number(&["string"], b"010", Ok(Some(8)));
    check_number(&["string"], b"1_000", Ok(Some(1000)));
    check_number(&["string"], b"ten", Err(DecodeError::NotANumber));
    check_number(&["string"], b"\0", Err(DecodeError::NotANumber));
    let only_one = Params { regexps: vec!["^1$".to_owned()], ..Params::default() };
    let steps = [("uint".to_owned(), Params::default()), ("regexp".to_owned(), only_one)];
    let chain = Chain::build(&steps, 1, &host()).unwrap();
    assert_eq!(chain.decode_number(&[1]), Ok(Some(1)));
    assert_eq!(chain.decode_number(&[2]), Ok(None));
}

#[test]
fn traits_of_a_chain_are_those_of_all() {
    let traits = |names: &[&str], size| Chain::build(&steps(names), size, &host()).unwrap().traits();
    let pure = |injective| Traits { injective, dear: false, volatile: false, symbols: false };
    assert_eq!(traits(&["uint"], 4), pure(Injective::Always));
    assert_eq!(traits(&["string"], 4), pure(Injective::Canonical));
    assert_eq!(traits(&["uint", "errno"], 4), pure(Injective::Always));
    assert_eq!(traits(&["int", "errno"], 4), pure(Injective::Never));
    assert_eq!(traits(&["string", "hex"], 4), pure(Injective::Canonical));
    assert_eq!(traits(&["string", "dname"], 4), pure(Injective::Never));
    let named = Traits { injective: Injective::Never, dear: false, volatile: true, symbols: false };
    assert_eq!(traits(&["uint", "cgroup"], 8), named);
    let symbols = Traits { dear: true, symbols: true, ..named };
    assert_eq!(traits(&["ksym"], 8), symbols);
    assert_eq!(traits(&["kstack", "string"], 16), symbols);
}

#[test]
fn closed_lists_of_texts_go_through_the_chain() {
    let map = |pairs: &[(&str, &str)], allow_unknown| {
        let pairs = pairs.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect();
        let params = Params { static_map: Some(pairs), allow_unknown, ..Params::default() };
        ("static_map".to_owned(), params)
    };
    let plain = |name: &str| (name.to_owned(), Params::default());
    let values = vec![(1, "S_ONE".to_owned()), (2, "S_TWO".to_owned())];
    let named = || ("enum".to_owned(), Params { enumerators: Some(values.clone()), ..Params::default() });
    let only = |pattern: &str| {
        ("regexp".to_owned(), Params { regexps: vec![pattern.to_owned()], ..Params::default() })
    };
    let check = |steps: &[(String, Params)], expected: Option<&[&str]>| {
        let chain = Chain::build(steps, 4, &host()).unwrap();
        let texts = chain.texts().map(|texts| {
            texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>()
        });
        let expected = expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(texts, expected, "{steps:?}");
    };
    check(&[plain("uint")], None);
    check(&[plain("string"), only("^a$")], None);
    check(&[plain("bool")], Some(&["false", "true"]));
    check(&[plain("uint"), plain("bool")], Some(&["false", "true"]));
    let rows = [("0", "read"), ("1", "write"), ("2", "read"), ("0", "get")];
    check(&[plain("uint"), map(&rows, false)], Some(&["get", "write", "read"]));
    check(&[plain("uint"), map(&rows, true)], Some(&["get", "write", "read"]));
    check(&[plain("uint"), plain("static_map")], Some(&["empty mapping"]));
    check(&[named()], Some(&["S_ONE", "S_TWO"]));
    check(&[plain("uint"), named(), only("^S_(T.*)")], Some(&["TWO"]));
    check(&[named(), map(&[("S_ONE", "1st"), ("X", "x")], false)], Some(&["1st"]));
    check(&[named(), map(&[("S_ONE", "1st"), ("X", "x")], true)], Some(&["1st", "S_TWO"]));
    check(&[plain("uint"), map(&[("0", "7"), ("1", "007")], false), plain("uint")], Some(&["55"]));
    check(&[plain("uint"), map(&[("0", "1")], false), plain("uint"), plain("uid")], None);
}
