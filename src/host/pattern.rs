//! Names with `*` and `?` in them.

use std::fmt::{Display, Formatter};

/// A name, or what several names look like: `*` stands for any letters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    is_exact: bool,
}

impl Pattern {
    /// What a text stands for.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let is_exact = !text.contains(['*', '?']);
        Self { text, is_exact }
    }

    /// One name, whatever letters it has.
    #[must_use]
    pub fn exact(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_exact: true }
    }

    /// Whether it stands for one name alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a name is one that is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.is_exact { self.text == name } else { matches(self.text.as_bytes(), name.as_bytes()) }
    }
}

impl Display for Pattern {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        self.text.fmt(out)
    }
}

/// Goes back to the last `*` alone, so that it takes no longer than the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut letter) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while letter < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || name.get(letter) == Some(wanted) => {
                at += 1;
                letter += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                letter = taken + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|left| *left == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern = Pattern::new(pattern);
        for name in matching {
            assert!(pattern.matches(name), "{pattern} {name}");
        }
        for name in others {
            assert!(!pattern.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn letters_stand_for_themselves_and_stars_for_many() {
        check("eth0", &["eth0"], &["eth", "eth00", ""]);
        check("veth*", &["veth", "veth1", "veth*"], &["eth", "xveth1"]);
        check("*", &["", "a"], &[]);
        check("e?h*0", &["eth0", "exh10"], &["eth1", "eh0"]);
        check("*a*b", &["ab", "xaxbxb", "aab"], &["abx", "b"]);
        check("", &[""], &["a"]);
        check("???", &["abc"], &["ab", "abcd"]);
        let long = "a".repeat(10_000);
        check(&"*a".repeat(50), &[&long], &["a"]);
    }

    #[test]
    fn an_exact_name_may_have_a_star() {
        let pattern = Pattern::exact("a*");
        assert!(pattern.is_exact() && pattern.matches("a*") && !pattern.matches("ab"));
        assert!(Pattern::new("a.b").is_exact() && !Pattern::new("a?").is_exact());
    }
}
