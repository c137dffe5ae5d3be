use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Tallies, Tally, TallySink};
use crate::decode::Canonical;
use crate::problem::Place;
use crate::snapshot::fixture::LiteralPrograms;
use crate::snapshot::{
    Bits, Limits, Loss, Losses, NamedStream, ReadError, Records, Reduce, Room, Sink, Source, Stream,
    StreamCounts, Taken, ValueKind, ValueSpec, View,
};
use crate::spec::{Amount, Condition, EventSpec, KeyPart, MetricKind, MetricSpec, SeriesLimit, ViewSpec};

/// `struct event { u32 kind; u32 user; s64 size; u8 flags; }`
const SIZE: usize = 24;
const KIND: ValueSpec = ValueSpec::unsigned(0, 4);
const SIZE_OF: ValueSpec = ValueSpec::signed(8, 8);

fn event(kind: u32, user: u32, size: i64, flags: u8) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..4].copy_from_slice(&kind.to_ne_bytes());
    bytes[4..8].copy_from_slice(&user.to_ne_bytes());
    bytes[8..16].copy_from_slice(&size.to_ne_bytes());
    bytes[16] = flags;
    bytes
}

fn spec(key: &[KeyPart], amount: Amount) -> EventSpec {
    EventSpec {
        buffer: "events".to_owned(),
        conditions: Vec::new(),
        key: key.to_vec(),
        most: None,
        rest: false,
        amount,
        flush: None,
        meaning: "meaning".to_owned(),
    }
}

fn bytes(offset: usize, size: usize) -> KeyPart {
    KeyPart::Bytes { offset, size }
}

fn when(value: ValueSpec, any_of: &[i128]) -> Condition {
    Condition { value, any_of: any_of.to_vec() }
}

/// Brings records to a sink; what was lost of them.
fn bring(sink: &mut dyn Sink, records: &[&[u8]], now: Instant) -> Vec<(Loss, u64)> {
    let mut all = Records::default();
    let needs = sink.needs();
    records.iter().for_each(|record| all.push(record.get(..needs).unwrap_or(record)));
    let mut losses = Losses::default();
    sink.record(&all, now, &mut losses);
    let mut lost = Vec::new();
    losses.settle(|loss, count| lost.push((loss, count)));
    lost
}

/// A stream that a test writes to.
#[derive(Default)]
struct Written {
    waiting: Mutex<Vec<Vec<u8>>>,
    sinks: Mutex<Vec<Box<dyn Sink>>>,
}

impl Written {
    fn write(&self, record: &[u8]) {
        self.waiting.lock().unwrap().push(record.to_vec());
    }
}

impl Stream for Written {
    fn connect(&self, sinks: Vec<Box<dyn Sink>>) -> Result<(), String> {
        *self.sinks.lock().unwrap() = sinks;
        Ok(())
    }

    fn drain(&self, deadline: Instant) -> Result<(), ReadError> {
        if Instant::now() > deadline {
            return Err(ReadError::Late);
        }
        let records = std::mem::take(&mut *self.waiting.lock().unwrap());
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        for sink in self.sinks.lock().unwrap().iter_mut() {
            assert!(bring(sink.as_mut(), &records, Instant::now()).is_empty());
        }
        Ok(())
    }

    fn counts(&self) -> StreamCounts {
        StreamCounts::default()
    }

    fn unread(&self) -> Option<u64> {
        None
    }
}

fn limits() -> Limits {
    Limits { deadline: Instant::now() + Duration::from_secs(10), max_bytes: usize::MAX }
}

