//! What dear decoders said of a field, remembered within bounds.
//!
//! A name that the machine can give to something else is remembered for one pass alone, in which
//! many rows ask for it. A stack's symbols are remembered for half a minute, for as long as the
//! host itself believes what it did not find; what depends on the field alone, until room is needed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rows::RowPlan;
use crate::decode::{Chain, DecodeError, Outcome, Traits};
use crate::series::LabelSets;

/// Bytes that the memory of one label may take; then all of it is forgotten.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of what is kept of a field beside it and its text.
const OVERHEAD: usize = size_of::<Said>() + 32;
/// How long kernel symbols are remembered.
const SYMBOLS_FOR: Duration = Duration::from_secs(30);

/// How long what a chain said is good; none where asking it again costs as little.
pub(super) fn good_for(traits: Traits) -> Option<Duration> {
    match (traits.symbols, traits.volatile, traits.dear) {
        (true, ..) => Some(SYMBOLS_FOR),
        (false, true, _) => Some(Duration::ZERO),
        (false, false, true) => Some(Duration::MAX),
        (false, false, false) => None,
    }
}

/// The memories of one metric's labels, in their order.
#[derive(Debug, Default)]
pub(super) struct Memos(Vec<Option<Memo>>);

/// What was said of the fields of one label.
#[derive(Debug)]
pub(super) struct Memo {
    chain: Arc<Chain>,
    began: Instant,
    fields: LabelSets,
    /// By the number of the field.
    said: Vec<Said>,
    texts: Vec<u8>,
}

/// What was said of one field: a text, or none when its row is not to be published.
type Said = Option<(usize, usize)>;

impl Memos {
    /// Begins a pass: forgets what can mean something else by now, or was said by other decoders.
    pub(super) fn begin(&mut self, rows: &RowPlan, now: Instant) {
        self.0.resize_with(rows.chains().len(), || None);
        for (memo, chain) in self.0.iter_mut().zip(rows.chains()) {
            let Some(good_for) = good_for(chain.traits()) else {
                *memo = None;
                continue;
            };
            match memo {
                Some(memo) if Arc::ptr_eq(&memo.chain, chain) => {
                    if now.saturating_duration_since(memo.began) >= good_for {
                        memo.forget(now);
                    }
                }
                _ => *memo = Some(Memo::new(Arc::clone(chain), now)),
            }
        }
    }

    /// The memory of a label, where there is one.
    pub(super) fn of(&mut self, label: usize) -> Option<&mut Memo> {
        self.0.get_mut(label)?.as_mut()
    }
}

impl Memo {
    fn new(chain: Arc<Chain>, began: Instant) -> Self {
        let (fields, said, texts) = (LabelSets::default(), Vec::new(), Vec::new());
        Self { chain, began, fields, said, texts }
    }

    fn forget(&mut self, now: Instant) {
        self.began = now;
        self.fields.clear();
        self.said.clear();
        self.texts.clear();
    }

    fn bytes(&self) -> usize {
        self.fields.bytes() + self.texts.len() + self.said.len() * OVERHEAD
    }

    /// As the chain decodes it. What it fails at is not remembered.
    pub(super) fn decode(
        &mut self,
        field: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<Outcome, DecodeError> {
        if let Some(said) = self.fields.find(field).and_then(|number| self.said.get(number as usize)) {
            let Some((start, end)) = *said else { return Ok(Outcome::Skip) };
            out.extend_from_slice(self.texts.get(start..end).unwrap_or_default());
            return Ok(Outcome::Label);
        }
        let mark = out.len();
        let outcome = self.chain.decode(field, out, scratch)?;
        let text = out.get(mark..).unwrap_or_default();
        if self.bytes() + field.len() + text.len() + OVERHEAD > MOST_BYTES {
            self.forget(self.began);
        }
        self.fields.append_indexed(field);
        let start = self.texts.len();
        self.said.push((outcome == Outcome::Label).then_some((start, start + text.len())));
        self.texts.extend_from_slice(text);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::Params;
    use crate::host::{Host, Roots};

    fn chain(names: &[&str], regexp: &str) -> Arc<Chain> {
        let params = Params { regexps: vec![regexp.to_owned()], ..Params::default() };
        let steps: Vec<_> = names.iter().map(|name| ((*name).to_owned(), params.clone())).collect();
        Arc::new(Chain::build(&steps, 8, &Arc::new(Host::new(Roots::default()))).unwrap())
    }

    fn memo(chain: &Arc<Chain>) -> Memo {
        Memo::new(Arc::clone(chain), Instant::now())
    }

    proptest! {
        /// Asked once or often: what is remembered is what the decoders say.
        #[test]
        fn it_says_what_the_decoders_say(
            fields in proptest::collection::vec(proptest::collection::vec(prop::sample::select(&b"ab\0\xff"[..]), 0..9), 0..60),
        ) {
            let chain = chain(&["string", "regexp"], "^a(.*)");
            let (mut memo, mut scratch) = (memo(&chain), Vec::new());
            for field in fields.iter().chain(&fields) {
                let (mut direct, mut remembered) = (b"x".to_vec(), b"x".to_vec());
                let expected = chain.decode(field, &mut direct, &mut scratch);
                prop_assert_eq!(memo.decode(field, &mut remembered, &mut scratch), expected);
                prop_assert_eq!(direct, remembered);
            }
        }
    }

    #[test]
    fn what_fails_is_asked_again() {
        let chain = chain(&["uint"], "");
        let mut memo = memo(&chain);
        for _ in 0..2 {
            let failed = memo.decode(b"abc", &mut Vec::new(), &mut Vec::new());
            assert_eq!(failed, Err(DecodeError::Size(3)));
        }
        assert!(memo.said.is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let chain = chain(&["hex"], "");
        let mut memo = memo(&chain);
        for number in 0..200_000u64 {
            let mut out = Vec::new();
            memo.decode(&number.to_be_bytes(), &mut out, &mut Vec::new()).unwrap();
            assert_eq!(out, format!("{number:016x}").into_bytes());
            assert!(memo.bytes() <= MOST_BYTES);
        }
    }

    #[test]
    fn how_long_it_is_good() {
        let of = |names: &[&str]| good_for(chain(names, "a").traits());
        assert_eq!(of(&["uint"]), None);
        assert_eq!(of(&["string", "regexp"]), Some(Duration::MAX));
        assert_eq!(of(&["ksym"]), Some(SYMBOLS_FOR));
        assert_eq!(of(&["cgroup", "regexp"]), Some(Duration::ZERO));
    }
}
