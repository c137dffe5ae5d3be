//! Families of the `prometheus` crate, which the exporter's own metrics are made of.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Chunks, Family, TextPage, Type};
use crate::series::Number;

/// Renders families one by one, in the order given; each comes with its name.
///
/// Own metrics are counters and gauges; others are left out.
#[must_use]
pub fn encode_families(families: &[MetricFamily]) -> Vec<(String, Chunks)> {
    let kind = |family: &MetricFamily| match family.get_field_type() {
        MetricType::COUNTER => Some(Type::Counter),
        MetricType::GAUGE => Some(Type::Gauge),
        _ => None,
    };
    let known = families.iter().filter_map(|family| Some((family, kind(family)?)));
    known.map(|(family, kind)| (family.name().to_owned(), encode(family, kind))).collect()
}

fn encode(family: &MetricFamily, kind: Type) -> Chunks {
    let mut page = TextPage::default();
    for (index, metric) in family.get_metric().iter().enumerate() {
        let labels = metric.get_label();
        let frame = Family::new(family.name(), family.help(), kind, labels.iter().map(|label| label.name()));
        if index == 0 {
            page.begin_family(&frame);
        }
        let values = labels.iter().map(|label| label.value().as_bytes());
        page.row(&frame, values, number(metric, kind));
    }
    page.finish()
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
        let (name, chunks) = encode_families(&[family]).pop().unwrap();
        assert_eq!(name, "up");
        assert_eq!(
            String::from_utf8(chunks.finish().concat()).unwrap(),
            "# HELP up Whether\n# TYPE up gauge\nup{config=\"a\"} 1\nup{config=\"b\\\"\"} 0.25\n"
        );
    }
}
