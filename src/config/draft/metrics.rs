//! Which metrics a map makes, and of which type.

use std::collections::HashSet;

use super::labels::{self, is_integer};
use super::variables::{self, Shown};
use super::words::{bare, leaf, metric_name, name, quoted};
use super::{scratch, words};
use crate::btf::{Btf, Kind, Layout, Member, MemberKind, ScalarKind, TypeId};
use crate::elf::{MapInfo, MapKind, ObjectInfo};
use crate::spec::Owner;

/// Metrics that one map makes at most.
const MAX_METRICS: usize = 64;
/// Arrays of numbers are opened up to this many elements.
const MAX_ELEMENTS: u32 = 8;

/// Bytes of metrics, members of values among them: a config may have four times as many.
const MAX_ROOM: usize = 1 << 20;

/// A metric as YAML.
pub(super) struct Metric {
    /// The list that it belongs to.
    pub(super) group: &'static str,
    /// Its item in that list.
    pub(super) text: String,
    /// Why it seems to be none, which makes it a comment.
    pub(super) aside: Option<String>,
}

/// The metrics of an object, and what is none with the reason.
pub(super) fn of(object: &ObjectInfo) -> (Vec<Metric>, Vec<String>) {
    let mut draft = Draft { object, taken: HashSet::new(), metrics: Vec::new(), aside: None, room: MAX_ROOM };
    let (mut left_out, mut names) = (Vec::new(), HashSet::new());
    // What is published has the first choice of names.
    let mut layouts = scratch::Layouts::default();
    let reasons = object.maps.iter().map(|map| (map, scratch::reason(object, map, &mut layouts)));
    let (published, aside): (Vec<_>, Vec<_>) = reasons.partition(|(_, reason)| reason.is_none());
    for (map, reason) in published.into_iter().chain(aside) {
        draft.aside = reason;
        if !names.insert(&map.name) {
            left_out.push(format!("{}: another map has this name", map.name));
        } else if map.kind.is_scannable() && map.key_size == 0 {
            left_out.push(format!("{}: its key has no size", map.name));
        } else if map.kind == MapKind::RINGBUF {
            left_out
                .push(format!("{0}: its events are counted by `ringbuf: {0}` and `type: STRUCT`", map.name));
        } else if map.kind == MapKind::PERF_EVENT_ARRAY {
            let how = "its events are counted by `perf_event_array: true` and `type: STRUCT`";
            left_out.push(format!("{}: {how}", map.name));
        } else if map.kind.is_map_in_map() && map.is_readable() {
            let how =
                "the maps that it holds are read by a metric whose labels name its own key by `outer: true`";
            left_out.push(format!("{}: {how}", map.name));
        } else if !map.kind.is_scannable() {
            left_out.push(format!("{}: a map of the kind {} cannot be read key by key", map.name, map.kind));
        } else if draft.room == 0 {
            left_out.push(format!("{}: the config is too long already", map.name));
        } else if map.name.starts_with('.') || !draft.map(map) {
            left_out.push(format!("{}: its value holds no number that a metric can show", map.name));
        }
    }
    draft.aside = None;
    for shown in variables::shown(object) {
        draft.aside = shown.aside.clone();
        draft.variable(&shown);
    }
    (draft.metrics, left_out)
}

struct Draft<'a> {
    object: &'a ObjectInfo,
    taken: HashSet<String>,
    metrics: Vec<Metric>,
    /// Why the map seems to be none that is published.
    aside: Option<String>,
    /// How much more may be written and looked at: maps can share a type, however large.
    room: usize,
}

