//! Decoders one after another, as the config lists them for a label.

use std::collections::HashSet;
use std::sync::Arc;

use super::{
    BuildError, Canonical, DECODERS, Decode, DecodeError, Decoded, Entry, Injective, Kind, Params, Plain,
    Traits, Value, number::parse_unsigned, text,
};
use crate::host::Host;

/// A chain of decoders for one label: the last one writes into the page.
#[derive(Debug)]
pub struct Chain {
    decoders: Vec<Box<dyn Decode>>,
    traits: Traits,
    lead: Lead,
}

/// What the first decoders come to, so that they need not be asked.
#[derive(Clone, Copy, Debug)]
struct Lead {
    /// How many.
    decoders: usize,
    plain: Plain,
}

/// What a chain made of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The label's text was appended.
    Label,
    /// The label set is not to be published; nothing was appended.
    Skip,
}

/// Where the value that goes into the next decoder is.
#[derive(Clone, Copy)]
enum Held<'a> {
    Value(Value<'a>),
    /// Text in the buffer that the decoder before wrote to.
    Text,
}

impl Chain {
    /// Builds a chain for a field of `size` bytes from names and parameters.
    ///
    /// # Errors
    /// The index of the decoder at fault and what is wrong with it; an empty chain is at fault at 0.
    #[expect(
        clippy::result_large_err,
        reason = "chains are built when a config is read, not on the hot path"
    )]
    pub fn build(
        steps: &[(String, Params)],
        size: usize,
        host: &Arc<Host>,
    ) -> Result<Self, (usize, BuildError)> {
        if steps.is_empty() {
            return Err((0, no_decoders()));
        }
        let mut decoders = Vec::with_capacity(steps.len());
        let mut traits = Traits::pure(Injective::Always);
        let mut kind = Kind::Field(size);
        for (index, (name, params)) in steps.iter().enumerate() {
            let entry = find(name).ok_or_else(|| (index, unknown_decoder(name)))?;
            let (decoder, next) = (entry.build)(params, kind, host).map_err(|error| (index, error))?;
            traits = traits.then(decoder.traits());
            decoders.push(decoder);
            kind = next;
        }
        let lead = lead(&decoders);
        Ok(Self { decoders, traits, lead })
    }

    /// What a scrape may assume of the whole chain.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.traits
    }

    /// The form of all fields that it takes for the same, where these are several.
    #[must_use]
    pub fn canonical(&self) -> Option<Canonical> {
        self.decoders.first().and_then(|first| first.canonical())
    }

    /// Whether fields in that form are certain to give different texts, as far as they are UTF-8.
    #[must_use]
    pub fn tells_canonical_apart(&self) -> bool {
        let is_name = self.decoders.len() == 1 && self.canonical() == Some(Canonical::DnsName);
        is_name || self.traits.injective != Injective::Never
    }

    /// Whether every text is decimal digits, perhaps with a sign.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.lead.decoders == self.decoders.len() && self.lead.plain.is_number()
    }

    /// Bytes that its decoders keep.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.decoders.iter().map(|decoder| decoder.memory()).sum()
    }

    /// Every text that the label can have, those for what is not known apart; none when there is no such list.
    ///
    /// The first decoder that knows its texts makes the list, and what follows decodes each of them.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<Vec<u8>>> {
        let mut texts: Option<Vec<Vec<u8>>> = None;
        for decoder in &self.decoders {
            texts = match texts {
                None => decoder.texts(),
                // What the machine names can be named otherwise later.
                Some(_) if decoder.traits().volatile => None,
                Some(known) => {
                    let mut seen = HashSet::new();
                    let after = known.iter().filter_map(|text| text_after(decoder.as_ref(), text));
                    Some(after.filter(|text| seen.insert(text.clone())).collect())
                }
            };
        }
        texts
    }

    /// Decodes a field, appending the label's raw text (not escaped, perhaps not UTF-8) to `out`.
    /// `scratch` holds texts between decoders; its content is of no interest.
    ///
    /// # Errors
    /// When a decoder cannot take its value; `out` is as it was then.
    #[inline]
    pub fn decode(
        &self,
        field: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        if self.lead.decoders == self.decoders.len() {
            if self.lead.plain == Plain::Text {
                text::push_before_nul(out, field);
                return Ok(Outcome::Label);
            }
            let Some(value) = self.lead.plain.read(field) else {
                return self.decode_through(field, out, scratch);
            };
            match value {
                Value::Bytes(bytes) => out.extend_from_slice(bytes),
                Value::Unsigned(number) => text::push_decimal(out, number),
                Value::Signed(number) => text::push_signed_decimal(out, number),
            }
            return Ok(Outcome::Label);
        }
        self.decode_through(field, out, scratch)
    }

    /// The same where some decoder has to be asked.
    fn decode_through(
        &self,
        field: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        let mark = out.len();
        match self.run(field, out, scratch) {
            Ok(Decoded::Text) => Ok(Outcome::Label),
            Ok(Decoded::Unsigned(number)) => {
                out.truncate(mark);
                text::push_number(out, number);
                Ok(Outcome::Label)
            }
            Ok(Decoded::Signed(number)) => {
                out.truncate(mark);
                text::push_number(out, number);
                Ok(Outcome::Label)
            }
            Ok(Decoded::Skip) => {
                out.truncate(mark);
                Ok(Outcome::Skip)
            }
            Err(error) => {
                out.truncate(mark);
                Err(error)
            }
        }
    }

    /// What [`Self::decode`] does, every decoder asked one after another and each text by itself.
    #[cfg(test)]
    pub(super) fn decode_step_by_step(
        &self,
        field: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        let mut held = (Decoded::Text, field.to_vec());
        for decoder in &self.decoders {
            let value = match held.0 {
                Decoded::Unsigned(number) => Value::Unsigned(number),
                Decoded::Signed(number) => Value::Signed(number),
                Decoded::Text | Decoded::Skip => Value::Bytes(&held.1),
            };
            let mut text = Vec::new();
            match decoder.decode(value, &mut text)? {
                Decoded::Skip => return Ok(Outcome::Skip),
                decoded => held = (decoded, text),
            }
        }
        match held {
            (Decoded::Unsigned(number), _) => text::push_number(out, number),
            (Decoded::Signed(number), _) => text::push_number(out, number),
            (_, text) => out.extend_from_slice(&text),
        }
        Ok(Outcome::Label)
    }

    /// Decodes a field to the index of a histogram's slot; none when its row is not to be published.
    /// A text is read as a Go literal: `0x10`, `010` and `1_000` are numbers, too.
    ///
    /// # Errors
    /// When a decoder cannot take its value, or the result is no unsigned number.
    pub fn decode_number(&self, field: &[u8]) -> Result<Option<u64>, DecodeError> {
        // Empty buffers cost nothing as long as the chain stays with numbers, as bucket labels do.
        let mut out = Vec::new();
        match self.run(field, &mut out, &mut Vec::new())? {
            Decoded::Unsigned(number) => Ok(Some(number)),
            Decoded::Signed(number) => u64::try_from(number).map(Some).map_err(|_| DecodeError::NotANumber),
            Decoded::Text => parse_unsigned(&out).map(Some).ok_or(DecodeError::NotANumber),
            Decoded::Skip => Ok(None),
        }
    }

    /// Runs all decoders; text ends up at the end of `out`, on its own behind what was there.
    ///
    /// Texts alternate between the two buffers, so that none is moved: the last decoder
    /// writes to `out`, the one before it to `scratch`, and so on.
    fn run(&self, field: &[u8], out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let mark = out.len();
        let last = self.decoders.len().saturating_sub(1);
        // A field of another size than was promised is for the decoders themselves to refuse.
        let (led, value) = match self.lead.plain.read(field) {
            Some(value) => (self.lead.decoders, value),
            None => (0, Value::Bytes(field)),
        };
        let mut held = Held::Value(value);
        for (index, decoder) in self.decoders.iter().enumerate().skip(led) {
            let into_out = (last - index).is_multiple_of(2);
            let (from, into): (&[u8], &mut Vec<u8>) = if into_out {
                out.truncate(mark);
                (scratch.as_slice(), &mut *out)
            } else {
                scratch.clear();
                (out.get(mark..).unwrap_or_default(), &mut *scratch)
            };
            let value = match held {
                Held::Value(value) => value,
                Held::Text => Value::Bytes(from),
            };
            held = match decoder.decode(value, into)? {
                Decoded::Text => Held::Text,
                Decoded::Unsigned(number) => Held::Value(Value::Unsigned(number)),
                Decoded::Signed(number) => Held::Value(Value::Signed(number)),
                Decoded::Skip => return Ok(Decoded::Skip),
            };
        }
        Ok(match held {
            Held::Value(Value::Unsigned(number)) => Decoded::Unsigned(number),
            Held::Value(Value::Signed(number)) => Decoded::Signed(number),
            Held::Value(Value::Bytes(bytes)) => {
                out.extend_from_slice(bytes);
                Decoded::Text
            }
            Held::Text => Decoded::Text,
        })
    }
}

