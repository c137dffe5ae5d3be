//! `--capabilities.keep`: which capabilities stay once everything is attached.

use std::collections::BTreeSet;
use std::str::FromStr;

use caps::Capability;

/// What stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Everything: nothing is dropped.
    All,
    /// These, by the kernel's number.
    Only(BTreeSet<KeptCapability>),
}

/// A capability, ordered by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptCapability(pub Capability);

impl Ord for KeptCapability {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.index().cmp(&other.0.index())
    }
}

impl PartialOrd for KeptCapability {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Keep {
    /// The kernel's bits for what stays; none when everything does.
    #[must_use]
    pub fn mask(&self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Only(kept) => Some(kept.iter().fold(0, |mask, kept| mask | kept.0.bitmask())),
        }
    }
}

/// Reads `all`, `none` or a list such as `cap_bpf,CAP_SYSLOG,perfmon`.
///
/// # Errors
/// A sentence that names the word which is no capability.
pub(super) fn parse(text: &str) -> Result<Keep, String> {
    match text.trim() {
        "all" => return Ok(Keep::All),
        "none" => return Ok(Keep::Only(BTreeSet::new())),
        _ => {}
    }
    text.split(',').map(|word| one(word.trim())).collect::<Result<_, _>>().map(Keep::Only)
}

fn one(word: &str) -> Result<KeptCapability, String> {
    let upper = word.to_ascii_uppercase();
    let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if let Ok(capability) = Capability::from_str(&name) {
        return Ok(KeptCapability(capability));
    }
    if word.eq_ignore_ascii_case("all") || word.eq_ignore_ascii_case("none") {
        return Err(format!("{word:?} stands alone, not in a list"));
    }
    let known = caps::all().into_iter().map(|capability| capability.to_string());
    let closest = known.map(|known| (strsim::damerau_levenshtein(&known, &name), known)).min();
    match closest {
        Some((distance, closest)) if distance <= 2 => {
            Err(format!("{word:?} is not a capability: did you mean {}?", closest.to_ascii_lowercase()))
        }
        _ => {
            Err(format!("{word:?} is not a capability: give all, none, or a list such as cap_bpf,cap_syslog"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Capability]) {
        let expected = expected.iter().copied().map(KeptCapability).collect();
        assert_eq!(parse(text), Ok(Keep::Only(expected)), "{text:?}");
    }

    #[track_caller]
    fn check_refused(text: &str, part: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(part), "{text:?}: {error}");
    }

    #[test]
    fn lists_are_read_in_any_spelling() {
        assert_eq!(parse("all"), Ok(Keep::All));
        check("none", &[]);
        check("cap_bpf", &[Capability::CAP_BPF]);
        check("CAP_BPF", &[Capability::CAP_BPF]);
        check("bpf", &[Capability::CAP_BPF]);
        check(" cap_syslog , cap_bpf,bpf ", &[Capability::CAP_BPF, Capability::CAP_SYSLOG]);
    }

    #[test]
    fn mistakes_are_named() {
        check_refused("cap_bfp", "did you mean cap_bpf?");
        check_refused("cap_bpf,nonsense", "\"nonsense\" is not a capability");
        check_refused("", "\"\" is not a capability");
        check_refused("cap_bpf,", "\"\" is not a capability");
        check_refused("all,cap_bpf", "stands alone");
        check_refused("None", "stands alone");
    }

    #[test]
    fn the_mask_has_the_kernels_bits() {
        assert_eq!(parse("all").unwrap().mask(), None);
        assert_eq!(parse("none").unwrap().mask(), Some(0));
        assert_eq!(parse("chown,bpf").unwrap().mask(), Some(1 | 1 << 39));
    }
}
