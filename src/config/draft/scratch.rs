//! Maps that only the programs need: what they note at the beginning of something for its end.
//!
//! Names and types are all there is to go by, so that such a map becomes a comment and is not
//! passed over: whoever knows better takes the signs away.

use std::collections::HashMap;
use std::rc::Rc;

use crate::btf::{Layout, Member, MemberKind, TypeId};
use crate::elf::{MapInfo, ObjectInfo};

/// Layouts by their types, each made once: maps can share one, however large.
#[derive(Default)]
pub(super) struct Layouts(HashMap<TypeId, Option<Rc<Layout>>>);

impl Layouts {
    fn of(&mut self, object: &ObjectInfo, id: Option<TypeId>) -> Option<Rc<Layout>> {
        let id = id?;
        self.0.entry(id).or_insert_with(|| object.btf.layout(id).ok().map(Rc::new)).clone()
    }
}

/// Why a map seems to be no metric; none for what may well be one.
pub(super) fn reason(object: &ObjectInfo, map: &MapInfo, layouts: &mut Layouts) -> Option<String> {
    let name = map.name.to_ascii_lowercase();
    let says_so = name.ends_with("_total")
        || ["counter_", "gauge_", "hist"].iter().any(|prefix| name.starts_with(prefix))
        || ["_hist", "_gauge"].iter().any(|suffix| name.ends_with(suffix));
    let (key, value) = (layouts.of(object, map.key_type), layouts.of(object, map.value_type)?);
    if says_so || value.members.iter().any(is_histogram) {
        return None;
    }
    let why = if key.as_deref().is_some_and(is_pointer) {
        "its keys are addresses in the kernel"
    } else if is_time(&name) && (is_one_long(&value) || is_note(&value)) {
        "by its name it holds points in time"
    } else if is_scratch(&name) {
        "by its name it is memory of the programs"
    } else if is_between(&name) && key.as_deref().is_some_and(is_single) && !map.kind.is_array() {
        "by its name it holds what is not finished yet"
    } else {
        return None;
    };
    Some(format!("{} seems to be for the programs alone ({why})", map.name))
}

/// Whether a map or a member of this name holds points in time.
pub(super) fn is_time(name: &str) -> bool {
    const TIMES: [&str; 7] = ["start", "started", "begin", "began", "ts", "timestamp", "birth"];
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        // Of several words the plural is a number of starts: `process_starts`.
        ["starts" | "timestamps" | "begins"] | ["start" | "begin", "time" | "times" | "ns" | "us"] => true,
        [.., last] => TIMES.contains(last) || (words.len() > 1 && *last == "at"),
        [] => false,
    }
}

/// Whether a member of this name says which, and not how many.
pub(super) fn is_identity(name: &str) -> bool {
    let last = name.rsplit('_').next().unwrap_or_default();
    matches!(
        last,
        "pid"
            | "tid"
            | "tgid"
            | "ppid"
            | "uid"
            | "gid"
            | "id"
            | "port"
            | "ifindex"
            | "index"
            | "addr"
            | "address"
            | "inode"
            | "flags"
    )
}

fn is_scratch(name: &str) -> bool {
    let mut words = name.split('_');
    words.any(|word| matches!(word, "tmp" | "scratch" | "stash"))
        || matches!(name, "temp" | "heap" | "buf" | "buffer")
}

fn is_between(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["entry" | "enter" | "inflight", ..] | [.., "args" | "arg" | "entry" | "inflight"] => true,
        [.., "in", "flight"] | ["in", "flight", ..] => true,
        ["entries"] => true,
        _ => name.starts_with("entry"),
    }
}

fn is_histogram(member: &Member) -> bool {
    matches!(member.kind, MemberKind::Array { count, .. } if count > 8)
}

fn is_pointer(layout: &Layout) -> bool {
    matches!(layout.members.as_slice(), [only] if only.kind == MemberKind::Pointer)
}

/// Whether a key is one thing, such as a thread or a request.
fn is_single(layout: &Layout) -> bool {
    layout.members.len() == 1
}

/// Nanoseconds take 8 bytes.
fn is_one_long(layout: &Layout) -> bool {
    matches!(layout.members.as_slice(), [only] if only.size == 8)
}

/// Whether a value is a struct in which a time stands, or somebody's name.
fn is_note(layout: &Layout) -> bool {
    layout.members.iter().any(|member| {
        let leaf = super::words::leaf(&member.path);
        member.kind == MemberKind::Text || member.kind == MemberKind::Pointer || is_time(leaf)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_by_their_names() {
        for name in
            ["start", "starts", "start_ts", "tcp_start", "start_time", "issued_at", "ts", "birth", "begin_ns"]
        {
            assert!(is_time(name), "{name}");
        }
        for name in ["process_starts", "restarts", "at", "stats", "start_errors", "counts", "tss", "seconds"]
        {
            assert!(!is_time(name), "{name}");
        }
    }

    #[test]
    fn what_is_under_way_is_known_by_its_name() {
        for name in
            ["entry", "entryinfo", "entry_args", "args", "open_args", "inflight", "io_in_flight", "entries"]
        {
            assert!(is_between(name), "{name}");
        }
        for name in ["cache_entries", "arguments", "flights", "carpentry_jobs", "reentry_count"] {
            assert!(!is_between(name), "{name}");
        }
    }

    #[test]
    fn memory_is_known_by_its_name() {
        for name in ["tmp", "tmp_event", "scratch_space", "heap", "buffer"] {
            assert!(is_scratch(name), "{name}");
        }
        for name in ["cpu_temp", "heap_bytes", "buffers", "attempts"] {
            assert!(!is_scratch(name), "{name}");
        }
    }
}