impl Draft<'_> {
    /// Adds the metrics of a map; false when there are none.
    fn map(&mut self, map: &MapInfo) -> bool {
        let before = self.metrics.len();
        let layout = map.value_type.and_then(|id| self.object.btf.layout(id).ok());
        match layout {
            Some(layout) => {
                // Members are compared with each other, which costs less than writing them.
                let compared = layout.members.len().min(labels::MAX_MEMBERS);
                self.room = self.room.saturating_sub(layout.members.len() + compared * compared / 16);
                self.typed(map, &layout);
            }
            None if matches!(map.value_size, 1 | 2 | 4 | 8) => self.number(map, None, group(&map.name), ""),
            None => {}
        }
        self.metrics.len() > before
    }

    fn typed(&mut self, map: &MapInfo, layout: &Layout) {
        if let [only] = layout.members.as_slice()
            && only.path.is_empty()
            && is_number(only)
        {
            return self.single(map, only);
        }
        let reached = |member: &&Member| labels::reaches(self.object, layout, member);
        let slots = layout
            .members
            .iter()
            .filter(|member| is_slots(&self.object.btf, &map.name, member))
            .find(reached);
        let mut beside: Vec<&str> = Vec::new();
        if let Some(slots) = slots {
            let [sum, count] = siblings(self.object, layout);
            beside.extend([sum, count].into_iter().flatten().map(|member| member.path.as_str()));
            self.slots(map, slots, sum, count);
        }
        let mut made = 0;
        for member in labels::shown(layout) {
            let is_slots = slots.is_some_and(|slots| slots.path == member.path);
            if is_slots || beside.contains(&member.path.as_str()) {
                continue;
            }
            if made >= MAX_METRICS || self.room == 0 || !labels::reaches(self.object, layout, member) {
                continue;
            }
            let mut hints: String = labels::alternatives(layout, member)
                .into_iter()
                .filter(|other| is_number(other) && labels::reaches(self.object, layout, other))
                .map(|other| format!("      # value: {} # the same bytes\n", bare(&other.path)))
                .collect();
            hints += reduction(map, member);
            for path in self.numbers(member) {
                made += 1;
                if made <= MAX_METRICS {
                    self.number(map, Some(&path), member_group(&map.name, member), &hints);
                }
            }
        }
    }

    /// A value that is one number: perhaps a slot of a histogram whose key says which.
    fn single(&mut self, map: &MapInfo, only: &Member) {
        let slot = labels::slot(self.object, map).filter(|_| is_integer(only));
        if let Some(slot) = slot {
            let own = format!(
                "      bucket: {}\n      bucket_type: exp2 # or log2, linear, fixed: as the program counts\n      bucket_max: 26 # the last slot that the program counts in; the one behind it holds the sum\n",
                bare(&slot)
            );
            return self.push(map, &map.name, "histograms", &own, Some(&slot));
        }
        let sized = map.kind.is_array()
            && is_integer(only)
            && labels::is_index(self.object, map)
            && (4..=512).contains(&map.max_entries);
        if sized && group(&map.name) == "histograms" {
            let own = format!(
                "      bucket: slot\n      bucket_type: exp2 # or log2, linear, fixed: as the program counts\n      bucket_max: {} # the entry behind it holds the sum\n",
                map.max_entries - 2
            );
            return self.push(map, &map.name, "histograms", &own, Some(""));
        }
        self.number(map, None, member_group(&map.name, only), reduction(map, only));
    }

    fn slots(&mut self, map: &MapInfo, slots: &Member, sum: Option<&Member>, count: Option<&Member>) {
        let path = |member: &Member| member.path.clone();
        let own = slots_text(slots, &[sum.map(path), count.map(path)]);
        self.push(map, &map.name, "histograms", &own, None);
    }

    fn number(&mut self, map: &MapInfo, path: Option<&str>, group: &'static str, hints: &str) {
        let group = if group == "histograms" { "counters" } else { group };
        let own = path.map(|path| format!("      value: {}\n", bare(path))).unwrap_or_default() + hints;
        let metric = path.map_or_else(|| map.name.clone(), |path| format!("{}_{}", map.name, name(path)));
        self.push(map, &metric, group, &own, None);
    }

    fn push(&mut self, map: &MapInfo, metric: &str, group: &'static str, own: &str, slot: Option<&str>) {
        let metric = self.free_name(metric, group);
        let mut text = format!("    - name: {}\n", bare(&metric));
        if metric != map.name {
            text += &format!("      map: {}\n", bare(&map.name));
        }
        text +=
            &format!("      help: {}\n", quoted(&format!("From the map {}, not described yet", map.name)));
        text += own;
        let labels = labels::of(self.object, map, slot);
        if !labels.is_empty() {
            text += "      labels:\n";
        }
        for label in &labels {
            text += &match &label.aside {
                None => format!("        - {}\n", label.text),
                Some(why) if label.text.is_empty() => format!("        # {why}\n"),
                Some(why) => format!("        # - {} # {why}\n", label.text),
            };
        }
        text += match group {
            "histograms" => "      # bucket_multiplier: 0.000001 # from microseconds to seconds\n",
            _ if labels.is_empty() => {
                "      # scale: 0.000001 # from microseconds to seconds\n      # zero: true\n"
            }
            _ => "      # scale: 0.000001 # from microseconds to seconds\n",
        };
        self.room = self.room.saturating_sub(text.len());
        self.metrics.push(Metric { group, text, aside: self.aside.clone() });
    }

    /// A variable, the elements of an array, or a histogram of either.
    fn variable(&mut self, shown: &Shown<'_>) {
        let name = &shown.variable.name;
        let group = if shown.slots.is_some() { "histograms" } else { member_group(name, &shown.member) };
        let group = match shown.member.kind {
            MemberKind::Scalar(ScalarKind::Signed) if shown.aside.is_some() => "gauges",
            _ if group == "histograms" && shown.slots.is_none() => "counters",
            _ => group,
        };
        let wanted = match shown.member.path.as_str() {
            path if !path.is_empty() && shown.slots.is_none() => {
                format!("{}_{}", name.strip_suffix("_total").unwrap_or(name), words::name(path))
            }
            _ => name.clone(),
        };
        let metric = self.free_name(&wanted, group);
        let mut text = format!(
            "    - name: {}\n      global: {}\n      help: {}\n",
            bare(&metric),
            bare(name),
            quoted(&format!("From the variable {name}, not described yet")),
        );
        match &shown.slots {
            Some(slots) => text += &slots_text(&shown.member, slots),
            None if !shown.member.path.is_empty() => {
                text += &format!("      value: {}\n", bare(&shown.member.path));
            }
            None => {}
        }
        if shown.is_array {
            let label =
                name.rsplit_once("_by_").map(|(_, by)| by).filter(|by| *by != "le").unwrap_or("index");
            text += &format!("      labels:\n        - {}\n", bare(&words::name(label)));
        }
        text += if shown.slots.is_some() {
            "      # bucket_multiplier: 0.000001 # from microseconds to seconds\n"
        } else {
            "      # scale: 0.000001 # from microseconds to seconds\n"
        };
        self.room = self.room.saturating_sub(text.len());
        if self.room > 0 {
            self.metrics.push(Metric { group, text, aside: self.aside.clone() });
        }
    }

    /// A name by the conventions that no other metric has.
    fn free_name(&mut self, wanted: &str, group: &str) -> String {
        let lower = metric_name(wanted).to_ascii_lowercase();
        let mut base = without_type(&lower).to_owned();
        let suffix = if group == "counters" { "_total" } else { "" };
        base.truncate(
            base.strip_suffix("_total").filter(|_| group == "counters").map_or(base.len(), str::len),
        );
        for attempt in 1_u32.. {
            let number = if attempt == 1 { String::new() } else { format!("_{attempt}") };
            let found = format!("{base}{number}{suffix}");
            let mut all = vec![found.clone()];
            if group == "histograms" {
                all.extend(["_bucket", "_sum", "_count"].map(|part| format!("{found}{part}")));
            }
            // With the usual namespace.
            let is_free = |name: &String| Owner::of(&format!("ebpf_exporter_{name}")) == Owner::Free;
            if all.iter().all(|name| !self.taken.contains(name) && is_free(name)) {
                self.taken.extend(all);
                return found;
            }
        }
        base
    }

    /// Paths of the numbers in a member: itself, or the elements of a short array.
    fn numbers(&self, member: &Member) -> Vec<String> {
        match member.kind {
            MemberKind::Array { element, count } if count <= MAX_ELEMENTS => {
                let elements = (0..count).map(|index| format!("{}[{index}]", member.path));
                // Single bytes are an address or a name.
                let counts = integer_size(&self.object.btf, element).is_some_and(|size| size > 1);
                if counts { elements.collect() } else { Vec::new() }
            }
            _ if is_number(member) => vec![member.path.clone()],
            _ => Vec::new(),
        }
    }
}

