//! What the exporter says of itself.
//!
//! Collected from the live generation at each scrape, so that nothing outlives its config.
//! Names and labels that the reference has are kept.

mod configs;
mod family;
mod names;
mod process;
mod programs;
mod spans;

use prometheus::proto::MetricFamily;

use super::Settings;
use super::reading::Reading;
use super::render::Rendered;
use super::state::States;
use family::Families;

/// What this program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of the package.
    pub version: String,
    /// The revision that it was built from.
    pub revision: String,
    /// The branch that it was built from.
    pub branch: String,
    /// The compiler's version.
    pub rustc: String,
}

impl Default for BuildInfo {
    /// The package's version; the rest is known to who builds it.
    fn default() -> Self {
        let none = String::new;
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: none(),
            branch: none(),
            rustc: none(),
        }
    }
}

/// All own families that have something to say, but for those whose name a config has.
pub(super) fn families(
    reading: &Reading,
    rendered: &Rendered,
    states: &States,
    settings: &Settings,
) -> Vec<MetricFamily> {
    let mut families = Families::default();
    build_info(&settings.build, &mut families);
    process::collect(&mut families);
    for (reason, clients) in (settings.clients_cut)() {
        families.add(&names::CLIENTS_CUT, &[("reason", reason)], clients as f64);
    }
    programs::collect(&reading.generation, (settings.stats_enabled)(), &mut families);
    configs::collect(reading, rendered, states, &mut families);
    if let Some(counts) = settings.spans.counts() {
        spans::collect(&counts, &mut families);
    }
    let mut families = families.finish();
    families.retain(|family| !reading.generation.writes(family.name()));
    families
}

fn build_info(build: &BuildInfo, families: &mut Families) {
    let labels = [
        ("version", build.version.as_str()),
        ("revision", &build.revision),
        ("branch", &build.branch),
        ("rustc", &build.rustc),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
    ];
    families.add(&names::BUILD_INFO, &labels, 1.0);
}
