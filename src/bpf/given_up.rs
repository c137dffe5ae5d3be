//! Ring buffers that an exporter before this one has left, and that the object does not have in that form any more.
//!
//! What was written to them cannot be read as what this object's programs write: how many events wait there is counted
//! as lost, when the programs have ended that write them.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::elf::MapKind;
use crate::snapshot::Loss;

use super::keep::{is_link, is_map, map_name};
use super::left::Left;
use super::loaded::OpenBuffer;
use super::object::LoadedObject;
use super::raw;
use super::ring::Ring;

/// The kernel removes a link whose file is gone after an RCU grace period: some milliseconds.
const MOST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(1);

/// Buffers with events that nobody will read.
pub(super) struct GivenUp {
    /// Each by its file's name.
    rings: Vec<(String, Ring)>,
    /// The kernel's numbers of the links of those who may write to them.
    links: HashSet<u32>,
}

impl GivenUp {
    /// Those among what was left that an object does not go on with.
    pub(super) fn find(left: &Left, object: &LoadedObject) -> Self {
        let id = |(_, map): (String, libbpf_rs::Map<'_>)| Some(raw::describe_map(map.as_fd()).ok()?.id);
        let mut known: HashSet<u32> = object.maps().filter_map(id).collect();
        let files: Vec<_> = left.files().collect();
        // One that crashed has left some in two folders.
        let mut ring = |path: &Path| {
            let map = raw::open_pinned_map(path, false).ok()?;
            let facts = raw::describe_map(map.as_fd()).ok()?;
            if facts.kind != MapKind::RINGBUF.0 || !known.insert(facts.id) {
                return None;
            }
            let ring = Ring::open(map.as_fd(), facts.max_entries).ok()?;
            Some((path.file_name()?.to_str()?.to_owned(), ring))
        };
        let rings: Vec<_> = files.iter().filter(|path| is_map(path)).filter_map(|path| ring(path)).collect();
        let link = |path: &Path| Some(raw::link_facts(raw::open_pin(path, false).ok()?.as_fd()).ok()?.id);
        let writers = files.iter().filter(|path| !rings.is_empty() && is_link(path));
        let links = writers.filter_map(|path| link(path)).collect();
        Self { rings, links }
    }

    /// Counts their events as lost in the buffers of the same names, and says so. `go_on` are links that stay; `settle`
    /// waits until what was detached is gone.
    pub(super) fn count<'a>(
        mut self,
        buffers: &[OpenBuffer],
        go_on: impl Iterator<Item = BorrowedFd<'a>>,
        config: &str,
        settle: impl FnOnce(),
    ) {
        if self.rings.is_empty() {
            return;
        }
        settle();
        for link in go_on.filter_map(|link| raw::link_facts(link).ok()) {
            self.links.remove(&link.id);
        }
        let deadline = Instant::now() + MOST;
        // Whether it is there is told to those alone who may see all; for the others the grace period has to do.
        while self.links.iter().any(|link| raw::is_there(*link).unwrap_or(false)) && Instant::now() < deadline
        {
            std::thread::sleep(PAUSE);
        }
        raw::wait_for_programs();
        for (file, ring) in self.rings {
            let events = ring.waiting();
            if events == 0 {
                continue;
            }
            let same = buffers.iter().find(|buffer| map_name(&buffer.map) == file);
            if let Some(same) = same {
                same.buffer.lose(Loss::Replaced, events);
            }
            let map = same.map_or(file.as_str(), |same| &same.map);
            tracing::warn!(
                config,
                map,
                events,
                "events are lost: they waited in a ring buffer, and the object that wrote them is another one now"
            );
        }
    }
}
