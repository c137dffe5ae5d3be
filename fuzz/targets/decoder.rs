//! A chain of decoders and keys: the laws that hold for every decoder and every input.
//!
//! An input is text up to the first empty line, which says the chain, one word or two a line
//! (`decoder static_map`, `map 1=one`, `regexp ^eth`, ...), and two keys of the same size.

#![no_main]

mod shared;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use bpftally::decode::{Chain, Injective, Outcome, Params};
use bpftally::host::Host;
use bpftally::page::{Family, TextPage, Type};
use bpftally::series::Number;
use libfuzzer_sys::fuzz_target;

/// No config that is written by hand has more.
const MOST_STEPS: usize = 8;
/// Larger ones only repeat what smaller ones do.
const MOST_BYTES: usize = 256;

static HOST: LazyLock<Arc<Host>> = LazyLock::new(shared::host);

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\n\n") else { return };
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return };
    let keys = &bytes[end + 2..];
    let size = (keys.len() / 2).min(MOST_BYTES);
    let (one, other) = (&keys[..size], &keys[size..2 * size]);
    let Ok(chain) = Chain::build(&steps(text), size, &HOST) else { return };
    let labels = (label(&chain, one), label(&chain, other));
    // Whatever a packet holds, a name is plain text, and the last decoder has the last word.
    if text.lines().rfind(|line| line.starts_with("decoder ")) == Some("decoder dns_name") {
        let is_plain = |label: &Vec<u8>| label.iter().all(|byte| (b' '..=b'~').contains(byte));
        assert!(
            labels.0.as_ref().is_none_or(is_plain) && labels.1.as_ref().is_none_or(is_plain),
            "{labels:?}"
        );
    }
    let claimed = match chain.traits().injective {
        Injective::Never => false,
        Injective::Canonical => canonical(one) && canonical(other),
        Injective::Always => true,
    };
    if let (true, (Some(left), Some(right))) = (claimed && one != other, &labels) {
        assert_ne!(left, right, "{text}\n{one:02x?} {other:02x?}");
    }
    // A decoder trusts no size that it was built for.
    for field in [keys, &one[..size / 2]] {
        let _ = label(&chain, field);
    }
});

/// The chain that lines of text describe.
fn steps(text: &str) -> Vec<(String, Params)> {
    let mut steps: Vec<(String, Params)> = Vec::new();
    for line in text.split('\n') {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "decoder" {
            steps.push((rest.to_owned(), Params::default()));
        }
        let Some((_, params)) = steps.last_mut() else { continue };
        match word {
            "map" => {
                let (key, name) = rest.split_once('=').unwrap_or((rest, ""));
                params.static_map.get_or_insert_default().push((key.to_owned(), name.to_owned()));
            }
            "value" => {
                let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
                let number = number.parse().unwrap_or_default();
                // No BTF has numbers beyond 64 bits.
                if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number) {
                    params.enumerators.get_or_insert_default().push((number, name.to_owned()));
                }
            }
            "regexp" => params.regexps.push(rest.to_owned()),
            "strip_prefix" => params.strip_prefix = rest.to_owned(),
            "strip_suffix" => params.strip_suffix = rest.to_owned(),
            "lower" => params.lower = true,
            "allow_unknown" => params.allow_unknown = true,
            _ => {}
        }
    }
    steps.truncate(MOST_STEPS);
    steps
}

/// The label of a field, with everything that holds for any.
fn label(chain: &Chain, field: &[u8]) -> Option<Vec<u8>> {
    let (mut page, mut scratch) = (b"page".to_vec(), b"whatever".to_vec());
    let outcome = chain.decode(field, &mut page, &mut scratch);
    let label = page.strip_prefix(b"page").expect("what was there stays").to_vec();
    let mut clean = Vec::new();
    assert_eq!(chain.decode(field, &mut clean, &mut Vec::new()), outcome, "it depends on the buffers");
    assert_eq!(clean, label, "it depends on the buffers");
    let number = chain.decode_number(field);
    if outcome != Ok(Outcome::Label) {
        assert!(label.is_empty(), "half a label stays behind");
        assert!(!matches!(number, Ok(Some(_))), "a slot without a label");
        return None;
    }
    if let Ok(Some(number)) = number {
        let text = String::from_utf8_lossy(&label);
        assert_eq!(bpftally::decode::parse_unsigned(text.as_bytes()), Some(number), "{text:?}");
    }
    let texts = chain.texts().unwrap_or_default();
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len(), "a text is listed twice");
    on_a_page(&label);
    Some(label)
}

/// Whatever a label holds, the page is text of three lines.
fn on_a_page(label: &[u8]) {
    let family = Family::new("family", "help", Type::Counter, ["label"]);
    let mut page = TextPage::default();
    page.begin_family(&family);
    page.row(&family, std::iter::once(label), Number::ZERO);
    let bytes: Vec<u8> = page.finish().finish().concat();
    let text = String::from_utf8(bytes).expect("a page is UTF-8");
    assert_eq!(text.matches('\n').count(), 3, "{text:?}");
}

/// Valid UTF-8 before the first NUL, zeros after it.
fn canonical(field: &[u8]) -> bool {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).is_ok() && field[text.len()..].iter().all(|byte| *byte == 0)
}
