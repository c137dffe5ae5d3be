//! `signal`: the name of a signal.

use super::{Built, Decode, DecodeError, Decoded, Entry, Kind, Traits, Value, number::Numbers, text};

pub(super) const ENTRY: Entry = Entry {
    name: "signal",
    summary: "The name of a signal by number (`SIGKILL`, `SIGRTMIN+2`), as `kill -l` prints it; `unknown:N` when it has none.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Signal {
    numbers: Numbers,
}

fn build(kind: Kind) -> Built {
    Ok((Box::new(Signal { numbers: Numbers::of("signal", kind)? }), Kind::Text))
}

impl Decode for Signal {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let number = self.numbers.read(value)?;
        match number {
            1..=31 => {
                let index = usize::try_from(number - 1).unwrap_or_default();
                out.extend_from_slice(SIGNALS.get(index).copied().unwrap_or_default().as_bytes());
            }
            RTMIN => out.extend_from_slice(b"SIGRTMIN"),
            RTMAX => out.extend_from_slice(b"SIGRTMAX"),
            // The nearer end, with the middle on the lower one.
            35..=49 => text::push_unknown(out, "SIGRTMIN+", number - RTMIN),
            50..=63 => text::push_unknown(out, "SIGRTMAX-", RTMAX - number),
            _ => text::push_unknown(out, "unknown:", number),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.numbers.injective())
    }
}

/// The first real-time signal that a program may use: glibc keeps 32 and 33 for itself.
const RTMIN: i128 = 34;
const RTMAX: i128 = 64;

/// The signals 1 to 31 of x86_64 and aarch64.
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];
