//! Bytes of a key to label text: one file per decoder, one table that names them all.
//!
//! Building a decoder is the check of it: a scrape meets no unknown name, no bad
//! regex and no size that could never work. Numbers stay numbers along a chain.

use std::fmt::Debug;
use std::sync::Arc;

use crate::host::Host;

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
}

/// What kind of value reaches a decoder, known when the chain is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of the key, of this size.
    Field(usize),
    /// Text of any length.
    Text,
    /// A number.
    Number,
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
pub const DECODERS: &[Entry] = &[];

/// A chain of decoders for one label: the last one writes into the page.
#[derive(Debug)]
pub struct Chain {
    decoders: Vec<Box<dyn Decode>>,
    traits: Traits,
}

/// What a chain made of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The label's text was appended.
    Label,
    /// The label set is not to be published; nothing was appended.
    Skip,
}

impl Chain {
    /// Builds a chain for a field of `size` bytes from names and parameters.
    ///
    /// # Errors
    /// The index of the decoder at fault and what is wrong with it; an empty chain is at fault at 0.
    pub fn build(
        _steps: &[(String, Params)],
        _size: usize,
        _host: &Arc<Host>,
    ) -> Result<Self, (usize, BuildError)> {
        Ok(Self {
            decoders: Vec::new(),
            traits: Traits { injective: Injective::Never, dear: false, volatile: false },
        })
    }

    /// What a scrape may assume of the whole chain.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// Decodes a field, appending the label's raw text (not escaped, perhaps not UTF-8) to `out`.
    /// `scratch` holds texts between decoders; its content is of no interest.
    ///
    /// # Errors
    /// When a decoder cannot take its value; `out` is as it was then.
    pub fn decode(
        &self,
        _field: &[u8],
        out: &mut Vec<u8>,
        _scratch: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        let _ = (&self.decoders, out);
        Ok(Outcome::Skip)
    }
}