/// What the decoders from the first on come to, as far as that is plain.
fn lead(decoders: &[Box<dyn Decode>]) -> Lead {
    let mut lead = Lead { decoders: 0, plain: Plain::Bytes };
    for decoder in decoders {
        let Some(plain) = decoder.plain(lead.plain) else { break };
        lead = Lead { decoders: lead.decoders + 1, plain };
    }
    lead
}

/// What a decoder makes of a text; none when that is nothing, or a text for what it does not know.
fn text_after(decoder: &dyn Decode, before: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match decoder.decode(Value::Bytes(before), &mut out).ok()? {
        Decoded::Text => {}
        Decoded::Unsigned(number) => text::push_number(&mut out, number),
        Decoded::Signed(number) => text::push_number(&mut out, number),
        Decoded::Skip => return None,
    }
    (!out.starts_with(b"unknown:")).then_some(out)
}

fn find(name: &str) -> Option<&'static Entry> {
    DECODERS.iter().find(|entry| entry.name == name)
}

fn no_decoders() -> BuildError {
    BuildError {
        code: "no-decoders",
        param: None,
        message: "the label has no decoders".to_owned(),
        expected: Some("at least one decoder".to_owned()),
        help: Some("for numbers use `uint`, for text use `string`".to_owned()),
    }
}

fn unknown_decoder(name: &str) -> BuildError {
    // A text without end is like no name, and comparing takes memory for each of its letters.
    let names = DECODERS.iter().filter(|_| name.len() <= 64);
    let close = names
        .map(|entry| (strsim::damerau_levenshtein(&name.to_lowercase(), entry.name), entry.name))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
    let names: Vec<_> = DECODERS.iter().map(|entry| entry.name).collect();
    BuildError {
        code: "unknown-decoder",
        param: None,
        message: format!("there is no decoder {name:?}"),
        expected: Some(format!("one of {}", names.join(", "))),
        help: close.map(|(_, candidate)| format!("did you mean `{candidate}`?")),
    }
}

#[cfg(test)]
mod tests;
