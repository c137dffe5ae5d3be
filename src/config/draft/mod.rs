//! A starting config, written from what an object says of itself.
//!
//! It is text for people to go on with, and passes the checks as it is: what cannot be a
//! metric is told in a comment.

mod labels;
mod metrics;
mod scratch;
mod variables;
mod words;

use self::metrics::Metric;
use self::words::{commented, quoted};
use crate::elf::ObjectInfo;

/// The config of an object whose file has this name.
#[must_use]
pub fn draft(object: &ObjectInfo, file_name: &str) -> String {
    let (metrics, left_out) = metrics::of(object);
    let mut text = String::from("# yaml-language-server: $schema=config.schema.json\n");
    text += "# Written from the object's types by `bpftally init`. Names and types of metrics are guesses:\n";
    text += "# remove maps that only the programs need, and say in `help` what is counted.\n";
    text += &format!("object: {}\n", quoted(file_name));
    text += &variables::text(object);
    text += "metrics:\n";
    for group in ["counters", "gauges", "histograms"] {
        let own = metrics.iter().filter(|metric| metric.group == group);
        let (published, aside): (Vec<&Metric>, Vec<&Metric>) = own.partition(|metric| metric.aside.is_none());
        match (published.is_empty(), aside.is_empty()) {
            (false, _) => text += &format!("  {group}:\n"),
            (true, false) => text += &format!("  # {group}:\n"),
            (true, true) => {}
        }
        text.extend(published.into_iter().map(|metric| metric.text.as_str()));
        let mut told = None;
        for metric in aside {
            text += &as_comment(metric, told);
            told = metric.aside.as_deref();
        }
    }
    if metrics.iter().all(|metric| metric.aside.is_some()) {
        text += "  counters: []\n";
    }
    if !left_out.is_empty() {
        text += "# Left out:\n";
    }
    for line in left_out {
        text += &format!("# - {}\n", commented(&line));
    }
    text
}

/// A metric that seems to be none: its lines behind comment signs, which editors take away, and
/// why, unless that was `told` of the one before.
fn as_comment(metric: &Metric, told: Option<&str>) -> String {
    let reason = metric.aside.as_deref().filter(|reason| told != Some(*reason));
    let mut text = reason.map(|reason| format!("    # {}:\n", commented(reason))).unwrap_or_default();
    for line in metric.text.lines() {
        text += &format!("    # {}\n", line.get(4..).unwrap_or(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::sample::shared;

    /// A config is read up to 4 MiB.
    #[test]
    fn many_maps_make_no_config_that_is_too_long() {
        let text = draft(&shared(4000, 10_000, 0, 4), "x.bpf.o");
        assert!(text.len() < 2 << 20, "{}", text.len());
        assert!(text.contains("name: map_0_number_0_total"));
        assert!(text.contains("# - map_3999: the config is too long already"));
    }

    #[test]
    fn a_reason_ends_where_its_line_does() {
        let aside = Some("start\n\u{1f}x: is for the programs".to_owned());
        let metric = Metric { group: "counters", text: "    - name: x\n".to_owned(), aside };
        let expected = "    # start\\u{a}\\u{1f}x: is for the programs:\n    # - name: x\n";
        assert_eq!(as_comment(&metric, None), expected);
    }
}
