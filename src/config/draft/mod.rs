//! A starting config, written from what an object says of itself.
//!
//! It is text for people to go on with, and passes the checks as it is: what cannot be a
//! metric is told in a comment.

mod labels;
mod metrics;
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
        let own: Vec<&Metric> = metrics.iter().filter(|metric| metric.group == group).collect();
        if !own.is_empty() {
            text += &format!("  {group}:\n");
        }
        for metric in own {
            text += &metric.text;
        }
    }
    if metrics.is_empty() {
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
}
