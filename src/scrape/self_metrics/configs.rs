//! How configs, their metrics and their maps fare.

use std::time::SystemTime;

use super::family::Families;
use super::names;
use crate::scrape::fold::Folded;
use crate::scrape::generation::ConfigState;
use crate::scrape::plan::Contributor;
use crate::scrape::reading::Reading;
use crate::scrape::render::Rendered;
use crate::scrape::state::{SourceStates, States};
use crate::snapshot::{Loss, Room, Source, View};

pub(super) fn collect(reading: &Reading, rendered: &Rendered, states: &States, families: &mut Families) {
    for config in reading.generation.configs() {
        let labels = [("config", config.name.as_str())];
        families.add(&names::CONFIG_LOADED, &labels, flag(config.loaded));
        families.add(&names::CONFIG_WARNINGS, &labels, count(config.warnings as u64));
        if config.loaded {
            families.add(&names::ENABLED_CONFIGS, &[("name", &config.name)], 1.0);
        }
        for (map, path, is_there) in &config.pins {
            let [config, map] = [labels[0], ("map", map.as_str())];
            families.add(&names::MAP_FROM_PIN, &[config, map, ("path", path)], flag(*is_there));
        }
        reloads(config, families);
    }
    for view in reading.generation.views() {
        let labels = [("config", view.config.as_str())];
        let spent = [&reading.spent, &rendered.spent].into_iter().filter_map(|spent| spent.get(&view.config));
        let seconds = spent.map(std::time::Duration::as_secs_f64).sum();
        families.add(&names::CONFIG_SCRAPE_DURATION, &labels, seconds);
        families.add(&names::CONFIG_SCRAPE_SUCCESS, &labels, flag(is_whole(reading, &view.config)));
        families.add(&names::DECODER_ERRORS, &labels, 0.0);
        cgroups(view, families);
    }
    for contributor in reading.generation.families.iter().flat_map(|family| &family.contributors) {
        metric(contributor, rendered, states, families);
    }
    maps(reading, states, families);
    events(reading, families);
}

/// How many events came, how many were lost, and how many bytes of them waited.
fn events(reading: &Reading, families: &mut Families) {
    for stream in &reading.streams {
        let labels = [("config", stream.config.as_str()), ("source", stream.map.as_str())];
        families.add(&names::EVENTS, &labels, count(stream.counts.events));
        for (loss, lost) in &stream.counts.lost {
            // Ring buffers say nothing of what had no room; their programs can.
            if *loss == Loss::Full && stream.unread.is_some() {
                continue;
            }
            let [config, source] = labels;
            families.add(&names::EVENTS_LOST, &[config, source, ("reason", loss.reason())], count(*lost));
        }
        if let Some(bytes) = stream.unread {
            families.add(&names::EVENTS_UNREAD, &labels, count(bytes));
        }
    }
    for ((config, source, reason), lost) in &reading.losses {
        let labels = [("config", config.as_str()), ("source", source.as_str()), ("reason", reason.as_str())];
        families.add(&names::EVENTS_LOST, &labels, count(*lost));
    }
}

/// Which files are served, and how following them went.
fn reloads(config: &ConfigState, families: &mut Families) {
    let name = ("config", config.name.as_str());
    if config.loaded {
        let digest = |digest: &Option<String>| digest.clone().unwrap_or_default();
        let (file, object) = (digest(&config.config_sha256), digest(&config.object_sha256));
        let labels = [name, ("config_sha256", file.as_str()), ("object_sha256", object.as_str())];
        families.add(&names::CONFIG_INFO, &labels, 1.0);
    }
    let reloads = &config.reloads;
    families.add(&names::CONFIG_RELOADS, &[name, ("result", "success")], count(reloads.succeeded));
    families.add(&names::CONFIG_RELOADS, &[name, ("result", "failure")], count(reloads.failed));
    families.add(&names::CONFIG_LAST_RELOAD_SUCCESSFUL, &[name], flag(reloads.is_last_good));
    let since = reloads.last_success.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since) = since {
        families.add(&names::CONFIG_LAST_RELOAD_SUCCESS, &[name], since.as_secs_f64());
    }
}

