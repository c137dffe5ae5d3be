//! Bytes of a key to label text: one file per decoder, one table that names them all.
//!
//! Building a decoder is the check of it: a scrape meets no unknown name, no bad
//! regex and no size that could never work.
//!
//! In configs every decoder reads what the one before it wrote, as text. Here
//! numbers stay numbers along a chain, and whoever wants text of one sees its
//! decimal digits, so that the labels are the same and the digits are written once.
//! A decoder that takes a number also takes a raw field of 1, 2, 4 or 8 bytes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::host::Host;

mod bool;
mod canonical;
mod cgroup;
mod chain;
mod dname;
mod dns_name;
mod enums;
mod errno;
mod hex;
mod ifname;
mod inet_ip;
mod inet_union;
mod int;
mod kstack;
mod ksym;
mod mac;
mod majorminor;
mod number;
mod pci;
mod pci_class;
mod pci_device;
mod pci_subclass;
mod pci_vendor;
mod plain;
mod port;
mod proto;
mod regexp;
mod signal;
mod static_map;
mod string;
mod syscall;
mod tables;
mod text;
mod uid;
mod uint;

#[cfg(test)]
mod host_vectors;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod vectors;

pub use canonical::Canonical;
pub use chain::{Chain, Outcome};
pub use number::{is_number, parse_unsigned};
pub use regexp::{Matcher, SIZE_LIMIT, can_match_number};
pub use text::{push_decimal, push_signed_decimal};

use plain::Plain;

/// What goes into a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Raw bytes of the key, or text that an earlier decoder of the chain made.
    Bytes(&'a [u8]),
    /// A number that an earlier decoder made.
    Unsigned(u64),
    /// A signed number that an earlier decoder made.
    Signed(i64),
}

/// What came out of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Text was appended to the output; it need not be valid UTF-8.
    Text,
    /// A number; nothing was appended.
    Unsigned(u64),
    /// A signed number; nothing was appended.
    Signed(i64),
    /// The label set is not to be published.
    Skip,
}

/// Why a value could not be decoded: small, copied on the hot path, counted by [`Self::reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The decoder cannot take a field of this many bytes.
    #[error("a field of {0} bytes cannot be decoded")]
    Size(usize),
    /// A number was expected and the text is none.
    #[error("not a number")]
    NotANumber,
    /// The key is not what the labels describe (a metric without labels takes key 0 alone).
    #[error("the key is not the one that a metric without labels has")]
    Key,
    /// A file of the host that is needed could not be read.
    #[error("the host's names cannot be read")]
    Host,
}

impl DecodeError {
    /// A stable label value for metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Size(_) => "size",
            Self::NotANumber => "not_a_number",
            Self::Key => "key",
            Self::Host => "host",
        }
    }
}

/// When different inputs are certain to give different texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Injective {
    /// Never certain.
    Never,
    /// For canonical input: valid UTF-8 before the first NUL, zeros after it.
    Canonical,
    /// For all input.
    Always,
}

/// What a scrape may assume of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// When different inputs give different texts.
    pub injective: Injective,
    /// Costs enough that remembering its result pays.
    pub dear: bool,
    /// The same input can mean something else later: a result must not be kept.
    pub volatile: bool,
    /// Asks for kernel symbols, whose list has to be opened while the process may see their addresses.
    pub symbols: bool,
}

/// What kind of value reaches a decoder, known when the chain is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of the key, of this size.
    Field(usize),
    /// Text of any length, or now and then a number (what `static_map` lets through is what came in).
    Text,
    /// An unsigned number.
    Number,
    /// A number that may be negative.
    Signed,
}

/// One decoder, ready to work.
pub trait Decode: Send + Sync + Debug {
    /// Decodes one value; text is appended to `out`.
    ///
    /// # Errors
    /// When the value is not one it can take; `out` may hold a partial text then, which the caller cuts off.
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError>;

    /// What a scrape may assume of it.
    fn traits(&self) -> Traits;

    /// What a field comes to behind it that was `before` when it came, where that is as simple.
    #[allow(private_interfaces, reason = "decoders live in this room alone")]
    fn plain(&self, before: Plain) -> Option<Plain> {
        let _ = before;
        None
    }

    /// The form of all fields that it takes for the same, where these are several.
    fn canonical(&self) -> Option<Canonical> {
        None
    }

