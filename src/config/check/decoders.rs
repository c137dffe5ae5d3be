//! Chains of decoders: building one is the check of it.

use std::sync::Arc;

use super::labels::{Fields, Input};
use super::{Context, Sink, defaults, enums, regexps, static_maps};
use crate::config::findings::Spot;
use crate::config::raw::{RawDecoder, RawLabel, RawMetric};
use crate::config::suggest;
use crate::decode::{BuildError, Chain, DECODERS, Params, SIZE_LIMIT};
use crate::problem::{Place, Problem};

/// Decoders that give numbers.
pub(super) const NUMBERS: [&str; 3] = ["int", "port", "uint"];

/// Decoders whose text is never a slot's number.
const NEVER_NUMBERS: &[&str] = &[
    "bool",
    "cgroup",
    "dname",
    "dns_name",
    "enum",
    "errno",
    "ifname",
    "inet_ip",
    "inet_union",
    "kstack",
    "ksym",
    "mac",
    "majorminor",
    "pci_class",
    "pci_device",
    "pci_subclass",
    "pci_vendor",
    "proto",
    "signal",
    "syscall",
    "uid",
];

/// The chains of a metric.
pub(super) struct Chains {
    /// In the order of the labels.
    pub(super) labels: Vec<Arc<Chain>>,
    /// Of a histogram's slot that is no label.
    pub(super) bucket: Option<Arc<Chain>>,
}

/// The chain of every label in the order written; none when one is at fault.
pub(super) fn chains(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    fields: Option<&Fields>,
) -> Option<Chains> {
    let input = |index: usize| fields.and_then(|fields| fields.inputs.get(index)?.as_ref());
    let chains: Vec<_> = raw
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| chain(context, sink, raw, label, input(index)))
        .collect();
    if raw.slot_is_label()
        && let Some(slot) = raw.labels.last()
    {
        let default = input(raw.labels.len() - 1).and_then(|input| input.default);
        slot_is_number(sink, slot, default);
    }
    let bucket = match (fields.and_then(|fields| fields.bucket.as_ref()), &raw.bucket) {
        (Some(input), Some(found)) => Some(bucket_chain(context, sink, &found.spot, input)?),
        _ => None,
    };
    Some(Chains { labels: chains.into_iter().collect::<Option<_>>()?, bucket })
}

/// The slot of a histogram that is no label is a number by its type.
fn bucket_chain(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    spot: &Spot,
    input: &Input,
) -> Option<Arc<Chain>> {
    let Some(default) = input.default.filter(|default| matches!(*default, "uint" | "int")) else {
        let problem = Problem::error("slot-not-a-number", Place::default(), "`bucket` is the slot's index");
        sink.report(
            spot,
            problem.expected("a member that is a whole number").found(format!("`{}`", input.type_name)),
        );
        return None;
    };
    Chain::build(&[(default.to_owned(), Params::default())], input.size, context.host).ok().map(Arc::new)
}

fn chain(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    label: &RawLabel,
    input: Option<&Input>,
) -> Option<Arc<Chain>> {
    let default = input.and_then(|input| input.default);
    if label.decoders.is_empty() && default.is_none() {
        missing(sink, raw, label, input);
        return None;
    }
    let known: Vec<bool> = label.decoders.iter().map(|decoder| is_known(sink, decoder)).collect();
    let by_position = label.size.as_ref().filter(|_| !raw.is_by_name()).map_or(0, |size| size.value);
    let size = input.map_or(by_position, |input| input.size);
    // What could not be read was complained of already, and would be missed again here.
    if size == 0 || known.contains(&false) || label.decoders.iter().any(|decoder| decoder.broken) {
        return None;
    }
    let before = before(context, raw, label, input);
    let given: Vec<Option<(String, Params)>> = label
        .decoders
        .iter()
        .map(|decoder| Some((name(decoder).to_owned(), enums::params(context, sink, decoder)?)))
        .collect();
    let given: Vec<(String, Params)> = given.into_iter().collect::<Option<_>>()?;
    let begins = before.as_ref().map(|(name, _)| name.clone());
    let steps: Vec<(String, Params)> = before.into_iter().chain(given).collect();
    if !regexps::have_room(sink, label) {
        return None;
    }
    match Chain::build(&steps, size, context.host) {
        Ok(chain) => {
            sink.patterns += chain.memory();
            regexps::never_match(sink, label, begins.as_deref());
            static_maps::never_name(sink, label, begins.as_deref());
            no_address(sink, label, size);
            Some(Arc::new(chain))
        }
        Err((index, error)) => {
            sink.patterns += if error.is_too_large() { SIZE_LIMIT } else { 0 };
            let index = index.saturating_sub(usize::from(begins.is_some()));
            let spot = label.decoders.get(index).map_or(&label.spot, |decoder| fault(decoder, &error));
            let mut problem = Problem::error(error.code, Place::default(), error.message.clone());
            problem.expected = error.expected;
            problem.help = error.help;
            if let Some(input) = input.filter(|input| !input.type_name.is_empty()) {
                problem.found = Some(format!("a field of the type `{}`", input.type_name));
            }
            sink.report(spot, problem);
            None
        }
    }
}

