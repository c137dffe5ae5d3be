//! What the config sets of maps, and their capacities: `maps: {m: {max_entries: N}}`.

use super::{Context, Sink, pins, shared};
use crate::config::raw::{Found, RawConfig};
use crate::config::suggest;
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};
use crate::spec::MapSetting;

/// Maps that are not as the object defines them. Maps that others loaded are not its own.
pub(crate) fn settings(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<MapSetting> {
    let mut settings = Vec::new();
    for found in raw.maps.iter().filter(|found| found.given("from_pin").is_none()) {
        if sink.is_full() {
            break;
        }
        let Some(map) = context.object.map(&found.name.value) else {
            missing(context, sink, &found.name);
            continue;
        };
        sink.map = Some(map.name.clone());
        let entries = found.max_entries.as_ref();
        let setting = MapSetting {
            name: map.name.clone(),
            max_entries: entries.and_then(|entries| fitting(context, sink, map, entries)),
            pin_path: pins::pin_path(sink, map, found),
            shared: shared::name(sink, map, found),
        };
        if setting != (MapSetting { name: map.name.clone(), ..MapSetting::default() }) {
            settings.push(setting);
        }
        sink.map = None;
    }
    settings
}

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, name: &Found<String>) {
    let message = format!("the object has no map `{}`", name.value);
    let mut problem = Problem::error("missing-map", Place::default(), message);
    let names = context.object.maps.iter().map(|map| map.name.as_str());
    problem.help = suggest::help("maps there are", &name.value, names)
        .or_else(|| Some("the object has no maps at all".to_owned()));
    sink.report(&name.spot, problem);
}

fn fitting(context: &Context<'_>, sink: &mut Sink<'_>, map: &MapInfo, entries: &Found<i64>) -> Option<u32> {
    let problem = |message: &str| Problem::error("max-entries", Place::default(), message.to_owned());
    if let Some(why) = fixed(map.kind) {
        let message = format!("the capacity of `{}` cannot be set: {why}", map.name);
        sink.report(&entries.spot, problem(&message).found(map.kind.to_string()).help("remove it"));
        return None;
    }
    let Some(max_entries) = u32::try_from(entries.value).ok().filter(|entries| *entries > 0) else {
        let message = format!("`{}` cannot have this capacity", map.name);
        let problem = problem(&message).expected("1 to 4294967295").found(entries.value.to_string());
        sink.report(&entries.spot, problem);
        return None;
    };
    if matches!(map.kind, MapKind::RINGBUF | MapKind::USER_RINGBUF) {
        let page = context.host.page_size();
        if !max_entries.is_power_of_two() || u64::from(max_entries) < page {
            let message = format!("the ring buffer `{}` cannot have this size", map.name);
            let problem = problem(&message)
                .expected(format!("bytes: a power of two, at least a page ({page})"))
                .found(max_entries.to_string());
            sink.report(&entries.spot, suggest_size(problem, max_entries, page));
            return None;
        }
    }
    memory(context, sink, map, entries, max_entries);
    Some(max_entries)
}

fn suggest_size(problem: Problem, found: u32, page: u64) -> Problem {
    match u64::from(found).max(page).checked_next_power_of_two().filter(|size| *size <= 1 << 31) {
        Some(size) => problem.help(format!("the next larger one is {size}")),
        None => problem.help("the largest one is 2147483648"),
    }
}

/// Why a kind has no capacity of the user's.
fn fixed(kind: MapKind) -> Option<&'static str> {
    match kind.0 {
        19 | 21 | 24 | 28 | 29 | 32 => Some("an entry belongs to each object that it is stored at"),
        26 => Some("it holds one set of functions"),
        _ => None,
    }
}

/// Warns of what this machine has hardly memory for: values of per-CPU maps exist once for each possible CPU.
fn memory(context: &Context<'_>, sink: &mut Sink<'_>, map: &MapInfo, entries: &Found<i64>, count: u32) {
    let Some(memory) = MapInfo { max_entries: count, ..map.clone() }.memory() else { return };
    let Some(available) = context.host.memory_bytes().filter(|_| memory.is_preallocated) else { return };
    let cpus = match memory.bytes_per_cpu {
        0 => 1,
        _ => context.host.possible_cpus().map_or(1, |cpus| cpus.len().max(1) as u64),
    };
    let needed = memory.bytes.saturating_add(memory.bytes_per_cpu.saturating_mul(cpus));
    if needed <= available / 2 {
        return;
    }
    let per_cpu = if cpus > 1 { format!(" on {cpus} possible CPUs") } else { String::new() };
    let message = format!("`{}` takes about {} with this capacity{per_cpu}", map.name, mebibytes(needed));
    let problem = Problem::warning("map-memory", Place::default(), message)
        .expected(format!("at most half of this machine's {}", mebibytes(available)))
        .found(format!("{count} entries"))
        .help("lower it: the kernel takes the memory when the map is made");
    sink.report(&entries.spot, problem);
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
