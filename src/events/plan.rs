//! Which records count, and by which key.

use super::key::{Key, KeyPlan, SHORT, halves};
use super::load::Number;
use super::slots::Slots;
use crate::series::NumberKind;
use crate::snapshot::{Loss, Losses, Records};
use crate::spec::{Condition, EventSpec, ValueSpec};

/// Which records count.
#[derive(Debug)]
pub struct Conditions(Vec<Test>);

/// What a number of a record may be.
#[derive(Debug)]
struct Test {
    value: ValueSpec,
    /// Numbers below 64, a bit for each.
    small: u64,
    /// The others.
    large: Vec<u64>,
}

impl Conditions {
    /// Records that fulfil all of these.
    #[must_use]
    pub fn new(conditions: &[Condition]) -> Self {
        Self(conditions.iter().map(Test::new).collect())
    }

    /// How far it looks into a record.
    #[must_use]
    pub fn needs(&self) -> usize {
        self.0.iter().map(|test| end(&test.value)).max().unwrap_or(0)
    }

    /// Whether a record counts; none when it ends before that is known.
    #[must_use]
    #[inline]
    pub fn are_met(&self, record: &[u8]) -> Option<bool> {
        for test in &self.0 {
            if !test.allows(test.value.bits_of(record)?) {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Test {
    fn new(condition: &Condition) -> Self {
        let bits = |number: &i128| match condition.value.number_kind() {
            NumberKind::I64 => i64::try_from(*number).ok().map(i64::cast_unsigned),
            NumberKind::U64 | NumberKind::F64 => u64::try_from(*number).ok(),
        };
        let (small, large): (Vec<u64>, _) =
            condition.any_of.iter().filter_map(bits).partition(|number| *number < u64::BITS.into());
        let small = small.iter().fold(0, |all, number| all | 1 << number);
        Self { value: condition.value, small, large }
    }

    #[inline]
    fn allows(&self, number: u64) -> bool {
        if number < u64::BITS.into() { self.small >> number & 1 == 1 } else { self.large.contains(&number) }
    }
}

/// Which records count, and where.
#[derive(Debug)]
pub(super) struct Plan {
    conditions: Conditions,
    key: KeyPlan,
    /// Whether keys are short.
    is_short: bool,
    /// How far it looks into a record.
    pub(super) needs: usize,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Keyed<K> {
    /// It is of another kind.
    Passes,
    /// It ends too early.
    Broken,
    /// It counts by this key.
    By(K),
}

impl Plan {
    pub(super) fn new(spec: &EventSpec) -> Self {
        let (conditions, key) = (Conditions::new(&spec.conditions), KeyPlan::new(&spec.key, spec.rest));
        let needs = conditions.needs().max(key.needs());
        Self { conditions, key, is_short: spec.key_size() <= SHORT, needs }
    }

    /// Whether keys are short.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether every record counts, and all by the same key.
    pub(super) fn takes_all_as_one(&self) -> bool {
        self.conditions.0.is_empty() && self.key.size() == 0
    }

    /// The key of a short one that `slots` know.
    pub(super) fn key(&self, taken: u128) -> Key<'static> {
        Key::Short(self.key.sorted(taken))
    }

    /// Tells `slots` by which short key each of some records counts. Those that end too early are lost.
    pub(super) fn number(&self, records: &Records, slots: &mut Slots, losses: &mut Losses) {
        let count = records.len();
        let rows = records.rows().filter(|rows| rows.length >= self.needs);
        let Some((rows, loads)) = rows.and_then(|rows| Some((rows, self.key.loads(rows.stride)?))) else {
            let keys = records.iter().enumerate().map(|(nth, record)| {
                match self.when_met(record, || self.key.short(record)) {
                    Keyed::By(key) => return (true, halves(key)),
                    Keyed::Passes => {}
                    Keyed::Broken => losses.lose(nth, Loss::Decode),
                }
                (false, [0; 2])
            });
            return slots.take(count, keys);
        };
        let tests = self.conditions.0.iter().map(|test| (Number::new(&test.value, rows.stride), test));
        let tests: Vec<_> = tests.collect();
        let counts = |row: &[u8]| match tests.as_slice() {
            [(number, test)] => test.allows(number.of(row)),
            tests => tests.iter().all(|(number, test)| test.allows(number.of(row))),
        };
        match (tests.is_empty(), loads.as_slice()) {
            // Most keys lie side by side in a word.
            (true, [load]) => slots.take(count, rows.iter().map(|row| (true, [load.of(row), 0]))),
            (false, [load]) => slots.take(count, rows.iter().map(|row| (counts(row), [load.of(row), 0]))),
            (_, loads) => {
                let key = |row: &[u8]| loads.iter().fold(0, |key, load| key | load.placed(row));
                slots.take(count, rows.iter().map(|row| (counts(row), halves(key(row)))));
            }
        }
    }

    /// What becomes of a record, by a key of any length; `room` is for it.
    #[inline]
    pub(super) fn long<'r>(&self, record: &'r [u8], room: &'r mut Vec<u8>) -> Keyed<&'r [u8]> {
        self.when_met(record, || self.key.long(record, room))
    }

    #[inline]
    fn when_met<K>(&self, record: &[u8], key: impl FnOnce() -> Option<K>) -> Keyed<K> {
        match self.conditions.are_met(record) {
            None => Keyed::Broken,
            Some(false) => Keyed::Passes,
            Some(true) => key().map_or(Keyed::Broken, Keyed::By),
        }
    }
}

/// Where a number ends.
pub(super) fn end(value: &ValueSpec) -> usize {
    value.offset + value.width
}
