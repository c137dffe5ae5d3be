//! From a key to labels, for both paths.

use std::sync::Arc;

use super::limit::list;
use super::memo::Memos;
use crate::decode::{Chain, DecodeError, Outcome};
use crate::page::{Family, TextPage};
use crate::series::push_label;
use crate::spec::{Bits, LabelSource, LabelSpec, MetricSpec, REST, Reduce};

/// Where a label's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// In the key.
    Key { offset: usize, size: usize },
    /// Bits of the key, which are handed on as a number of 8 bytes.
    Bits { offset: usize, size: usize, bits: Bits },
    /// The lane's number.
    Cpu,
}

/// One label, ready to be decoded.
#[derive(Clone, Debug)]
struct Label {
    field: Field,
    chain: Arc<Chain>,
    /// Whether its text is digits, which nothing need be escaped in.
    is_number: bool,
}

/// How rows of one metric become label sets.
#[derive(Clone, Debug)]
pub(super) struct RowPlan {
    labels: Vec<Label>,
    slot: Option<Label>,
    split: bool,
    unlabelled: bool,
    volatile: bool,
    /// The label set of the rest, as a list, whose key is told by its last byte.
    rest: Option<Vec<u8>>,
}

/// One row of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) key: &'a [u8],
    pub(super) lane: [u8; 2],
}

impl Field {
    pub(super) fn of(label: &LabelSpec) -> Self {
        match label.source {
            LabelSource::Key { offset, size } => Self::Key { offset, size },
            LabelSource::Bits { offset, size, bits } => Self::Bits { offset, size, bits },
            LabelSource::Cpu => Self::Cpu,
        }
    }

    /// The field's bytes; `word` is room for those that are made of bits.
    #[inline]
    fn bytes<'a>(self, row: &'a Row<'_>, word: &'a mut [u8; 8]) -> &'a [u8] {
        match self {
            Self::Key { offset, size } => row.key.get(offset..offset + size).unwrap_or_default(),
            Self::Cpu => &row.lane,
            Self::Bits { offset, size, bits } => {
                let bytes = row.key.get(offset..offset + size).unwrap_or_default();
                *word = bits.number(bytes).to_ne_bytes();
                word
            }
        }
    }
}

impl RowPlan {
    pub(super) fn new(metric: &MetricSpec) -> Self {
        let label = |spec: &LabelSpec| Label {
            field: Field::of(spec),
            chain: Arc::clone(&spec.chain),
            is_number: spec.chain.is_number(),
        };
        let labels: Vec<Label> = metric.labels.iter().map(label).collect();
        let slot = metric.kind.slot().map(label);
        let mut all = labels.iter().chain(&slot);
        Self {
            split: metric.reduce == Reduce::Split,
            unlabelled: all.clone().all(|label| label.field == Field::Cpu),
            volatile: all.any(|label| label.chain.traits().volatile),
            rest: rest(metric),
            labels,
            slot,
        }
    }

    /// Whether the same bytes are decoded by the same decoders, so that what was skipped still is.
    pub(super) fn decodes_like(&self, other: &Self) -> bool {
        let same =
            |one: &Label, other: &Label| one.field == other.field && Arc::ptr_eq(&one.chain, &other.chain);
        let (own, others) = (self.labels.iter().chain(&self.slot), other.labels.iter().chain(&other.slot));
        self.labels.len() == other.labels.len()
            && self.slot.is_some() == other.slot.is_some()
            && self.split == other.split
            && self.rest == other.rest
            && own.zip(others).all(|(one, other)| same(one, other))
    }

    /// Whether each lane of a value is a row of its own.
    pub(super) fn is_split(&self) -> bool {
        self.split
    }

    /// Whether no label shows anything of the key, so that only one key makes sense.
    pub(super) fn is_unlabelled(&self) -> bool {
        self.unlabelled
    }

    /// Whether the same key can mean something else later.
    pub(super) fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// The decoders of each label.
    pub(super) fn chains(&self) -> impl ExactSizeIterator<Item = &Arc<Chain>> {
        self.labels.iter().map(|label| &label.chain)
    }

    /// Whether rows are slots of a histogram.
    pub(super) fn has_slot(&self) -> bool {
        self.slot.is_some()
    }

    /// The slot of a histogram's row; none for a row that is not to be published.
    pub(super) fn slot(&self, row: &Row<'_>) -> Result<Option<u64>, DecodeError> {
        match &self.slot {
            Some(slot) => slot.chain.decode_number(slot.field.bytes(row, &mut [0; 8])),
            None => Ok(Some(0)),
        }
    }

    /// Appends the label values as a list; what is dear of them is remembered where it can be.
    pub(super) fn list(
        &self,
        row: &Row<'_>,
        list: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
        memos: &mut Memos,
    ) -> Result<Outcome, DecodeError> {
        self.check_key(row)?;
        if let Some(rest) = self.rest.as_ref().filter(|_| row.key.last() == Some(&REST)) {
            list.extend_from_slice(rest);
            return Ok(Outcome::Label);
        }
        for (index, label) in self.labels.iter().enumerate() {
            let mut word = [0; 8];
            let field = label.field.bytes(row, &mut word);
            let written = push_label(list, |out| match memos.of(index) {
                Some(memo) => memo.decode(field, out, scratch),
                None => label.chain.decode(field, out, scratch),
            });
            if written? == Outcome::Skip {
                return Ok(Outcome::Skip);
            }
        }
        Ok(Outcome::Label)
    }

    /// Writes the label values into the page, inside a row that was begun.
    #[inline]
    pub(super) fn write(
        &self,
        row: &Row<'_>,
        page: &mut TextPage,
        frame: &Family,
        scratch: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        self.check_key(row)?;
        for (index, label) in self.labels.iter().enumerate() {
            let out = page.begin_label(frame, index);
            if label.chain.decode(label.field.bytes(row, &mut [0; 8]), out, scratch)? == Outcome::Skip {
                return Ok(Outcome::Skip);
            }
            if !label.is_number {
                page.end_label();
            }
        }
        Ok(Outcome::Label)
    }

    /// As in the reference, what no label describes is the single entry of an array of one.
    fn check_key(&self, row: &Row<'_>) -> Result<(), DecodeError> {
        if self.unlabelled && row.key != [0; 4] { Err(DecodeError::Key) } else { Ok(()) }
    }
}

/// The label set of events that the tally of a metric has no room for.
fn rest(metric: &MetricSpec) -> Option<Vec<u8>> {
    metric.events.as_ref().filter(|events| events.rest)?;
    metric.limit.other.as_ref().map(|texts| list(texts))
}
