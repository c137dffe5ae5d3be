//! A DNS name as a packet has it, against a reader that does the same the slow way.

#![no_main]

mod shared;

use std::sync::{Arc, LazyLock};

use bpftally::decode::{Canonical, Chain, Params};
use bpftally::host::Host;
use libfuzzer_sys::fuzz_target;

static HOST: LazyLock<Arc<Host>> = LazyLock::new(shared::host);

fuzz_target!(|field: &[u8]| {
    let steps = [("dns_name".to_owned(), Params::default())];
    let chain = Chain::build(&steps, field.len(), &HOST).expect("it takes any field");
    let name = text(&chain, field);
    assert_eq!(name, slowly(field).unwrap_or_else(|| "malformed name".to_owned()));
    assert!(name.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}");
    // The form of all fields with this name has it, too, and is the form of itself.
    let mut form = field.to_vec();
    Canonical::DnsName.apply(&mut form);
    assert_eq!(text(&chain, &form), name);
    let mut again = form.clone();
    Canonical::DnsName.apply(&mut again);
    assert_eq!(again, form);
    // Whatever is written in capital letters is the same.
    if name != "malformed name" {
        let mut capitals = field.to_vec();
        let mut at = 0;
        while let Some(length) = capitals.get(at).copied().filter(|length| *length != 0) {
            let end = at + 1 + usize::from(length);
            capitals[at + 1..end].make_ascii_uppercase();
            at = end;
        }
        assert_eq!(text(&chain, &capitals), name);
        Canonical::DnsName.apply(&mut capitals);
        assert_eq!(capitals, form);
    }
});

fn text(chain: &Chain, field: &[u8]) -> String {
    let mut out = Vec::new();
    chain.decode(field, &mut out, &mut Vec::new()).expect("whatever it holds is decoded");
    String::from_utf8(out).expect("a name is ASCII")
}

/// RFC 1035: labels of 63 bytes at most, 255 bytes with all lengths and the end, which may be that of the field.
fn slowly(field: &[u8]) -> Option<String> {
    let mut labels: Vec<Vec<u8>> = Vec::new();
    let mut bytes = field.iter().copied();
    while let Some(length) = bytes.next().filter(|length| *length != 0) {
        let label: Vec<u8> = bytes.by_ref().take(length.into()).collect();
        if length > 63 || label.len() != usize::from(length) {
            return None;
        }
        labels.push(label);
        if labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1 > 255 {
            return None;
        }
    }
    if labels.is_empty() {
        return Some(".".to_owned());
    }
    let texts = labels.into_iter().map(|label| {
        let texts = label.into_iter().map(|byte| match byte.to_ascii_lowercase() {
            b'.' => "\\.".to_owned(),
            b'\\' => "\\\\".to_owned(),
            plain @ 33..=126 => char::from(plain).to_string(),
            other => format!("\\{other:03}"),
        });
        texts.collect::<String>()
    });
    Some(texts.collect::<Vec<_>>().join("."))
}
