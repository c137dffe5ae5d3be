//! Records of a buffer, against a metric that is made of them.
//!
//! An input is a metric, some bytes that say where its members are, and then records: a byte for the length of each.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bpftally::decode::Canonical;
use bpftally::events::{Tally, TallySink};
use bpftally::snapshot::{Bits, Loss, Losses, Records, Sink, ValueKind, ValueSpec};
use bpftally::spec::{Amount, Condition, EventSpec, KeyPart};
use libfuzzer_sys::fuzz_target;

/// Bytes that describe the metric.
const HEAD: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, mut rest)) = bytes.split_at_checked(HEAD) else { return };
    let spec = spec(head);
    let tally = Arc::new(Tally::new(&spec));
    let mut sink = TallySink::new(&spec, Arc::clone(&tally));
    let (needs, mut records, mut whole) = (sink.needs(), Records::new(), Vec::new());
    while let Some((length, behind)) = rest.split_first() {
        let (record, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        // As a buffer does it: nobody sees more than somebody looks at.
        records.push(record.get(..needs).unwrap_or(record));
        whole.push(record);
        rest = behind;
    }
    let mut losses = Losses::default();
    sink.record(&records, Instant::now(), &mut losses);
    let mut lost = BTreeMap::new();
    losses.settle(|loss, count| {
        lost.insert(loss, count);
    });
    assert!(!lost.contains_key(&Loss::Full), "only a buffer is full");
    // Whoever gets the records one by one, and whole, counts the same.
    let alone = Arc::new(Tally::new(&spec));
    let mut sink = TallySink::new(&spec, Arc::clone(&alone));
    let mut again = BTreeMap::new();
    for record in &whole {
        let mut records = Records::new();
        records.push(record);
        sink.record(&records, Instant::now(), &mut losses);
        losses.settle(|loss, count| *again.entry(loss).or_default() += count);
    }
    assert_eq!(lost, again, "{spec:?}");
    assert_eq!(tally.entries(), alone.entries(), "{spec:?}");
    let counted: u64 = match spec.amount {
        Amount::One => tally.entries().values().map(|words| words[0]).sum(),
        // All slots, and not the sum behind them.
        Amount::Observed { .. } => tally.entries().values().flat_map(|words| &words[..words.len() - 1]).sum(),
        Amount::Number(_) => return,
    };
    let lost: u64 = lost.values().sum();
    let passed = whole.len() as u64 - lost - counted;
    assert!(passed == 0 || !spec.conditions.is_empty(), "{passed} of {spec:?}");
});

fn spec(head: &[u8]) -> EventSpec {
    let at = |index: usize| usize::from(head[index]);
    let value = |index: usize| {
        let bits = Bits {
            shift: u32::from(head[index + 2] % 8),
            width: 1 + u32::from(head[index + 1] % 8),
            signed: at(index) % 2 == 1,
        };
        let kind = match head[index + 1] / 64 {
            0 => ValueKind::Unsigned,
            1 => ValueKind::Signed,
            2 => ValueKind::Bits(bits),
            _ => ValueKind::Float,
        };
        let width = match kind {
            ValueKind::Bits(_) => 2,
            ValueKind::Float => 4 << (at(index + 2) % 2),
            _ => 1 << (at(index + 2) % 4),
        };
        ValueSpec { offset: at(index), width, kind }
    };
    let integer =
        |index: usize| ValueSpec { kind: ValueKind::Signed, width: 1 << (at(index + 2) % 4), ..value(index) };
    let part = |index: usize| match value(index) {
        ValueSpec { offset, width, kind: ValueKind::Bits(bits) } => {
            KeyPart::Bits { offset, size: width, bits }
        }
        ValueSpec { offset, kind: ValueKind::Signed, .. } => {
            let form = if at(index + 1) % 2 == 0 { Canonical::Text } else { Canonical::DnsName };
            KeyPart::Text { offset, size: 1 + at(index + 2), form }
        }
        ValueSpec { offset, .. } => KeyPart::Bytes { offset, size: 1 + at(index + 2) },
    };
    let amount = match head[0] % 3 {
        0 => Amount::One,
        1 => Amount::Number(value(1)),
        _ => Amount::Observed { value: integer(1), bounds: vec![-100, 0, i128::from(head[3]), 1 << 40] },
    };
    let condition = Condition { value: integer(4), any_of: (0..i128::from(head[7])).collect() };
    EventSpec {
        buffer: String::new(),
        conditions: if head[0] & 16 == 0 { vec![] } else { vec![condition] },
        key: (0..usize::from(head[0] >> 6)).map(|nth| part(8 + nth * 2)).collect(),
        most: (head[15] > 127).then_some(at(15) % 8),
        rest: head[15] & 64 != 0,
        amount,
        flush: None,
        meaning: String::new(),
    }
}