/// All entries, sorted, with their numbers.
fn rows(source: &dyn Source) -> Vec<(Vec<u8>, Vec<u64>)> {
    let mut rows = Vec::new();
    let statistics = source
        .read(&limits(), &mut |batch| {
            let values = batch.values.chunks(batch.shape.value_size);
            for (key, value) in batch.keys.chunks(batch.shape.key_size).zip(values) {
                let words = value.chunks(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
                rows.push((key.to_vec(), words.collect()));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(statistics.entries, rows.len() as u64);
    rows.sort();
    rows
}

/// A tally with one sink, as a source.
fn tally(spec: &EventSpec) -> (TallySink, super::tally::TallySource) {
    let tally = Arc::new(Tally::new(spec));
    let source =
        super::tally::TallySource { tally: Arc::clone(&tally), stream: Arc::new(Written::default()) };
    (TallySink::new(spec, tally), source)
}

/// What is counted of some events.
#[track_caller]
fn check(spec: &EventSpec, events: &[&[u8]], expected: &[(&[u8], &[u64])], lost: &[(Loss, u64)]) {
    let (mut sink, source) = tally(spec);
    assert_eq!(bring(&mut sink, events, Instant::now()), lost);
    let expected: Vec<_> = expected.iter().map(|(key, words)| (key.to_vec(), words.to_vec())).collect();
    assert_eq!(rows(&source), expected);
}

#[test]
fn events_count_by_the_bytes_of_their_key() {
    let [one, two, three] = [event(1, 7, 100, 0), event(1, 8, -5, 0), event(2, 7, 50, 0)];
    let all: [&[u8]; 4] = [&one, &two, &three, &one];
    let (seven, eight) = (7u32.to_ne_bytes(), 8u32.to_ne_bytes());
    let user = bytes(4, 4);
    check(&spec(&[user], Amount::One), &all, &[(&seven, &[3]), (&eight, &[1])], &[]);
    check(&spec(&[], Amount::One), &all, &[(&[0; 4], &[4])], &[]);
    // Parts that do not lie side by side, in another order than in the record.
    let both = |user: u32, kind: u32| [user.to_ne_bytes(), kind.to_ne_bytes()].concat();
    check(
        &spec(&[user, bytes(0, 4)], Amount::One),
        &all,
        &[(&both(7, 1), &[2]), (&both(7, 2), &[1]), (&both(8, 1), &[1])],
        &[],
    );
    // Nothing of a counter is taken away.
    check(&spec(&[user], Amount::Number(SIZE_OF)), &all, &[(&seven, &[250])], &[(Loss::Decode, 1)]);
    let kinds = EventSpec { conditions: vec![when(KIND, &[2, 3])], ..spec(&[user], Amount::One) };
    check(&kinds, &all, &[(&seven, &[1])], &[]);
    let none = EventSpec { conditions: vec![when(KIND, &[-1, 1 << 40])], ..spec(&[user], Amount::One) };
    check(&none, &all, &[], &[]);
    let negative =
        EventSpec { conditions: vec![when(SIZE_OF, &[-5]), when(KIND, &[1])], ..spec(&[user], Amount::One) };
    check(&negative, &all, &[(&eight, &[1])], &[]);
}

#[test]
fn bit_fields_are_keys_and_conditions() {
    let low = Bits { shift: 1, width: 3, signed: false };
    let flags = ValueSpec { offset: 16, width: 1, kind: ValueKind::Bits(low) };
    let field = KeyPart::Bits { offset: 16, size: 1, bits: low };
    let all = [event(0, 0, 0, 0b1011), event(0, 0, 0, 0b1010), event(0, 0, 0, 0b1110)];
    let all: Vec<&[u8]> = all.iter().map(|event| event.as_slice()).collect();
    let (five, seven) = (5u64.to_ne_bytes(), 7u64.to_ne_bytes());
    check(&spec(&[field], Amount::One), &all, &[(&five, &[2]), (&seven, &[1])], &[]);
    let conditions = vec![when(flags, &[5])];
    check(&EventSpec { conditions, ..spec(&[field], Amount::One) }, &all, &[(&five, &[2])], &[]);
}

#[test]
fn a_short_record_is_lost_to_whom_it_matters() {
    let whole = event(1, 7, 5, 0);
    let seven = 7u32.to_ne_bytes();
    let records: [&[u8]; 4] = [&whole, &whole[..8], &whole[..7], &[]];
    check(&spec(&[bytes(4, 4)], Amount::One), &records, &[(&seven, &[2])], &[(Loss::Decode, 2)]);
    check(&spec(&[bytes(4, 4)], Amount::Number(SIZE_OF)), &records, &[(&seven, &[5])], &[(Loss::Decode, 3)]);
    // What is of another kind may be as short as it likes, once its kind is known.
    let conditions = vec![when(KIND, &[2])];
    let other = EventSpec { conditions, ..spec(&[bytes(4, 4)], Amount::Number(SIZE_OF)) };
    check(&other, &records, &[], &[(Loss::Decode, 1)]);
    check(&spec(&[], Amount::One), &records, &[(&[0; 4], &[4])], &[]);
}

#[test]
fn observations_fall_in_the_first_bucket_that_holds_them() {
    let observed = |value| Amount::Observed { value, bounds: vec![-1, 10, 100] };
    let all: Vec<_> = [-7, -1, 0, 10, 11, 100, 101, i64::MAX].map(|size| event(0, 0, size, 0)).into();
    let all: Vec<&[u8]> = all.iter().map(|event| event.as_slice()).collect();
    let sum = (-7i64 - 1 + 10 + 11 + 100 + 101).wrapping_add(i64::MAX).cast_unsigned();
    check(&spec(&[], observed(SIZE_OF)), &all, &[(&[0; 4], &[2, 2, 2, 2, sum])], &[]);
    // The same bytes as numbers without a sign: what was negative is above all bounds.
    let unsigned = ValueSpec::unsigned(8, 8);
    check(&spec(&[], observed(unsigned)), &all, &[(&[0; 4], &[0, 2, 2, 4, sum])], &[]);
}

#[test]
fn floats_add_up_unless_they_are_no_numbers() {
    let double = ValueSpec { offset: 8, width: 8, kind: ValueKind::Float };
    let all: Vec<_> = [0.5f64, 0.25, f64::NAN, -1.0, f64::INFINITY]
        .map(|size| event(0, 0, size.to_bits().cast_signed(), 0))
        .into();
    let all: Vec<&[u8]> = all.iter().map(|event| event.as_slice()).collect();
    check(&spec(&[], Amount::Number(double)), &all, &[(&[0; 4], &[0.75f64.to_bits()])], &[(Loss::Decode, 3)]);
}

#[test]
fn a_full_tally_counts_what_it_knows_and_loses_the_rest() {
    let wide = spec(&[bytes(0, 1 << 18)], Amount::One);
    let (mut sink, source) = tally(&wide);
    let limit = source.max_entries().unwrap();
    assert_eq!(limit, 64, "of keys this large");
    let record = |nth: u64| {
        let mut record = vec![0; 1 << 18];
        record[..8].copy_from_slice(&nth.to_ne_bytes());
        record
    };
    for nth in 0..limit {
        assert!(bring(&mut sink, &[&record(nth)], Instant::now()).is_empty());
    }
    let lost = bring(&mut sink, &[&record(limit), &record(3), &record(limit + 1)], Instant::now());
    assert_eq!(lost, [(Loss::SeriesLimit, 2)]);
    let rows = rows(&source);
    assert_eq!(rows.len(), 64);
    assert_eq!(rows.iter().map(|(_, words)| words[0]).sum::<u64>(), 65);
    assert_eq!(tally(&spec(&[bytes(0, 4)], Amount::One)).1.max_entries(), Some(65_536));
}

/// Room for two users; who comes later is one of the rest.
fn two_users(amount: Amount) -> EventSpec {
    EventSpec { most: Some(2), rest: true, ..spec(&[bytes(4, 4)], amount) }
}

/// The key of a user, and that of the rest.
fn user(user: u32) -> Vec<u8> {
    [&user.to_ne_bytes()[..], &[0]].concat()
}

const REST_KEY: [u8; 5] = [0, 0, 0, 0, 1];

#[test]
fn a_full_tally_counts_what_it_does_not_know_together() {
    let all = [7, 8, 9, 7, 10, 9, 0].map(|user| event(1, user, 5, 0));
    let all: Vec<&[u8]> = all.iter().map(|event| event.as_slice()).collect();
    let (seven, eight) = (user(7), user(8));
    check(&two_users(Amount::One), &all, &[(&REST_KEY, &[4]), (&seven, &[2]), (&eight, &[1])], &[]);
    let sums = [(&REST_KEY[..], &[20u64][..]), (&seven, &[10]), (&eight, &[5])];
    check(&two_users(Amount::Number(SIZE_OF)), &all, &sums, &[]);
    let observed = Amount::Observed { value: SIZE_OF, bounds: vec![4, 10] };
    let slots = [(&REST_KEY[..], &[0u64, 4, 0, 20][..]), (&seven, &[0, 2, 0, 10]), (&eight, &[0, 1, 0, 5])];
    check(&two_users(observed), &all, &slots, &[]);
    // What cannot be counted at all is lost all the same.
    check(&two_users(Amount::One), &[&all[0][..5]], &[], &[(Loss::Decode, 1)]);
}

#[test]
fn long_keys_have_a_rest_too() {
    let spec = EventSpec { most: Some(1), rest: true, ..spec(&[bytes(0, SIZE)], Amount::One) };
    let (one, two) = (event(1, 2, 3, 4), event(5, 6, 7, 8));
    let (first, rest) = ([&one[..], &[0]].concat(), [&[0; SIZE][..], &[1]].concat());
    check(&spec, &[&one, &two, &one, &two, &two], &[(&rest, &[3]), (&first, &[2])], &[]);
    assert_eq!(spec.rest_key(), Some(rest));
}

#[test]
fn a_place_that_is_given_up_is_for_the_next_one() {
    let (mut sink, source) = tally(&two_users(Amount::One));
    let mut bring_users = |users: &[u32]| {
        let all: Vec<_> = users.iter().map(|user| event(1, *user, 0, 0)).collect();
        let all: Vec<&[u8]> = all.iter().map(|event| event.as_slice()).collect();
        assert!(bring(&mut sink, &all, Instant::now()).is_empty());
        rows(&source)
    };
    let take = |key: &[u8], count: u64| {
        assert_eq!(source.take(key, &count.to_ne_bytes(), &mut Vec::new()).unwrap(), Taken::Out);
    };
    let rest = REST_KEY.to_vec();
    assert_eq!(bring_users(&[7, 8, 9]), [(rest.clone(), vec![1]), (user(7), vec![1]), (user(8), vec![1])]);
    take(&user(7), 1);
    assert_eq!(bring_users(&[9, 10]), [(rest.clone(), vec![2]), (user(8), vec![1]), (user(9), vec![1])]);
    take(&rest, 2);
    assert_eq!(bring_users(&[8]), [(user(8), vec![2]), (user(9), vec![1])]);
    assert_eq!(bring_users(&[10]), [(rest, vec![1]), (user(8), vec![2]), (user(9), vec![1])]);
    // One more than the users, so that nothing takes it for a map that cannot be outgrown.
    assert_eq!((source.max_entries(), source.room()), (Some(3), Room::Merges));
}

#[test]
fn there_is_room_for_what_the_next_version_wants() {
    let spec = |most| EventSpec { most: Some(most), ..two_users(Amount::One) };
    let version = |most| ViewSpec {
        metrics: vec![MetricSpec { key_size: 5, ..metric("a", spec(most)) }],
        ..view_spec(&[])
    };
    let stream = Arc::new(Written::default());
    let streams = vec![NamedStream { map: "events".to_owned(), stream: Arc::clone(&stream) as _ }];
    let programs = Arc::new(LiteralPrograms::default());
    let view =
        View { config: "c".to_owned(), sources: Vec::new(), streams, programs, cgroups: Arc::default() };
    let mut tallies = Tallies::default();
    // Of the rest, and of two users; who is there stays.
    for (most, expected) in [(1, [2, 1, 0]), (2, [3, 2, 1]), (1, [4, 3, 2])] {
        tallies = Tallies::new(&version(most), &tallies);
        stream.connect(tallies.sinks("events")).unwrap();
        for user in [7, 8, 9] {
            stream.write(&event(1, user, 0, 0));
        }
        let source = &tallies.complete(&view).sources[0].source;
        let rows = rows(source.as_ref());
        let of = |key: Vec<u8>| rows.iter().find(|(known, _)| *known == key).map_or(0, |(_, words)| words[0]);
        assert_eq!([of(REST_KEY.to_vec()), of(user(7)), of(user(8))], expected);
    }
}

#[test]
fn texts_count_by_what_they_mean() {
    let text = |offset, size, form| KeyPart::Text { offset, size, form };
    let one_key = |key: &[KeyPart], events: &[&[u8]], expected: &[u8]| {
        check(&spec(key, Amount::One), events, &[(expected, &[events.len() as u64])], &[]);
    };
    let comm = text(2, 8, Canonical::Text);
    one_key(&[comm], &[b"..sh\0\0\0\0\0\0", b"..sh\0old\0t"], b"sh\0\0\0\0\0\0");
    let name = text(1, 20, Canonical::DnsName);
    let names: [&[u8]; 2] =
        [b".\x03wWw\x03Org\0ten more bytes.", b".\x03www\x03org\0\0\0\0\0\0\0\0\0\0\0\0\0."];
    one_key(&[name], &names, b"\x03www\x03org\0\0\0\0\0\0\0\0\0\0\0\0");
    one_key(&[bytes(0, 1), name], &names, b".\x03www\x03org\0\0\0\0\0\0\0\0\0\0\0\0");
}

#[test]
fn metrics_with_the_same_key_and_conditions_share_a_sink() {
    let metrics = |specs: Vec<EventSpec>| {
        let metrics =
            specs.into_iter().enumerate().map(|(nth, spec)| metric(&format!("m{nth}"), spec)).collect();
        ViewSpec { metrics, ..view_spec(&[]) }
    };
    let user = || spec(&[bytes(4, 4)], Amount::One);
    let added = || EventSpec { amount: Amount::Number(SIZE_OF), ..user() };
    let other = || EventSpec { conditions: vec![when(KIND, &[1])], ..user() };
    let elsewhere = || EventSpec { buffer: "others".to_owned(), ..user() };
    for (specs, expected) in [
        (vec![], vec![]),
        (vec![user(), added(), user()], vec![16]),
        (vec![user(), other(), added(), other()], vec![16, 8]),
        (vec![user(), spec(&[], Amount::One), elsewhere()], vec![8, 0]),
    ] {
        let sinks = Tallies::new(&metrics(specs), &Tallies::default()).sinks("events");
        assert_eq!(sinks.iter().map(|sink| sink.needs()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn everything_is_forgotten_when_it_is_due() {
    let minute = Duration::from_secs(60);
    let (mut sink, source) = tally(&EventSpec { flush: Some(minute), ..spec(&[], Amount::One) });
    let begin = Instant::now();
    let epoch = || source.read(&limits(), &mut |_| Ok(())).unwrap().epoch;
    let mut at = |seconds: u64, events: &[&[u8]]| {
        assert!(bring(&mut sink, events, begin + Duration::from_secs(seconds)).is_empty());
        rows(&source).first().map_or(0, |(_, words)| words[0])
    };
    assert_eq!((at(0, &[b"a", b"b"]), at(59, &[b"c"]), epoch()), (2, 3, 0));
    // Also when no event comes.
    assert_eq!((at(60, &[]), epoch()), (0, 1));
    assert_eq!((at(61, &[b"d"]), at(119, &[b"d"]), at(120, &[b"e"]), epoch()), (1, 2, 1, 2));
}

proptest! {
    #[test]
    fn a_tally_counts_like_a_map(users in prop::collection::vec((0u32..20, any::<bool>()), 0..200)) {
        let (mut sink, source) = tally(&spec(&[bytes(4, 4)], Amount::One));
        let mut expected = std::collections::BTreeMap::<Vec<u8>, u64>::new();
        for (user, is_taken_out) in users {
            let key = user.to_ne_bytes().to_vec();
            if is_taken_out {
                let known = expected.remove(&key).unwrap_or(0);
                let mut last = Vec::new();
                prop_assert_eq!(source.take(&key, &(known + 1).to_ne_bytes(), &mut last).unwrap(),
                    if known == 0 { Taken::Gone } else { Taken::Changed });
                let taken = source.take(&key, &known.to_ne_bytes(), &mut last).unwrap();
                prop_assert_eq!(taken, if known == 0 { Taken::Gone } else { Taken::Out });
                prop_assert!(known == 0 || last == known.to_ne_bytes());
            } else {
                prop_assert!(bring(&mut sink, &[&event(0, user, 0, 0)], Instant::now()).is_empty());
                *expected.entry(key).or_default() += 1;
            }
            let expected: Vec<_> = expected.iter().map(|(key, count)| (key.clone(), vec![*count])).collect();
            prop_assert_eq!(rows(&source), expected);
        }
    }

    /// Whatever records come in one batch, and whatever is taken out between batches.
    #[test]
    fn metrics_that_share_a_sink_count_like_those_with_their_own(
        batches in prop::collection::vec(prop::collection::vec((0u32..3, 0u32..9, -3i64..40, 0usize..30), 0..30), 0..5),
        has_conditions: bool, key in 0usize..4, taken in 0u32..9,
    ) {
        let keys = [vec![], vec![bytes(4, 4)], vec![bytes(0, 4), bytes(4, 4)], vec![bytes(0, 16), bytes(4, 4)]];
        let conditions = if has_conditions { vec![when(KIND, &[0, 2, 70])] } else { Vec::new() };
        let observed = Amount::Observed { value: SIZE_OF, bounds: vec![-2, 0, 7, 30] };
        let flags = Amount::Number(ValueSpec::unsigned(16, 1));
        let amounts = [Amount::One, Amount::Number(SIZE_OF), Amount::One, observed, flags];
        let specs = amounts.map(|amount| EventSpec { conditions: conditions.clone(), ..spec(&keys[key], amount) });
        let alone = [0, 1, 2, 3, 4].map(|nth| tally(&specs[nth]));
        let (mut shared, first) = tally(&specs[0]);
        let others: Vec<_> = specs[1..].iter().map(|spec| {
            let (_, source) = tally(spec);
            shared.add(spec, Arc::clone(&source.tally));
            source
        }).collect();
        let together: Vec<_> = std::iter::once(first).chain(others).collect();
        let (mut sinks, sources): (Vec<_>, Vec<_>) = alone.into_iter().unzip();
        for batch in batches {
            // Whole ones, and those that end early.
            let records: Vec<Vec<u8>> = batch.iter().map(|(kind, user, size, length)| {
                event(*kind, *user, *size, 5)[..SIZE.min(*length + 6)].to_vec()
            }).collect();
            let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
            let lost: Vec<_> = sinks.iter_mut().map(|sink| bring(sink, &records, Instant::now())).collect();
            let most = lost.iter().flatten().map(|(_, count)| *count).max().unwrap_or(0);
            let all = bring(&mut shared, &records, Instant::now());
            // A record is lost once, however many could not use it.
            let all = all.iter().map(|(_, count)| *count).max().unwrap_or(0);
            prop_assert!((most..=records.len() as u64).contains(&all));
            for (own, shared) in sources.iter().zip(&together) {
                prop_assert_eq!(rows(own), rows(shared));
                let key = taken.to_ne_bytes();
                for source in [own, shared] {
                    let value = rows(source).into_iter().find(|(known, _)| known == &key);
                    if let Some((_, words)) = value {
                        let words: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                        prop_assert_eq!(source.take(&key, &words, &mut Vec::new()).unwrap(), Taken::Out);
                    }
                }
            }
        }
    }

    /// Whatever a program writes.
    #[test]
    fn no_record_is_too_odd(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
        offset in 0usize..40, size in 1usize..40, kind in 0u8..4,
    ) {
        let amount = match kind {
            0 => Amount::One,
            1 => Amount::Number(SIZE_OF),
            2 => Amount::Number(ValueSpec { offset, width: 4, kind: ValueKind::Float }),
            _ => Amount::Observed { value: ValueSpec::unsigned(offset, 2), bounds: vec![1, 1000] },
        };
        let spec = EventSpec { conditions: vec![when(ValueSpec::unsigned(0, 1), &(0..200).collect::<Vec<_>>())],
            ..spec(&[bytes(offset, size)], amount) };
        let (mut sink, source) = tally(&spec);
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let lost: u64 = bring(&mut sink, &slices, Instant::now()).iter().map(|(_, count)| count).sum();
        let passed = records.iter().filter(|record| record.first().is_some_and(|first| *first >= 200)).count();
        if kind == 0 {
            let counted: u64 = rows(&source).iter().map(|(_, words)| words[0]).sum();
            prop_assert_eq!(counted + lost + passed as u64, records.len() as u64);
        }
    }
}

fn metric(family: &str, spec: EventSpec) -> MetricSpec {
    MetricSpec {
        family: family.to_owned(),
        name: family.to_owned(),
        help: "Help".to_owned(),
        kind: MetricKind::Counter,
        map: format!("events:{family}"),
        area: None,
        events: Some(spec),
        key_size: 4,
        labels: Vec::new(),
        value: ValueSpec::unsigned(0, 8),
        scale: 1.0,
        reduce: Reduce::Sum,
        zero: false,
        limit: SeriesLimit::default(),
        place: Place::default(),
    }
}

/// Metrics by their families, each with what it means.
fn view_spec(metrics: &[(&str, &str)]) -> ViewSpec {
    let one = |(family, meaning): &(&str, &str)| {
        let meaning = (*meaning).to_owned();
        metric(family, EventSpec { meaning, ..spec(&[], Amount::One) })
    };
    let metrics = metrics.iter().map(one).collect();
    ViewSpec { name: "c".to_owned(), metrics, expiries: Vec::new(), losses: Vec::new(), spans: Vec::new() }
}

/// What each metric of the next version says after one event came before it.
#[track_caller]
fn check_next(before: &[(&str, &str)], next: &[(&str, &str)], expected: &[u64], ending: &[&str]) {
    let stream = Arc::new(Written::default());
    let streams = vec![NamedStream { map: "events".to_owned(), stream: Arc::clone(&stream) as _ }];
    let programs = Arc::new(LiteralPrograms::default());
    let view =
        View { config: "c".to_owned(), sources: Vec::new(), streams, programs, cgroups: Arc::default() };
    let old = Tallies::new(&view_spec(before), &Tallies::default());
    stream.connect(old.sinks("events")).unwrap();
    stream.write(&[]);
    old.complete(&view).sources.iter().for_each(|named| assert_eq!(rows(named.source.as_ref()).len(), 1));
    let new = Tallies::new(&view_spec(next), &old);
    stream.connect(new.sinks("events")).unwrap();
    stream.write(&[]);
    let counts: Vec<u64> = new
        .complete(&view)
        .sources
        .iter()
        .map(|named| rows(named.source.as_ref()).iter().map(|(_, words)| words[0]).sum())
        .collect();
    assert_eq!(counts, expected);
    assert_eq!(old.ending(&new).collect::<Vec<_>>(), ending);
}

#[test]
fn a_tally_goes_on_while_it_means_the_same() {
    check_next(&[("a", "x")], &[("a", "x")], &[2], &[]);
    check_next(&[("a", "x")], &[("a", "y")], &[1], &["events:a"]);
    check_next(&[("a", "x"), ("b", "y")], &[("b", "y"), ("a", "x")], &[2, 2], &[]);
    // Under another name, unless the name is still there.
    check_next(&[("a", "x")], &[("b", "x")], &[2], &[]);
    check_next(&[("a", "x")], &[("b", "x"), ("a", "x")], &[1, 2], &[]);
    // One tally is never given to two.
    check_next(&[("a", "x")], &[("a", "x"), ("a", "x")], &[2, 1], &[]);
    check_next(&[("a", "x"), ("a", "x")], &[("a", "x")], &[2], &["events:a"]);
    check_next(&[("a", "x")], &[], &[], &["events:a"]);
}

#[test]
fn without_its_buffer_a_tally_is_no_source() {
    let tallies = Tallies::new(&view_spec(&[("a", "x")]), &Tallies::default());
    let programs = Arc::new(LiteralPrograms::default());
    let view = View {
        config: "c".to_owned(),
        sources: Vec::new(),
        streams: Vec::new(),
        programs,
        cgroups: Arc::default(),
    };
    assert!(tallies.complete(&view).sources.is_empty());
    assert!(tallies.sinks("another").is_empty());
}
