//! Records of a ring buffer to spans, by the labels of a config.
//!
//! Some names of labels are not attributes but parts of the span: see [`Part`]. What a
//! record has behind the labels is of no interest; what it lacks loses the span.

use std::sync::Arc;

use super::counts::Dropped;
use super::span::{Span, SpanId, TraceId, identifier};
use crate::decode::{Chain, Outcome};
use crate::events::Conditions;
use crate::spec::{LabelSource, SpanSpec};

/// The attribute that names the config.
const CONFIG: &str = "ebpf_exporter.config";

/// The same moment on both clocks, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the unix epoch.
    pub(super) wall: u64,
    /// What `bpf_ktime_get_ns` would say.
    pub(super) monotonic: u64,
}

impl Now {
    /// When something was that the monotonic clock knows.
    fn wall_of(self, monotonic: u64) -> u64 {
        let ahead = monotonic.saturating_sub(self.monotonic);
        let ago = self.monotonic.saturating_sub(monotonic);
        self.wall.saturating_add(ahead).saturating_sub(ago)
    }
}

/// What a label is to its span.
#[derive(Clone, Debug)]
enum Part {
    Trace,
    Span,
    Parent,
    Start,
    Duration,
    Name,
    Attribute(Arc<str>),
}

impl Part {
    fn of(label: &str) -> Self {
        match label {
            "trace_id" => Self::Trace,
            "span_id" => Self::Span,
            "parent_span_id" => Self::Parent,
            "span_monotonic_timestamp_ns" => Self::Start,
            "span_duration_ns" => Self::Duration,
            "span_name" => Self::Name,
            attribute => Self::Attribute(attribute.into()),
        }
    }
}

#[derive(Debug)]
struct Field {
    part: Part,
    source: LabelSource,
    chain: Arc<Chain>,
}

/// Makes spans of records.
#[derive(Debug)]
pub(super) struct Decoder {
    /// What a span is called that does not say it.
    name: String,
    conditions: Conditions,
    fields: Vec<Field>,
    config: (Arc<str>, String),
    text: Vec<u8>,
    scratch: Vec<u8>,
}

/// What the labels said so far.
#[derive(Default)]
struct Said {
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    start: Option<u64>,
    duration: u64,
    name: Option<String>,
    attributes: Vec<(Arc<str>, String)>,
}

impl Decoder {
    pub(super) fn new(config: &str, spec: &SpanSpec) -> Self {
        let fields = spec.labels.iter().map(|label| Field {
            part: Part::of(&label.name),
            source: label.source,
            chain: Arc::clone(&label.chain),
        });
        Self {
            name: spec.name.clone(),
            conditions: Conditions::new(&spec.conditions),
            fields: fields.collect(),
            config: (CONFIG.into(), config.to_owned()),
            text: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// How far it looks into a record.
    pub(super) fn needs(&self) -> usize {
        let ends = self.fields.iter().map(|field| match field.source {
            LabelSource::Key { offset, size } | LabelSource::Bits { offset, size, .. } => offset + size,
            LabelSource::Cpu => 0,
        });
        ends.max().unwrap_or(0).max(self.conditions.needs())
    }

    /// Whether a record is one of these spans; one that ends too early is lost as such.
    pub(super) fn is_meant(&self, record: &[u8]) -> bool {
        self.conditions.are_met(record) != Some(false)
    }

    /// The span of a record, or why there is none. `random` fills in identifiers that are not given.
    pub(super) fn span(
        &mut self,
        record: &[u8],
        now: Now,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Span, Dropped> {
        if record.len() < self.needs() {
            return Err(Dropped::TooShort);
        }
        let mut said = Said::default();
        for index in 0..self.fields.len() {
            self.label(index, record, &mut said)?;
        }
        let (key, value) = &self.config;
        said.attributes.push((Arc::clone(key), value.clone()));
        let start = said.start.map_or(now.wall, |start| now.wall_of(start));
        Ok(Span {
            trace_id: said.trace.unwrap_or_else(|| TraceId(made_up(random))),
            span_id: said.span.unwrap_or_else(|| SpanId(made_up(random))),
            parent: said.parent,
            name: said.name.unwrap_or_else(|| self.name.clone()),
            start,
            end: start.saturating_add(said.duration),
            attributes: said.attributes,
        })
    }

    /// Adds what one label says.
    fn label(&mut self, index: usize, record: &[u8], said: &mut Said) -> Result<(), Dropped> {
        let Some(field) = self.fields.get(index) else { return Ok(()) };
        self.text.clear();
        let mut number = [0; 8];
        let bytes = match field.source {
            LabelSource::Key { offset, size } => part(record, offset, size),
            LabelSource::Bits { offset, size, bits } => part(record, offset, size).map(|bytes| {
                number = bits.number(bytes).to_ne_bytes();
                number.as_slice()
            }),
            // A record is no map's value and has no CPU of its own.
            LabelSource::Cpu => None,
        };
        let bytes = bytes.ok_or(Dropped::TooShort)?;
        match field.chain.decode(bytes, &mut self.text, &mut self.scratch) {
            Ok(Outcome::Label) => said.take(&field.part, &self.text),
            Ok(Outcome::Skip) => Err(Dropped::Skipped),
            Err(_) => Err(Dropped::Decode),
        }
    }
}

impl Said {
    fn take(&mut self, part: &Part, text: &[u8]) -> Result<(), Dropped> {
        match part {
            Part::Trace => {
                let trace = identifier(text).filter(|id| *id != [0; 16]).ok_or(Dropped::TraceId)?;
                self.trace = Some(TraceId(trace));
            }
            Part::Span => self.span = span_id(text)?,
            Part::Parent => self.parent = span_id(text)?,
            Part::Start => self.start = Some(nanoseconds(text)?),
            Part::Duration => self.duration = nanoseconds(text)?,
            Part::Name => self.name = Some(utf8(text)),
            Part::Attribute(name) => self.attributes.push((Arc::clone(name), utf8(text))),
        }
        Ok(())
    }
}

fn part(record: &[u8], offset: usize, size: usize) -> Option<&[u8]> {
    record.get(offset..offset.checked_add(size)?)
}

/// All zero stands for none.
fn span_id(text: &[u8]) -> Result<Option<SpanId>, Dropped> {
    let id = identifier(text).ok_or(Dropped::Decode)?;
    Ok((id != [0; 8]).then_some(SpanId(id)))
}

fn nanoseconds(text: &[u8]) -> Result<u64, Dropped> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Dropped::Decode)
}

/// Protobuf's texts are UTF-8, the kernel's need not be.
fn utf8(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// An identifier that nobody has; zero is none.
fn made_up<const N: usize>(random: &mut dyn FnMut(&mut [u8])) -> [u8; N] {
    let mut id = [0; N];
    random(&mut id);
    if id == [0; N] {
        id = [1; N];
    }
    id
}

#[cfg(test)]
mod tests;