/// What says that an array is a histogram's slots, with the paths of its sum and its count.
fn slots_text(slots: &Member, [sum, count]: &[Option<String>; 2]) -> String {
    let length = match slots.kind {
        MemberKind::Array { count, .. } => count,
        _ => 0,
    };
    let kind = if length > 512 { "linear" } else { "log2" };
    let mut text = format!("      bucket_type: {kind} # or exp2, linear, fixed: as the program counts\n");
    text += &format!("      slots: {}\n", bare(&slots.path));
    for (key, path) in [("sum", sum), ("count", count)] {
        if let Some(path) = path {
            text += &format!("      {key}: {}\n", bare(path));
        }
    }
    text
}

/// Whether a member is the array of a histogram's slots: by its own name, or as the whole of what has this one.
pub(super) fn is_slots(btf: &Btf, name: &str, member: &Member) -> bool {
    let MemberKind::Array { element, count } = member.kind else { return false };
    let Some(size) = integer_size(btf, element) else { return false };
    let named = matches!(leaf(&member.path), "slots" | "buckets" | "hist" | "histogram");
    // Bytes without a word on them are a buffer rather than counts.
    let says_so = group(name) == "histograms" || (count > MAX_ELEMENTS && size > 1);
    (2..=65_536).contains(&count) && (named || (member.path.is_empty() && says_so))
}

