//! Lists of `key=value`, separated by commas, as OpenTelemetry's variables hold them.

/// What is wrong with such a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PairError {
    #[error("{0:?} is not a key, `=` and a value")]
    NoPair(String),
    #[error("the value of `{0}` has a `%` without two hexadecimal digits, or is not UTF-8")]
    Encoding(String),
}

/// The pairs of a list, with what stands in percents decoded. Blanks around keys and values do not count.
pub(super) fn pairs(list: &str) -> Result<Vec<(String, String)>, PairError> {
    let mut found: Vec<(String, String)> = Vec::new();
    for member in list.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=').ok_or_else(|| PairError::NoPair(member.to_owned()))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(PairError::NoPair(member.to_owned()));
        }
        let encoding = || PairError::Encoding(key.to_owned());
        let (key, value) = (decoded(key).ok_or_else(encoding)?, decoded(value.trim()).ok_or_else(encoding)?);
        found.retain(|(known, _)| *known != key);
        found.push((key, value));
    }
    Ok(found)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.extend(super::span::identifier::<1>(digits)?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(pairs(list), Ok(expected), "{list}");
    }

    #[test]
    fn lists_are_read() {
        check("", &[]);
        check(",, ,", &[]);
        check("a=1", &[("a", "1")]);
        check(" a = 1 , b=2,", &[("a", "1"), ("b", "2")]);
        check("authorization=Basic%20dTpw,x=a=b", &[("authorization", "Basic dTpw"), ("x", "a=b")]);
        check("a=,b=%C3%A4%2c", &[("a", ""), ("b", "ä,")]);
        check("a=1,a=2", &[("a", "2")]);
    }

    #[test]
    fn what_is_no_list_is_said() {
        assert_eq!(pairs("a"), Err(PairError::NoPair("a".to_owned())));
        assert_eq!(pairs("=1"), Err(PairError::NoPair("=1".to_owned())));
        for wrong in ["a=%", "a=%4", "a=%4g", "a=%ff", "a=%+1"] {
            assert_eq!(pairs(wrong), Err(PairError::Encoding("a".to_owned())), "{wrong}");
        }
    }
}