    /// Every text that it gives, those for what it does not know apart; none when there is no such list.
    fn texts(&self) -> Option<Vec<Vec<u8>>> {
        None
    }

    /// Bytes that it keeps, where these can be many for a few letters in a config.
    fn memory(&self) -> usize {
        0
    }
}

/// The parameters a config may give to a decoder, as plain data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// `static_map`, in the order written; keys are the text as written.
    pub static_map: Option<Vec<(String, String)>>,
    /// `allow_unknown`
    pub allow_unknown: bool,
    /// `regexps`
    pub regexps: Vec<String>,
    /// `type`
    pub type_name: Option<String>,
    /// The names and values of `type`, in the order of declaration, once it was looked up.
    pub enumerators: Option<Vec<(i128, String)>>,
    /// `strip_prefix`
    pub strip_prefix: String,
    /// `strip_suffix`
    pub strip_suffix: String,
    /// `lower`
    pub lower: bool,
}

/// Why a decoder cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// A stable name, such as `bad-regexp`, `unknown-decoder`, `field-size`.
    pub code: &'static str,
    /// The parameter at fault, and its index where it is a list: `("regexps", Some(2))`.
    pub param: Option<(&'static str, Option<usize>)>,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

/// A row of the table of decoders.
pub struct Entry {
    /// The name used in configs.
    pub name: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// Builds the decoder for what reaches it; says what it gives.
    #[allow(clippy::type_complexity)]
    pub build: fn(&Params, Kind, &Arc<Host>) -> Result<(Box<dyn Decode>, Kind), BuildError>,
}

/// Every decoder there is, by name.
pub const DECODERS: &[Entry] = &[
    bool::ENTRY,
    cgroup::ENTRY,
    dname::ENTRY,
    dns_name::ENTRY,
    enums::ENTRY,
    errno::ENTRY,
    hex::ENTRY,
    ifname::ENTRY,
    inet_ip::ENTRY,
    inet_union::ENTRY,
    int::ENTRY,
    kstack::ENTRY,
    ksym::ENTRY,
    mac::ENTRY,
    majorminor::ENTRY,
    pci_class::ENTRY,
    pci_device::ENTRY,
    pci_subclass::ENTRY,
    pci_vendor::ENTRY,
    port::ENTRY,
    proto::ENTRY,
    regexp::ENTRY,
    signal::ENTRY,
    static_map::ENTRY,
    string::ENTRY,
    syscall::ENTRY,
    uid::ENTRY,
    uint::ENTRY,
];

/// What building a decoder gives: the decoder, and what kind of value it passes on.
type Built = Result<(Box<dyn Decode>, Kind), BuildError>;

impl Traits {
    /// Of a decoder that computes its text from its input alone, cheaply.
    const fn pure(injective: Injective) -> Self {
        Self { injective, dear: false, volatile: false, symbols: false }
    }

    /// Of a decoder that asks the machine for a name, which two things can share and which can change.
    const fn named(dear: bool) -> Self {
        Self { injective: Injective::Never, dear, volatile: true, symbols: false }
    }

    /// Of a decoder that asks for kernel symbols: static functions share names, and modules come and go.
    const fn symbols() -> Self {
        Self { injective: Injective::Never, dear: true, volatile: true, symbols: true }
    }

    /// Of two decoders, one after the other.
    fn then(self, next: Self) -> Self {
        Self {
            injective: self.injective.min(next.injective),
            dear: self.dear || next.dear,
            volatile: self.volatile || next.volatile,
            symbols: self.symbols || next.symbols,
        }
    }
}

impl BuildError {
    /// A field has a size that the decoder could never take.
    fn field_size(decoder: &str, found: usize, expected: &str) -> Self {
        Self {
            code: "field-size",
            param: None,
            message: format!("decoder {decoder} cannot take a field of {found} bytes"),
            expected: Some(expected.to_owned()),
            help: None,
        }
    }

    /// Whether building it took as much as one decoder may take.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.message.ends_with(regexp::TOO_LARGE)
    }

    /// The decoder before this one gives what this one could never take.
    fn input(decoder: &str, found: &str, expected: &str) -> Self {
        Self {
            code: "decoder-input",
            param: None,
            message: format!("decoder {decoder} cannot take the {found} of the decoder before it"),
            expected: Some(expected.to_owned()),
            help: None,
        }
    }
}
