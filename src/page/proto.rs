//! Families of the `prometheus` crate, which the exporter's own metrics are made of.

use bytes::Bytes;
use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::Type;
use super::text::{push_head, push_row};
use crate::series::Number;

/// Room for what the exporter says of one config and itself.
const USUAL: usize = 8 * 1024;

/// Renders families one by one, in the order given; each comes with its name.
///
/// Own metrics are counters and gauges; others are left out.
#[must_use]
pub fn encode_families(families: &[MetricFamily]) -> Vec<(String, Bytes)> {
    let mut out = Vec::with_capacity(USUAL);
    let mut scratch = Vec::new();
    let mut places = Vec::with_capacity(families.len());
    for family in families {
        let kind = match family.get_field_type() {
            MetricType::COUNTER => Type::Counter,
            MetricType::GAUGE => Type::Gauge,
            _ => continue,
        };
        let start = out.len();
        encode(family, kind, &mut out, &mut scratch);
        places.push((family.name().to_owned(), start..out.len()));
    }
    let all = Bytes::from(out);
    places.into_iter().map(|(name, place)| (name, all.slice(place))).collect()
}

fn encode(family: &MetricFamily, kind: Type, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
    push_head(out, family.name(), family.help(), kind);
    for metric in family.get_metric() {
        let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
        push_row(out, family.name(), labels, number(metric, kind), scratch);
    }
}

fn number(metric: &Metric, kind: Type) -> Number {
    let number =
        if kind == Type::Counter { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
    // Whole numbers below 2^53 are exact as floats and read better as integers.
    #[allow(clippy::cast_possible_truncation)]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Number::I64(number as i64)
    } else {
        Number::F64(number)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::{Gauge, LabelPair};

    use super::*;

    #[test]
    fn gauges_with_labels() {
        let metric = |value: f64, label: &str| {
            let mut pair = LabelPair::default();
            pair.set_name("config".to_owned());
            pair.set_value(label.to_owned());
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(vec![pair]);
            metric.set_gauge(gauge);
            metric
        };
        let mut family = MetricFamily::default();
        family.set_name("up".to_owned());
        family.set_help("Whether".to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(vec![metric(1.0, "a"), metric(0.25, "b\"")]);
        let (name, text) = encode_families(&[family]).pop().unwrap();
        assert_eq!(name, "up");
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            "# HELP up Whether\n# TYPE up gauge\nup{config=\"a\"} 1\nup{config=\"b\\\"\"} 0.25\n"
        );
    }
}
