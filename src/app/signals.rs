//! Signals as events. SIGPIPE needs nothing: Rust's runtime ignores it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, iterator};

use crate::bpf;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end gracefully. A second one asks for nothing more: the end is bounded anyway.
    Stop {
        /// The signal's name.
        name: &'static str,
    },
    /// SIGHUP: never deadly.
    Hangup,
}

impl Signal {
    fn from_number(number: i32) -> Option<Self> {
        match number {
            SIGTERM => Some(Self::Stop { name: "SIGTERM" }),
            SIGINT => Some(Self::Stop { name: "SIGINT" }),
            SIGHUP => Some(Self::Hangup),
            _ => None,
        }
    }
}

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    iterator: iterator::Signals,
    waiting: VecDeque<Signal>,
    stop: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over; from now on none of them ends the process by itself. Called before threads start,
    /// which have of the calling one which signals reach them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take_over() -> io::Result<Self> {
        let iterator = iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let stop = Arc::default();
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(&stop))?;
        }
        bpf::let_through(&[SIGTERM, SIGINT, SIGHUP])?;
        Ok(Self { iterator, waiting: VecDeque::new(), stop })
    }

    /// Waits for the next signal.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Signal {
        loop {
            if let Some(signal) = self.waiting.pop_front() {
                return signal;
            }
            self.waiting.extend(self.iterator.wait().filter_map(Signal::from_number));
        }
    }

    /// True from the moment the process is asked to end, for those who do not wait for signals:
    /// whoever loads looks at it between two configs.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_meanings() {
        assert_eq!(Signal::from_number(SIGTERM), Some(Signal::Stop { name: "SIGTERM" }));
        assert_eq!(Signal::from_number(SIGINT), Some(Signal::Stop { name: "SIGINT" }));
        assert_eq!(Signal::from_number(SIGHUP), Some(Signal::Hangup));
        assert_eq!(Signal::from_number(9), None);
    }
}
