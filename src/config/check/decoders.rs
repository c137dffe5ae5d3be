//! Chains of decoders: building one is the check of it.

use std::sync::Arc;

use super::{Context, Sink, enums};
use crate::config::findings::Spot;
use crate::config::raw::{Group, RawDecoder, RawLabel, RawMetric};
use crate::config::suggest;
use crate::decode::{BuildError, Chain, DECODERS, Params};
use crate::problem::{Place, Problem};

/// Decoders whose text is never a slot's number.
const NEVER_NUMBERS: &[&str] = &[
    "bool",
    "cgroup",
    "dname",
    "enum",
    "errno",
    "ifname",
    "inet_ip",
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

/// The chain of every label in the order written; none when one is at fault.
pub(super) fn chains(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawMetric) -> Option<Vec<Arc<Chain>>> {
    let chains: Vec<_> = raw.labels.iter().map(|label| chain(context, sink, label)).collect();
    if raw.group == Group::Histograms
        && let Some(slot) = raw.labels.last()
    {
        slot_is_number(sink, slot);
    }
    chains.into_iter().collect()
}

fn chain(context: &Context<'_>, sink: &mut Sink<'_>, label: &RawLabel) -> Option<Arc<Chain>> {
    if label.decoders.is_empty() {
        if !label.broken {
            sink.report(
                &label.spot,
                Problem::error("no-decoders", Place::default(), "a label without `decoders`")
                    .expected("at least one decoder, such as `decoders: [{name: uint}]`"),
            );
        }
        return None;
    }
    let known: Vec<bool> = label.decoders.iter().map(|decoder| is_known(sink, decoder)).collect();
    let size = label.size.as_ref().map_or(0, |size| size.value);
    // What could not be read was complained of already, and would be missed again here.
    if size == 0 || known.contains(&false) || label.decoders.iter().any(|decoder| decoder.broken) {
        return None;
    }
    let steps: Vec<Option<(String, Params)>> = label
        .decoders
        .iter()
        .map(|decoder| Some((name(decoder).to_owned(), enums::params(context, sink, decoder)?)))
        .collect();
    let steps: Vec<(String, Params)> = steps.into_iter().collect::<Option<_>>()?;
    match Chain::build(&steps, size, context.host) {
        Ok(chain) => Some(Arc::new(chain)),
        Err((index, error)) => {
            let spot = label.decoders.get(index).map_or(&label.spot, |decoder| fault(decoder, &error));
            let mut problem = Problem::error(error.code, Place::default(), error.message.clone());
            problem.expected = error.expected;
            problem.help = error.help;
            sink.report(spot, problem);
            None
        }
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
        sink.report(spot, problem.expected("`name`, such as `name: uint`"));
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
fn slot_is_number(sink: &mut Sink<'_>, slot: &RawLabel) {
    let Some(last) = slot.decoders.last() else { return };
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

fn name(decoder: &RawDecoder) -> &str {
    decoder.name.as_ref().map_or("", |name| &name.value)
}
