//! Maps of values to names that name nothing that reaches them.

use super::Sink;
use super::decoders::{NUMBERS, name};
use crate::config::raw::{RawDecoder, RawLabel};
use crate::decode::is_number;
use crate::problem::{Place, Problem};

/// Warns of `static_map` without a name, or with keys of which a number before it is none; `before` is the decoder that
/// goes first by the field's type.
pub(super) fn never_name(sink: &mut Sink<'_>, label: &RawLabel, before: Option<&str>) {
    let mut previous = before;
    for decoder in label.decoders.iter() {
        if name(decoder) == "static_map" {
            check(sink, decoder, previous.filter(|previous| NUMBERS.contains(previous)));
        }
        previous = Some(name(decoder));
    }
}

fn check(sink: &mut Sink<'_>, decoder: &RawDecoder, number: Option<&str>) {
    let own = decoder.name.as_ref().map_or(&decoder.spot, |name| &name.spot);
    let keys = decoder.params.static_map.as_deref().unwrap_or_default();
    if keys.is_empty() {
        let problem = Problem::warning("empty-static-map", Place::default(), "`static_map` has no names");
        let expected = "values and their names, such as `static_map: {0: read, 1: write}`";
        sink.report(own, problem.expected(expected).help("without any, every value is `unknown:VALUE`"));
        return;
    }
    let Some(number) = number else { return };
    if keys.iter().any(|(key, _)| is_number(key)) {
        return;
    }
    let map =
        decoder.spots.iter().rev().find(|(name, _)| *name == "static_map").map_or(own, |(_, spot)| spot);
    let message = "no key of the `static_map` is a number, and numbers are what it gets";
    let problem = Problem::warning("static-map-never-matches", Place::default(), message)
        .expected("values before the colons and names behind them, such as `{0: read, 1: write}`")
        .found(format!("the decoder before it is `{number}`"));
    sink.report(map, problem);
}
