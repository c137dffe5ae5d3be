//! What patterns mean, as Go's package regexp has it.

use super::*;

/// The text that is published, `None` for a label set that is not.
fn published(patterns: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let params = Params {
        regexps: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..Params::default()
    };
    let (decoder, _) = build(&params).unwrap();
    let mut out = b"before".to_vec();
    match decoder.decode(Value::Bytes(input), &mut out).unwrap() {
        Decoded::Text => Some(out.split_off(6)),
        Decoded::Skip => {
            assert_eq!(out, b"before", "a skip leaves nothing behind");
            None
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(pattern: &str, input: &str, expected: Option<&str>) {
    let found = published(&[pattern], input.as_bytes());
    assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{pattern:?} on {input:?}");
}

#[track_caller]
fn check_error(pattern: &str, expected: &str) {
    match Pattern::compile(pattern, SIZE_LIMIT) {
        Ok(_) => panic!("{pattern:?} was accepted"),
        Err(message) => assert_eq!(message, expected, "{pattern:?}"),
    }
}

/// Checks rows of pattern, input and what is published.
#[track_caller]
fn check_all(rows: &[(&str, &str, Option<&str>)]) {
    for (pattern, input, expected) in rows {
        check(pattern, input, *expected);
    }
}

#[test]
fn the_references_own() {
    check_all(&[
        ("^systemd-journal$", "systemd-journal", Some("systemd-journal")),
        ("^systemd-journal$", "systemd-bananad", None),
        ("^(systemd).*$", "systemd-bananad", Some("systemd")),
        ("^bananas$", "bananas", Some("bananas")),
    ]);
}

#[test]
fn literals() {
    check_all(&[
        ("", "anything", Some("")),
        ("b+", "abbbc", Some("bbb")),
        ("a{", "xa{y", Some("a{")),
        ("a{,5}", "a{,5}", Some("a{,5}")),
        ("a{1", "a{1", Some("a{1")),
        ("a{x}", "a{x}", Some("a{x}")),
        ("a{01}", "a{01}", Some("a{01}")),
        ("{", "{", Some("{")),
        ("}", "}", Some("}")),
        ("]", "]", Some("]")),
        ("a]", "a]", Some("a]")),
        (r"\{", "{", Some("{")),
        (r"\<b\>", "<b>", Some("<b>")),
        (r"\_", "_", Some("_")),
        (r"\-\/\@", "-/@", Some("-/@")),
        (r"#x y", "#x y", Some("#x y")),
    ]);
}

#[test]
fn counts_and_greed() {
    check_all(&[
        ("^a{2}$", "aa", Some("aa")),
        ("^a{2}$", "aaa", None),
        ("a{2,}", "aaaa", Some("aaaa")),
        ("a{2,3}", "aaaa", Some("aaa")),
        ("a{2,3}?", "aaaa", Some("aa")),
        ("a+?", "aaa", Some("a")),
        ("a??b", "ab", Some("ab")),
        ("(?U)a+", "aaa", Some("a")),
        ("(?U)a+?", "aaa", Some("aaa")),
        ("a{0}b", "ab", Some("b")),
        ("^*", "a", Some("")),
        ("a(?i)*", "aaa", Some("aaa")),
    ]);
}

#[test]
fn the_leftmost_then_the_first_alternative() {
    check_all(&[
        ("a|ab", "ab", Some("a")),
        ("ab|a", "ab", Some("ab")),
        ("b|a", "ab", Some("a")),
        ("a||b", "b", Some("")),
        ("(|a)*", "aa", Some("")),
        ("(|a)+", "aa", Some("")),
    ]);
}

#[test]
fn places() {
    check_all(&[
        (r"\Afoo\z", "foo", Some("foo")),
        ("foo$", "foo\n", None),
        ("(?m)foo$", "foo\nbar", Some("foo")),
        ("(?m)^bar", "foo\nbar", Some("bar")),
        ("^bar", "foo\nbar", None),
        (r"\bfoo\b", "a foo.", Some("foo")),
        (r"\bfoo\b", "foo_", None),
        (r"oo\B", "foo foot", Some("oo")),
        // The word boundary is ASCII: é is no word character.
        (r"caf\b", "café", Some("caf")),
    ]);
}

#[test]
fn dot_and_newline() {
    check_all(&[
        ("a.c", "a\nc", None),
        ("(?s)a.c", "a\nc", Some("a\nc")),
        ("a.c", "aéc", Some("aéc")),
        ("[^a]", "\n", Some("\n")),
    ]);
}

#[test]
fn case() {
    check_all(&[
        ("(?i)abc", "xABC", Some("ABC")),
        ("(?i)k", "\u{212a}", Some("\u{212a}")),
        ("(?i)[^k]", "K", None),
        ("(?i:a)b", "Ab", Some("Ab")),
        ("(?i:a)b", "AB", None),
        ("a(?i)b|c", "C", Some("C")),
        ("(?i-s:a.)", "Ab", Some("Ab")),
        ("(?i)straße", "STRAßE", Some("STRAßE")),
        (r"(?i)\W", "\u{212a}", None),
        (r"(?i)\w", "\u{17f}", Some("\u{17f}")),
    ]);
}

#[test]
fn sets() {
    check_all(&[
        (r"\d+", "a12", Some("12")),
        (r"\d", "\u{663}", None),
        (r"^\D$", "\u{663}", Some("\u{663}")),
        (r"\w+", "é_9", Some("_9")),
        (r"^\W$", "é", Some("é")),
        (r"\s", "\u{a0}", None),
        (r"\s", "\u{b}", None),
        (r"\s", "\t", Some("\t")),
        (r"^\S$", "\u{a0}", Some("\u{a0}")),
        ("[[a]+", "[a", Some("[a")),
        ("[]a]+", "]a", Some("]a")),
        ("[^]a]", "b", Some("b")),
        ("[a&&b]+", "&", Some("&")),
        ("[+--b]+", ",-b", Some(",-b")),
        ("[a~~b]+", "~", Some("~")),
        ("[a-]+", "-a", Some("-a")),
        ("[-a]+", "-a", Some("-a")),
        ("[a-c-e]+", "-be", Some("-be")),
        ("[a\\]b]+", "]", Some("]")),
        ("[\\d-z]+", "-1z", Some("-1z")),
        ("[a^]+", "^a", Some("^a")),
        ("[[:alpha:]]+", "1ab", Some("ab")),
        ("[[:^alpha:]]", "a1", Some("1")),
        ("[[:word:][:punct:]]+", " a_!", Some("a_!")),
        ("[[:space:]]", "\u{b}", Some("\u{b}")),
        ("[[:alpha]+", "[:alph", Some("[:alph")),
        (r"[\D\d]", "x", Some("x")),
        (r"[^\w]", "-", Some("-")),
        (r"[^\x00-\x{10FFFF}]", "a", None),
        ("[\u{4e00}-\u{9fff}]", "\u{4e2d}", Some("\u{4e2d}")),
    ]);
}

#[test]
fn unicode_sets() {
    check_all(&[
        (r"\pN", "\u{663}", Some("\u{663}")),
        (r"\PN", "1a", Some("a")),
        (r"\p{Greek}+", "aλω", Some("λω")),
        (r"\p{^Greek}", "λa", Some("a")),
        (r"\P{^Greek}", "aλ", Some("λ")),
        (r"[\p{Lu}\d]+", "aB1", Some("B1")),
        (r"(?i)\p{Lu}", "b", Some("b")),
        (r"\p{Zl}", "\u{2028}", Some("\u{2028}")),
    ]);
}

#[test]
fn escapes() {
    check_all(&[
        (r"\Qa.b*\E+", "a.b**", Some("a.b**")),
        (r"\Q[x", "[x", Some("[x")),
        (r"a\Q\E*", "aaa", Some("aaa")),
        (r"\x41\x{42}", "AB", Some("AB")),
        (r"\x{10FFFF}", "\u{10ffff}", Some("\u{10ffff}")),
        (r"\x{D800}", "a", None),
        (r"\101\0", "A\0", Some("A\0")),
        (r"\12", "\n", Some("\n")),
        (r"\0777", "?7", Some("?7")),
        (r"\a\f\t\n\r\v", "\u{7}\u{c}\t\n\r\u{b}", Some("\u{7}\u{c}\t\n\r\u{b}")),
    ]);
}

#[test]
fn groups() {
    check_all(&[
        ("()", "x", Some("")),
        ("(?:a)(b)", "ab", Some("b")),
        ("(?P<name>b)", "ab", Some("b")),
        ("(?<name>b)", "ab", Some("b")),
        ("(?)a", "a", Some("a")),
        ("a(b)?", "a", Some("")),
        ("(a)(b)", "ab", Some("a")),
        ("(a)|(b)", "b", Some("b")),
        ("(x)?(a)", "a", Some("a")),
        ("(1)(2)(3)(4)(5)(6)(7)(8)(9)|(z)", "z", Some("z")),
    ]);
}

#[test]
fn errors() {
    let large = format!("a{{{}}}", "9".repeat(40));
    for (pattern, expected) in [
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(+?)", "missing argument to repetition operator: `+?`"),
        ("{5}", "missing argument to repetition operator: `{5}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*+", "invalid nested repetition operator: `*+`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("(a{500}){3}", "invalid repeat count: `{3}`"),
        (&large, &format!("invalid repeat count: `{}`", &large[1..])),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("x[]", "missing closing ]: `[]`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[a--b]", "invalid character class range: `a--`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        (r"\p{Greek", r"invalid character class range: `\p{Greek`"),
        (r"\p", r"invalid character class range: `\p`"),
        (r"a\", "trailing backslash at end of expression: ``"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\E", r"invalid escape sequence: `\E`"),
        (r"\h", r"invalid escape sequence: `\h`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        (r"[a-\d]", r"invalid escape sequence: `\d`"),
        (r"\x4", r"invalid escape sequence: `\x4`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        (r"\x{}", r"invalid escape sequence: `\x{}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?>a)", "invalid or unsupported Perl syntax: `(?>`"),
        ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
        ("(?P<n-m>a)", "invalid named capture: `(?P<n-m>`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?<>a)", "invalid named capture: `(?<>`"),
    ] {
        check_error(pattern, expected);
    }
}

#[test]
fn a_list_is_tried_in_order() {
    let list = ["^(systemd).*$", "^syslog-ng$", "system"];
    assert_eq!(published(&list, b"systemd-bananad").as_deref(), Some(b"systemd".as_slice()));
    assert_eq!(published(&list, b"syslog-ng").as_deref(), Some(b"syslog-ng".as_slice()));
    assert_eq!(published(&list, b"a system").as_deref(), Some(b"system".as_slice()));
    assert_eq!(published(&list, b"cron").as_deref(), None);
}

#[test]
fn bytes_that_are_not_text_are_one_replacement_each() {
    for (pattern, input, expected) in [
        ("^..$", b"\xe2\x82".as_slice(), Some(b"\xe2\x82".as_slice())),
        ("^.$", b"\xff", Some(b"\xff")),
        ("^a.b$", b"a\xffb", Some(b"a\xffb")),
        (r"\x{FFFD}", b"a\xff", Some(b"\xff")),
        ("b+", b"\xc3\xa9\xffbb\xfe", Some(b"bb")),
        (".(é).", b"\xff\xc3\xa9\xf0\x90", Some(b"\xc3\xa9")),
        (r"^\W+$", b"\xff\xfe", Some(b"\xff\xfe")),
        ("[^a]$", b"a\x80", Some(b"\x80")),
        ("z", b"\xff", None),
        ("$", b"\xff\xff", Some(b"")),
    ] {
        assert_eq!(published(&[pattern], input).as_deref(), expected, "{pattern:?} on {input:?}");
    }
}

#[test]
fn deep_and_large_patterns_are_refused_in_time_and_stack() {
    let nested = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Pattern::compile(&nested(900), SIZE_LIMIT).is_ok());
    let deep = nested(100_000);
    check_error(&deep, &format!("expression nests too deeply: `{deep}`"));
    check_error(
        r"(\pL{1000}\pM{1000}){1}[^\pZ]{1000}\PN{1000}\PC{1000}\PP{1000}\PS{1000}",
        "expression too large",
    );
}

/// Each alone is allowed.
#[test]
fn patterns_of_one_decoder_share_their_room() {
    let pattern = "a".repeat(700_000);
    assert!(build(&Params { regexps: vec![pattern.clone()], ..Params::default() }).is_ok());
    let error = build(&Params { regexps: vec![pattern; 20], ..Params::default() }).unwrap_err();
    assert!(error.is_too_large(), "{}", error.message.len());
    assert!(matches!(error.param, Some(("regexps", Some(1..)))), "{:?}", error.param);
}

#[test]
fn the_parameter_at_fault_is_named() {
    let error = build(&Params::default()).unwrap_err();
    assert_eq!((error.code, error.param), ("no-regexps", Some(("regexps", None))));
    let params =
        Params { regexps: vec!["a".to_owned(), "(".to_owned(), ")".to_owned()], ..Params::default() };
    let error = build(&params).unwrap_err();
    assert_eq!((error.code, error.param), ("bad-regexp", Some(("regexps", Some(1)))));
    assert!(error.message.contains("missing closing )"), "{}", error.message);
}