/// Warns of an address that has not the size of one, which the reference shows as bytes.
fn no_address(sink: &mut Sink<'_>, label: &RawLabel, size: usize) {
    let Some(first) = label.decoders.first().filter(|first| name(first) == "inet_ip") else { return };
    if matches!(size, 4 | 16) {
        return;
    }
    let message = format!("decoder inet_ip makes no address of a field of {size} bytes");
    let problem = Problem::warning("field-size", Place::default(), message)
        .expected("4 bytes or 16, in network order")
        .help("it shows `?` and the bytes: `hex` shows them alone");
    let spot = first.name.as_ref().map_or(&first.spot, |name| &name.spot);
    sink.report(spot, problem);
}

/// What goes before the decoders that are written, by the field's type.
fn before(
    context: &Context<'_>,
    raw: &RawMetric,
    label: &RawLabel,
    input: Option<&Input>,
) -> Option<(String, Params)> {
    let input = input?;
    let first = label.decoders.first().map(name);
    // A slot is its number, whatever that is called.
    let is_slot = raw.slot_is_label() && raw.labels.last().is_some_and(|last| std::ptr::eq(last, label));
    if let Some(id) = input.enum_type
        && input.default.is_some()
        && !is_slot
        && defaults::names_before(first)
        && let Some(names) = enums::of_type(context, id)
    {
        return Some(names);
    }
    let number = match first {
        Some(first) => defaults::before(input.default, first),
        None => input.default,
    };
    Some((number?.to_owned(), Params::default()))
}

/// Says that a label has no decoders and its type asks for none.
fn missing(sink: &mut Sink<'_>, raw: &RawMetric, label: &RawLabel, input: Option<&Input>) {
    if label.broken || raw.is_mixed() {
        return;
    }
    if !raw.is_by_name() {
        let problem = Problem::error("no-decoders", Place::default(), "a label without `decoders`");
        let expected = "at least one decoder, such as `decoders: [uint]`";
        sink.report(&label.spot, problem.expected(expected));
    } else if let Some(input) = input {
        let message = format!("no decoder follows from the type `{}`", input.type_name);
        sink.report(
            &label.spot,
            Problem::error("no-decoders", Place::default(), message)
                .expected("`decoders` that say what the bytes mean, such as `decoders: [hex]`"),
        );
    }
}

/// Says every unknown name of a chain, where building it would stop at the first.
fn is_known(sink: &mut Sink<'_>, decoder: &RawDecoder) -> bool {
    let found = name(decoder);
    let spot = decoder.name.as_ref().map_or(&decoder.spot, |name| &name.spot);
    if found.is_empty() {
        if decoder.broken {
            return false;
        }
        let problem = Problem::error("missing-name", Place::default(), "a decoder without a `name`");
        let meant = match &decoder.params {
            params if params.static_map.is_some() => "static_map",
            params if !params.regexps.is_empty() => "regexp",
            params if params.type_name.is_some() => "enum",
            _ => "uint",
        };
        sink.report(spot, problem.expected(format!("`name`, such as `name: {meant}`")));
        return false;
    }
    let names = DECODERS.iter().map(|entry| entry.name);
    if names.clone().any(|known| known == found) {
        return true;
    }
    let mut problem =
        Problem::error("unknown-decoder", Place::default(), format!("unknown decoder `{found}`"));
    problem.help = suggest::help("decoders there are", found, names);
    sink.report(spot, problem);
    false
}

/// Where a decoder is at fault: the parameter, else its name.
fn fault<'r>(decoder: &'r RawDecoder, error: &BuildError) -> &'r Spot {
    let of_param = error.param.and_then(|(param, index)| {
        let item = index.filter(|_| param == "regexps").and_then(|index| decoder.regexps.get(index));
        item.or_else(|| decoder.spots.iter().rev().find(|(name, _)| *name == param).map(|(_, spot)| spot))
    });
    of_param.or(decoder.name.as_ref().map(|name| &name.spot)).unwrap_or(&decoder.spot)
}

/// The slot's chain must end in a number, or in text that can be one.
fn slot_is_number(sink: &mut Sink<'_>, slot: &RawLabel, default: Option<&'static str>) {
    let Some(last) = slot.decoders.last() else {
        if default.is_some_and(|default| !matches!(default, "uint" | "int" | "string")) {
            let message = "the last label of a histogram is its slot's index";
            let problem = Problem::error("slot-not-a-number", Place::default(), message);
            sink.report(&slot.spot, problem.expected("a member that is a whole number, last or as `bucket`"));
        }
        return;
    };
    if !NEVER_NUMBERS.contains(&name(last)) {
        return;
    }
    let spot = last.name.as_ref().map_or(&last.spot, |name| &name.spot);
    sink.report(
        spot,
        Problem::error(
            "slot-not-a-number",
            Place::default(),
            "the last label of a histogram is its slot's index",
        )
        .expected("a decoder that gives a whole number, such as `uint`")
        .found(format!("`{}`, which gives names", name(last)))
        .help("put the label of the slot last"),
    );
}

pub(super) fn name(decoder: &RawDecoder) -> &str {
    decoder.name.as_ref().map_or("", |name| &name.value)
}