/// Whether every map was read and every family of a config is on the page.
fn is_whole(reading: &Reading, config: &str) -> bool {
    let generation = &reading.generation;
    let sources = generation.sources.iter().zip(&reading.sources);
    let plans = generation.families.iter().zip(&reading.families);
    sources.filter(|(planned, _)| planned.config == config).all(|(_, read)| read.outcome.is_ok())
        && plans
            .filter(|(plan, _)| plan.contributors.iter().any(|contributor| contributor.config == config))
            .all(|(_, folded)| !matches!(folded, Folded::LeftOut))
}

fn metric(contributor: &Contributor, rendered: &Rendered, states: &States, families: &mut Families) {
    let labels = [("config", contributor.config.as_str()), ("metric", contributor.metric.as_str())];
    let state = states.metric(&contributor.identity);
    let tally = state.tally();
    let series = rendered.series.get(&contributor.identity).copied().unwrap_or(0);
    families.add(&names::METRIC_SERIES, &labels, count(series));
    families.add(&names::METRIC_SKIPPED, &labels, count(tally.skipped));
    if let Some(ledger) = &state.memory().ledger {
        families.add(&names::METRIC_UNTRACKED, &labels, count(ledger.untracked()));
    }
    families.add(&names::METRIC_MANY_SERIES, &labels, flag(state.has_many(series, contributor)));
    for (limit, rows) in tally.limited {
        let [config, metric] = labels;
        families.add(&names::METRIC_LIMITED, &[config, metric, ("reason", limit)], count(rows));
    }
    for (reason, errors) in tally.errors {
        let [config, metric] = labels;
        families.add(&names::METRIC_DECODE_ERRORS, &[config, metric, ("reason", reason)], count(errors));
        families.add(&names::DECODER_ERRORS, &[config], count(errors));
    }
}

fn maps(reading: &Reading, states: &States, families: &mut Families) {
    let mut states = states.sources();
    // A variable is never full.
    let sources = reading.generation.sources.iter().zip(&reading.sources);
    for (planned, read) in sources.filter(|(planned, _)| planned.area.is_none()) {
        let entries = read.outcome.as_ref().ok().map(|statistics| statistics.entries);
        map((&planned.config, &planned.map), planned.source.as_ref(), entries, &mut states, families);
    }
    for view in reading.generation.views() {
        for named in &view.sources {
            let name = (view.config.as_str(), named.map.as_str());
            let is_scraped = reading.generation.is_scraped(name.0, name.1);
            if named.source.room() != Room::Fixed && !is_scraped {
                let entries = states.entries.get(&(name.0.to_owned(), name.1.to_owned())).copied();
                map(name, named.source.as_ref(), entries, &mut states, families);
            }
        }
    }
    for ((config, map), entries) in &states.expired {
        families.add(&names::MAP_EXPIRED, &[("config", config), ("map", map)], count(*entries));
    }
    for ((config, map, reason), errors) in &states.errors {
        let labels = [("config", config.as_str()), ("map", map), ("reason", reason)];
        families.add(&names::CONFIG_READ_ERRORS, &labels, count(*errors));
    }
}

/// How the map fares that follows cgroups.
fn cgroups(view: &View, families: &mut Families) {
    let Some(counts) = view.cgroups.counts() else { return };
    let labels = [("config", view.config.as_str()), ("map", counts.map.as_str())];
    families.add(&names::CGROUP_MAP_CGROUPS, &labels, count(counts.cgroups));
    for reason in ["full", "kernel"] {
        let errors = counts.errors.get(reason).copied().unwrap_or_default();
        let [config, map] = labels;
        families.add(&names::CGROUP_MAP_ERRORS, &[config, map, ("reason", reason)], count(errors));
    }
}

/// How full a map is.
fn map(
    (config, map): (&str, &str),
    source: &dyn Source,
    entries: Option<u64>,
    states: &mut SourceStates,
    families: &mut Families,
) {
    let labels = [("config", config), ("map", map)];
    if let Some(entries) = entries {
        families.add(&names::MAP_ENTRIES, &labels, count(entries));
        if let Some(is_full) = states.is_nearly_full(config, map, source, entries) {
            families.add(&names::MAP_NEARLY_FULL, &labels, flag(is_full));
        }
    }
    if let Some(max) = source.max_entries() {
        families.add(&names::MAP_MAX_ENTRIES, &labels, count(max));
    }
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[allow(clippy::cast_precision_loss)]
fn count(count: u64) -> f64 {
    count as f64
}
