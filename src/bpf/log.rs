//! What libbpf says while it works, kept apart by object.
//!
//! libbpf has one print function for the whole process. It is called on the thread
//! that works, so lines are kept by thread, and each object is loaded on one thread.

use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::print::{self, Level};

/// What libbpf warned of during one piece of work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    messages: Vec<String>,
}

thread_local! {
    static MESSAGES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

static DEBUG: AtomicBool = AtomicBool::new(false);

const PREFIX: &str = "libbpf: ";
const BEGIN: &str = "-- BEGIN PROG LOAD LOG --\n";
const ANY_LOG: &str = "-- BEGIN ";
const END: &str = "-- END PROG LOAD LOG --";

/// From now on libbpf's debug messages are wanted too. There is no way back: other threads may be at work.
pub(super) fn want_debug() {
    DEBUG.store(true, Ordering::Relaxed);
}

/// Whether a message of a level is wanted. Formatting debug messages that nobody reads costs a load milliseconds.
pub(super) fn wants(level: Level) -> bool {
    level == Level::Warning || DEBUG.load(Ordering::Relaxed)
}

/// Does some work with libbpf and keeps what it warns of. Works inside itself.
pub(super) fn capture<T>(work: impl FnOnce() -> T) -> (T, Log) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(print::install);
    let outer = MESSAGES.with_borrow_mut(|messages| messages.replace(Vec::new()));
    let result = work();
    let messages = MESSAGES.with_borrow_mut(|messages| std::mem::replace(messages, outer));
    (result, Log { messages: messages.unwrap_or_default() })
}

/// Takes what libbpf says.
pub(super) fn print(level: Level, message: String) {
    if level == Level::Warning {
        keep(message);
    } else {
        tracing::debug!(target: "libbpf", "{}", message.trim_end());
    }
}

fn keep(message: String) {
    let mut message = Some(message);
    let _ = MESSAGES.try_with(|messages| {
        if let Ok(mut messages) = messages.try_borrow_mut()
            && let Some(messages) = messages.as_mut()
        {
            messages.extend(message.take());
        }
    });
    if let Some(message) = message {
        tracing::debug!(target: "libbpf", "{}", message.trim_end());
    }
}

impl Log {
    /// The warnings, one by one, without the kernel's logs of programs and BTF.
    pub(super) fn reasons(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.messages
            .iter()
            .filter(|message| !message.contains(ANY_LOG))
            .map(|message| message.trim().strip_prefix(PREFIX).unwrap_or(message.trim()))
            .filter(|message| !message.is_empty())
    }

    /// The last program that the verifier spoke about, and what it said.
    pub(super) fn verifier(&self) -> Option<(&str, &str)> {
        self.messages.iter().rev().find_map(|message| {
            let (head, rest) = message.split_once(BEGIN)?;
            let text = rest.rsplit_once(END).map_or(rest, |(text, _)| text);
            let program = quoted(head, "prog '").unwrap_or_default();
            (!text.trim().is_empty()).then_some((program, text.trim_end()))
        })
    }

    /// What stands between `before` and the next quote in the first warning that also has `also`.
    pub(super) fn named(&self, before: &str, also: &str) -> Option<&str> {
        self.reasons().filter(|reason| reason.contains(also)).find_map(|reason| quoted(reason, before))
    }

    /// Whether a warning has this text.
    pub(super) fn has(&self, text: &str) -> bool {
        self.reasons().any(|reason| reason.contains(text))
    }
}

fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once('\'').map(|(name, _)| name)
}

#[cfg(test)]
impl Log {
    /// A log with these messages.
    pub(super) fn of(messages: &[&str]) -> Self {
        Self { messages: messages.iter().map(|message| (*message).to_owned()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_warnings_apart_from_the_verifier() {
        let log = Log::of(&[
            "libbpf: prog 'first': BPF program load failed: -EACCES\n",
            "libbpf: prog 'first': -- BEGIN PROG LOAD LOG --\n0: r0 = 1\nR1 !read_ok\n-- END PROG LOAD LOG --\n",
            "libbpf: failed to load object 'test'\n",
        ]);
        assert_eq!(
            log.reasons().collect::<Vec<_>>(),
            ["prog 'first': BPF program load failed: -EACCES", "failed to load object 'test'"]
        );
        assert_eq!(log.verifier(), Some(("first", "0: r0 = 1\nR1 !read_ok")));
        assert_eq!(log.named("prog '", "load failed"), Some("first"));
        assert_eq!(log.named("map '", "load failed"), None);
        assert_eq!(Log::default().verifier(), None);
    }

    #[test]
    fn each_thread_has_its_own_messages_and_captures_nest() {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    let say = |text: &str| print(Level::Warning, format!("libbpf: {thread} {text}\n"));
                    let (inner, outer) = capture(|| {
                        say("before");
                        let ((), inner) = capture(|| say("inside"));
                        say("after");
                        inner
                    });
                    assert_eq!(inner.reasons().collect::<Vec<_>>(), [format!("{thread} inside")]);
                    let expected = [format!("{thread} before"), format!("{thread} after")];
                    assert_eq!(outer.reasons().collect::<Vec<_>>(), expected);
                });
            }
        });
    }
}