/// The size of an array's elements, if they count something: addresses are no numbers to show.
fn integer_size(btf: &Btf, id: TypeId) -> Option<usize> {
    let is_pointer = btf.resolve(id).is_ok_and(|found| found.kind() == Kind::Ptr);
    match btf.scalar(id) {
        Some((size @ (1 | 2 | 4 | 8), ScalarKind::Signed | ScalarKind::Unsigned)) if !is_pointer => {
            Some(size)
        }
        _ => None,
    }
}

/// The members beside the slots that are their sum and their count.
pub(super) fn siblings<'l>(object: &ObjectInfo, layout: &'l Layout) -> [Option<&'l Member>; 2] {
    let sibling = |is: fn(&str) -> bool| {
        layout.members.iter().find(|member| {
            is_integer(member) && is(leaf(&member.path)) && labels::reaches(object, layout, member)
        })
    };
    [sibling(is_sum), sibling(is_count)]
}

pub(super) fn is_number(member: &Member) -> bool {
    match member.kind {
        MemberKind::Scalar(ScalarKind::Char) => false,
        MemberKind::Scalar(ScalarKind::Float) => matches!(member.size, 4 | 8),
        MemberKind::Scalar(_) | MemberKind::Enum { .. } => {
            member.bits.is_some() || matches!(member.size, 1 | 2 | 4 | 8)
        }
        _ => false,
    }
}

/// A name without the type, which the page says anyway.
fn without_type(name: &str) -> &str {
    let rest = name.strip_prefix("counter_").or_else(|| name.strip_prefix("gauge_"));
    rest.or_else(|| name.strip_suffix("_gauge")).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

fn is_sum(name: &str) -> bool {
    name == "sum"
        || name == "total"
        || name.starts_with("total_")
        || name.ends_with("_sum")
        || name.starts_with("sum_")
}

fn is_count(name: &str) -> bool {
    matches!(name, "count" | "cnt" | "samples")
}

/// The type that a map's name suggests.
pub(super) fn group(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    if name.ends_with("_total") || name.starts_with("counter_") {
        return "counters";
    }
    if name.starts_with("gauge_") || name.ends_with("_gauge") {
        return "gauges";
    }
    let ends =
        ["_hist", "_histogram", "_latency", "_latency_seconds", "_latency_us", "_latency_ns", "_latency_ms"];
    let begins = name.starts_with("hist") && !name.starts_with("histor");
    if begins || ends.iter().any(|end| name.ends_with(end)) {
        return "histograms";
    }
    if words_of(&name).any(is_state) { "gauges" } else { "counters" }
}

/// The same with what the member says: what names a state, a time or an extreme does not add up.
fn member_group(map: &str, member: &Member) -> &'static str {
    let word = leaf(&member.path);
    let state = matches!(
        member.kind,
        MemberKind::Enum { .. } | MemberKind::Scalar(ScalarKind::Bool | ScalarKind::Float)
    );
    let is_flag = member.bits.is_some_and(|bits| bits.width == 1);
    let names = words_of(&member.path).any(is_state) || scratch::is_time(word) || scratch::is_identity(word);
    if names || state || is_flag { "gauges" } else { group(map) }
}

/// How the CPUs' numbers become one where they do not add up.
fn reduction(map: &MapInfo, member: &Member) -> &'static str {
    if !map.kind.is_per_cpu() {
        return "";
    }
    match words_of(&map.name)
        .chain(words_of(&member.path))
        .find(|word| matches!(*word, "min" | "max" | "last"))
    {
        Some("min") => "      reduce: min\n",
        None if !scratch::is_time(leaf(&member.path)) && !scratch::is_identity(leaf(&member.path)) => "",
        _ => "      reduce: max\n",
    }
}

/// Whether a word says that the number is an extreme or the latest one.
fn is_state(word: &str) -> bool {
    matches!(word, "min" | "max" | "last" | "current" | "cur" | "first")
}

/// The words of a path: `last.rx_max` has three.
fn words_of(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '_', '[', ']']).filter(|word| !word.is_empty())
}
