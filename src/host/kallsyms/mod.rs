//! Kernel symbols: names by address and addresses by name.
//!
//! Modules and BPF programs come and go, so a reading grows stale. Symbols of
//! the kernel itself never move; for all others it is read again, but within
//! bounds, because one reading costs the kernel some 50 ms:
//!
//! - an address that was never missed before is a reason to read at once, within 5 % of the time that passes (about
//!   once a second);
//! - an address that a reading did not know is no reason for another one for a while;
//! - an answer from a module or a BPF program is good for a minute after the reading.
//!
//! Whether a reading shows addresses is decided when the file is opened, since Linux 4.15. So it can be opened while the
//! process may see them, and read from the same descriptor when somebody asks.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Symbol;
use super::cache::TtlCache;
use super::clock::Clock;
use super::file::{open, with_path};
use super::pace::Pace;

mod index;

use index::{Found, Index};

/// How long a reading is believed about modules and BPF programs.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// How long an address that a reading did not know is no reason to read again.
const ABSENT_FOR: Duration = Duration::from_secs(30);

/// `kptr_restrict` can be set meanwhile: hidden addresses are looked at again after this time.
const HIDDEN_FOR: Duration = Duration::from_secs(10);

/// An address that is written into a program must be of now.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How many unknown addresses are remembered.
const MOST_ABSENT: usize = 16_384;

/// An index that nobody asked for in this time is let go.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Kernel symbols, as of the last reading.
#[derive(Debug)]
pub(super) struct Kallsyms {
    path: PathBuf,
    /// The file as it was opened by who could see addresses.
    file: Option<File>,
    clock: Clock,
    /// The last reading that showed addresses: it is still right about the kernel when a later
    /// one fails, as it does once the privilege to see addresses was given up.
    index: Option<Index>,
    /// When a reading was last tried, and whether it showed addresses.
    tried: Option<(Duration, bool)>,
    used: Duration,
    absent: TtlCache<u64, ()>,
    pace: Pace,
}

impl Kallsyms {
    pub(super) fn new(path: PathBuf, clock: Clock) -> Self {
        Self {
            path,
            file: None,
            clock,
            index: None,
            tried: None,
            used: Duration::ZERO,
            absent: TtlCache::new(MOST_ABSENT),
            pace: Pace::new(Duration::from_millis(50), Duration::ZERO),
        }
    }

    /// The symbol that starts at an address.
    pub(super) fn at(&mut self, address: u64) -> Symbol {
        self.look_up(address, Index::at)
    }

    /// The symbol at or nearest before an address.
    pub(super) fn around(&mut self, address: u64) -> Symbol {
        self.look_up(address, Index::around)
    }

    /// The address of the first symbol of this name, as of now.
    pub(super) fn address(&mut self, name: &str) -> io::Result<Option<u64>> {
        self.used = self.clock.now();
        let fresh =
            self.tried.is_some_and(|(then, shown)| shown && self.used.saturating_sub(then) < FRESH_FOR);
        let outcome = if fresh { Ok(()) } else { self.read() };
        match (&self.index, outcome) {
            (Some(index), _) => Ok(index.address(name)),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(None),
        }
    }

    /// Opens the file now, so that readings show addresses also when opening it would not do any more.
    pub(super) fn keep_open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = open(&self.path)?;
            let shows = shows_addresses(&mut file).map_err(|error| with_path(&self.path, &error))?;
            self.file = Some(if shows { file } else { return Err(hidden(&self.path)) });
        }
        Ok(())
    }

    /// Lets the index go when nobody has asked for a while and it could be read again.
    pub(super) fn release_unused(&mut self) {
        let idle = self.clock.now().saturating_sub(self.used) >= KEPT_FOR;
        let can_be_read = || match self.file {
            Some(_) => true,
            None => open(&self.path).is_ok_and(|mut file| shows_addresses(&mut file).unwrap_or(false)),
        };
        if idle && self.index.is_some() && can_be_read() {
            self.index = None;
            self.tried = None;
        }
    }

    fn look_up(&mut self, address: u64, find: for<'a> fn(&'a Index, u64) -> Option<Found<'a>>) -> Symbol {
        let now = self.clock.now();
        self.used = now;
        let read_now = self.index.is_none() && self.first_reading(now);
        let Some(index) = &self.index else { return Symbol::Hidden };
        let found = find(index, address);
        let (certain, symbol) = (found.is_some_and(|found| found.certain), symbol_of(found));
        if certain {
            return symbol;
        }
        if !read_now {
            if !self.may_be_stale(address, found_any(&symbol), now) {
                return symbol;
            }
            // A reading that fails leaves the last one, whose answer is the best there is.
            let _ = self.read();
            self.pace.pay(now, self.clock.now(), true);
        }
        let symbol = symbol_of(self.index.as_ref().and_then(|index| find(index, address)));
        if !found_any(&symbol) {
            self.absent.insert(address, (), now + ABSENT_FOR);
        }
        symbol
    }

    fn first_reading(&mut self, now: Duration) -> bool {
        let waiting = self.tried.is_some_and(|(then, _)| now.saturating_sub(then) < HIDDEN_FOR);
        !waiting && self.read().is_ok()
    }

    fn may_be_stale(&mut self, address: u64, known: bool, now: Duration) -> bool {
        let (old, shown) = self
            .tried
            .map_or((true, true), |(then, shown)| (now.saturating_sub(then) >= BELIEVED_FOR, shown));
        // Privilege that was given up does not come back soon, and hidden addresses cost as much to read.
        if !old && !shown {
            return false;
        }
        let reason = if known { old } else { self.absent.get(&address, now).is_none() };
        reason && self.pace.allows(now)
    }

    fn read(&mut self) -> io::Result<()> {
        let outcome = match &mut self.file {
            Some(file) => read(file, &self.path),
            None => open(&self.path).and_then(|mut file| read(&mut file, &self.path)),
        };
        self.tried = Some((self.clock.now(), outcome.is_ok()));
        self.index = Some(outcome?);
        Ok(())
    }
}

fn symbol_of(found: Option<Found<'_>>) -> Symbol {
    found.map_or(Symbol::Unknown, |found| Symbol::Named(found.text()))
}

fn found_any(symbol: &Symbol) -> bool {
    matches!(symbol, Symbol::Named(_))
}

fn hidden(path: &Path) -> io::Error {
    let message = format!(
        "{} shows no addresses: CAP_SYSLOG is missing, or the sysctl kernel.kptr_restrict is 2",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

/// Reads the whole of a file, whatever was read of it before.
fn read(file: &mut File, path: &Path) -> io::Result<Index> {
    let index = file.rewind().and_then(|()| Index::read(file)).map_err(|error| with_path(path, &error))?;
    if index.is_hidden() { Err(hidden(path)) } else { Ok(index) }
}

/// Whether the first few symbols have addresses.
fn shows_addresses(file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(16 << 10).read_to_end(&mut beginning)?;
    Ok(!Index::parse(&mut beginning.as_slice())?.is_hidden())
}

#[cfg(test)]
mod tests;
