//! What chains make of fields: the reference's own vectors, and ours for what it lacks.

use std::sync::Arc;

use super::*;
use crate::host::{Host, Roots};

type Steps = Vec<(String, Params)>;

fn plain(names: &[&str]) -> Steps {
    names.iter().map(|name| ((*name).to_owned(), Params::default())).collect()
}

fn mapped(pairs: &[(&str, &str)], allow_unknown: bool) -> (String, Params) {
    let static_map = pairs.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect();
    ("static_map".to_owned(), Params { static_map: Some(static_map), allow_unknown, ..Params::default() })
}

fn matching(regexps: &[&str]) -> (String, Params) {
    let regexps = regexps.iter().map(|pattern| (*pattern).to_owned()).collect();
    ("regexp".to_owned(), Params { regexps, ..Params::default() })
}

fn run(steps: &Steps, field: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
    let host = Arc::new(Host::new(Roots::default()));
    let chain = Chain::build(steps, field.len(), &host).unwrap();
    let mut out = Vec::new();
    match chain.decode(field, &mut out, &mut Vec::new())? {
        Outcome::Label => Ok(Some(out)),
        Outcome::Skip => Ok(None),
    }
}

#[track_caller]
fn check_steps(steps: &Steps, field: &[u8], expected: &[u8]) {
    let found = run(steps, field);
    assert_eq!(found, Ok(Some(expected.to_vec())), "{steps:?} on {field:02x?}");
}

#[track_caller]
fn check(names: &[&str], field: &[u8], expected: &str) {
    check_steps(&plain(names), field, expected.as_bytes());
}

fn u32_of(number: u32) -> [u8; 4] {
    number.to_ne_bytes()
}

#[test]
#[cfg(target_endian = "little")]
fn uint() {
    check(&["uint"], &[0x01], "1");
    check(&["uint"], &[0x02, 0x00], "2");
    check(&["uint"], &[0x04, 0, 0, 0], "4");
    check(&["uint"], &[0x08, 0, 0, 0, 0, 0, 0, 0], "8");
    check(&["uint"], &[0x00, 0xb6, 0xc2, 0x5b, 0x85, 0xff, 0xff, 0xff], "18446743546968061440");
    check(&["uint"], &[0xff; 8], "18446744073709551615");
    // A second one reads the digits of the first as bytes, as in the reference.
    check(&["uint", "uint"], &[8], "56");
    check(&["string", "uint"], b"ab\0", "25185");
    assert_eq!(run(&plain(&["string", "uint"]), b"abc"), Err(DecodeError::Size(3)));
}

#[test]
fn int() {
    check(&["int"], &[0xff], "-1");
    check(&["int"], &(-2_i16).to_ne_bytes(), "-2");
    check(&["int"], &i32::MIN.to_ne_bytes(), "-2147483648");
    check(&["int"], &i64::MIN.to_ne_bytes(), "-9223372036854775808");
    check(&["int"], &7_i64.to_ne_bytes(), "7");
    check(&["uint", "int"], &[0xff], "255");
}

#[test]
fn bool() {
    check(&["bool"], &[0], "false");
    check(&["bool"], &[1], "true");
    check(&["bool"], &[2], "true");
    check(&["bool"], &u32_of(256), "true");
    check(&["uint", "bool"], &u32_of(0), "false");
    check(&["int", "bool"], &[0xff], "true");
}

#[test]
fn string() {
    check(&["string"], b"regular string", "regular string");
    check(&["string"], b"null terminated string\0bananas after null", "null terminated string");
    check(&["string"], b"", "");
    check(&["string"], b"\0\0", "");
    check(&["uint", "string"], &[42], "42");
    check_steps(&plain(&["string"]), b"\xff\xfe\0x", b"\xff\xfe");
}

#[test]
fn hex() {
    check(&["hex"], &[0x01], "01");
    check(&["hex"], &[0x01, 0x02], "0102");
    check(&["hex"], &[0xde, 0xad, 0xbe, 0xef], "deadbeef");
    check(&["hex"], &[], "");
    check(&["uint", "hex"], &[12], "3132");
}

#[test]
fn inet_union() {
    let of = |first: &[u8], last: &[u8]| [first, &vec![0; 16 - first.len() - last.len()], last].concat();
    check(&["inet_union"], &of(&[192, 0, 2, 1], &[]), "192.0.2.1");
    check(&["inet_union"], &of(&[0, 0, 2, 1], &[]), "0.0.2.1");
    check(&["inet_union"], &of(&[], &[]), "::");
    check(&["inet_union"], &of(&[], &[1]), "::1");
    check(&["inet_union"], &of(&[0x20, 0x01, 0x0d, 0xb8], &[1]), "2001:db8::1");
    check(&["inet_union"], &of(&[0x20, 0x01, 0x0d, 0xb8, 1], &[]), "2001:db8:100::");
    check(&["inet_union"], &of(&[], &[0xff, 0xff, 10, 0, 0, 1]), "::ffff:10.0.0.1");
}

#[test]
fn inet_ip() {
    check(&["inet_ip"], &[1, 2, 3, 4], "1.2.3.4");
    check(&["inet_ip"], &[255, 255, 255, 255], "255.255.255.255");
    let v6 = [0x24, 0x00, 0xcb, 0x00, 0x00, 0x04, 0x10, 0x24, 0, 0, 0, 0, 0xa2, 0x9e, 0xfd, 0x8f];
    check(&["inet_ip"], &v6, "2400:cb00:4:1024::a29e:fd8f");
    check(&["inet_ip"], &[0; 16], "::");
    check(&["inet_ip"], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "::1");
    check(&["inet_ip"], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], "10.0.0.1");
    // IPv4-compatible is not IPv4-mapped: Go writes it in hexadecimal.
    check(&["inet_ip"], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1], "::a00:1");
    check(&["inet_ip"], &[0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0], "1:0:2::3:0:0");
    check(&["inet_ip"], &[1, 2, 3], "?010203");
    check(&["inet_ip"], &[], "<nil>");
    check(&["string", "inet_ip"], &[0, 0, 0, 0], "<nil>");
}

#[test]
fn mac() {
    check(&["mac"], &[0x52, 0x54, 0x00, 0x12, 0xab, 0xff], "52:54:00:12:ab:ff");
}

#[test]
fn port() {
    check(&["port"], &[0x01, 0xbb], "443");
    check(&["uint", "port"], &[0x01, 0xbb], "443");
    check(&["uint", "port"], &443_u16.to_be().to_ne_bytes(), "443");
    assert_eq!(run(&plain(&["uint", "port"]), &u32_of(65536)), Err(DecodeError::NotANumber));
}

#[test]
fn dname() {
    check(&["string", "dname"], b"\0", ".");
    check(&["string", "dname"], b"\x03com\0\0", "com");
    check(&["string", "dname"], b"\x07example\x03com\0", "example.com");
    check(&["string", "dname"], b"\x05com\0", "\x05com");
    check(&["dname"], b"\x03com", "com");
    check(&["dname"], b"\x03com\0\0", "com..");
    check(&["dname"], b"\0", "");
    check(&["dname"], b"", ".");
    check(&["string", "dname"], b"\x01a\x09b\0", "\x01a\x09b");
}

#[test]
fn errno() {
    for (number, name) in [
        (0, "unknown:0"),
        (1, "EPERM"),
        (11, "EAGAIN"),
        (32, "EPIPE"),
        (35, "EDEADLK"),
        (41, "unknown:41"),
        (95, "ENOTSUP"),
        (104, "ECONNRESET"),
        (133, "EHWPOISON"),
        (134, "unknown:134"),
        (512, "unknown:512"),
        (524, "unknown:524"),
        (1000, "unknown:1000"),
    ] {
        check(&["uint", "errno"], &u32_of(number), name);
        check(&["errno"], &u32_of(number), name);
        check(&["string", "errno"], number.to_string().as_bytes(), name);
    }
    check(&["int", "errno"], &(-2_i32).to_ne_bytes(), "ENOENT");
    check(&["int", "errno"], &(-524_i64).to_ne_bytes(), "unknown:-524");
    assert_eq!(run(&plain(&["string", "errno"]), b"one"), Err(DecodeError::NotANumber));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn syscall() {
    for (number, name) in [
        (0, "read"),
        (1, "write"),
        (293, "pipe2"),
        (447, "memfd_secret"),
        (231, "exit_group"),
        (999, "unknown_syscall:999"),
    ] {
        check(&["uint", "syscall"], &u32_of(number), name);
        check(&["syscall"], &u64::from(number).to_ne_bytes(), name);
    }
    check(&["int", "syscall"], &(-1_i32).to_ne_bytes(), "unknown_syscall:-1");
}

#[test]
fn signal() {
    for (number, name) in [
        (0, "unknown:0"),
        (1, "SIGHUP"),
        (9, "SIGKILL"),
        (17, "SIGCHLD"),
        (29, "SIGIO"),
        (31, "SIGSYS"),
        (32, "unknown:32"),
        (34, "SIGRTMIN"),
        (35, "SIGRTMIN+1"),
        (49, "SIGRTMIN+15"),
        (50, "SIGRTMAX-14"),
        (63, "SIGRTMAX-1"),
        (64, "SIGRTMAX"),
        (65, "unknown:65"),
    ] {
        check(&["signal"], &u32_of(number), name);
    }
    assert_eq!(libc::SIGSYS, 31);
    check(&["uint", "signal"], &u32_of(libc::SIGSTOP.unsigned_abs()), "SIGSTOP");
}

#[test]
fn proto() {
    for (number, name) in [
        (0, "ip"),
        (1, "icmp"),
        (6, "tcp"),
        (17, "udp"),
        (47, "gre"),
        (58, "ipv6-icmp"),
        (132, "sctp"),
        (255, "unknown:255"),
    ] {
        check(&["proto"], &[number], name);
    }
    check(&["uint", "proto"], &262_u16.to_ne_bytes(), "mptcp");
}

#[test]
fn static_map() {
    let uint = ("uint".to_owned(), Params::default());
    let string = ("string".to_owned(), Params::default());
    let read_write = [("1", "read"), ("2", "write")];
    let strict = vec![uint.clone(), mapped(&read_write, false)];
    check_steps(&strict, &u32_of(1), b"read");
    check_steps(&strict, &u32_of(2), b"write");
    check_steps(&strict, &u32_of(3), b"unknown:3");
    let lenient = vec![uint.clone(), mapped(&read_write, true)];
    check_steps(&lenient, &u32_of(3), b"3");
    check_steps(&lenient, &u32_of(2), b"write");
    // By value, where the text is not there.
    let spelt = [("0x10", "hex"), ("010", "octal"), ("1_000", "thousand"), ("16", "text"), ("-1", "minus")];
    let by_value = vec![uint.clone(), mapped(&spelt, false)];
    check_steps(&by_value, &u32_of(16), b"text");
    check_steps(&by_value, &u32_of(8), b"octal");
    check_steps(&by_value, &u32_of(10), b"unknown:10");
    check_steps(&by_value, &u32_of(1000), b"thousand");
    let signed = vec![("int".to_owned(), Params::default()), mapped(&spelt, false)];
    check_steps(&signed, &(-1_i32).to_ne_bytes(), b"minus");
    check_steps(&signed, &(-7_i32).to_ne_bytes(), b"unknown:-7");
    check_steps(&vec![uint.clone(), mapped(&[("0x10", "hex")], false)], &u32_of(16), b"hex");
    // The last of two equal keys.
    check_steps(&vec![uint.clone(), mapped(&[("1", "a"), ("1", "b")], false)], &[1], b"b");
    // Text is compared as text.
    let texts = [("abc", "letters"), ("0x10", "hex"), ("", "nothing")];
    check_steps(&vec![string.clone(), mapped(&texts, false)], b"abc\0", b"letters");
    check_steps(&vec![string.clone(), mapped(&texts, false)], b"16\0", b"unknown:16");
    check_steps(&vec![string.clone(), mapped(&texts, false)], b"0x10", b"hex");
    check_steps(&vec![string, mapped(&texts, false)], b"\0", b"nothing");
    // A raw field: as it is, up to the NUL, by number.
    let raw = [("\u{1}\0", "bytes"), ("abc", "text"), ("7", "number")];
    check_steps(&vec![mapped(&raw, false)], b"\x01\0", b"bytes");
    check_steps(&vec![mapped(&raw, false)], b"abc\0\0", b"text");
    check_steps(&vec![mapped(&raw, false)], &u32_of(7), b"number");
    check_steps(&vec![mapped(&raw, false)], b"zz\0", b"unknown:zz\0");
    check_steps(&vec![mapped(&raw, true)], b"zz\0", b"zz\0");
    // None at all, and an empty one.
    check(&["uint", "static_map"], &[1], "empty mapping");
    check_steps(&vec![uint, mapped(&[], false)], &[1], b"unknown:1");
}

#[test]
fn chains() {
    let journal = matching(&["^systemd-journal$", "^syslog-ng$"]);
    let string = ("string".to_owned(), Params::default());
    let uint = ("uint".to_owned(), Params::default());
    check_steps(&vec![string.clone(), journal.clone()], b"systemd-journal\0\0", b"systemd-journal");
    check_steps(&vec![string.clone(), journal.clone()], b"syslog-ng\0", b"syslog-ng");
    assert_eq!(run(&vec![string.clone(), journal], b"systemd-bananad\0"), Ok(None));
    check_steps(&vec![string, matching(&["^(systemd).*$"])], b"systemd-bananad", b"systemd");
    // A raw field keeps its NULs.
    assert_eq!(run(&vec![matching(&["^foo$"])], b"foo\0"), Ok(None));
    check_steps(&vec![matching(&["^foo"])], b"foo\0", b"foo");
    check_steps(&vec![uint.clone(), matching(&["^1.$"])], &[15], b"15");
    let names = mapped(&[("1", "read"), ("2", "write")], false);
    check_steps(&vec![uint.clone(), names.clone(), matching(&["^(re|wr)"])], &[1], b"re");
    assert_eq!(run(&vec![uint.clone(), names, matching(&["^w"])], &[1]), Ok(None));
    let addresses = mapped(&[("deadbeef", "beef")], true);
    let hex = ("hex".to_owned(), Params::default());
    check_steps(&vec![hex.clone(), addresses.clone()], &[0xde, 0xad, 0xbe, 0xef], b"beef");
    check_steps(&vec![hex, addresses.clone()], &[1], b"01");
    check_steps(&vec![uint, mapped(&[], true), matching(&["(.)(.)"]), addresses], &[42], b"4");
    check(&["inet_ip", "string", "hex"], &[1, 2, 3, 4], "312e322e332e34");
}

#[test]
fn a_label_set_of_the_reference() {
    // 8 and "bananas", with a decoder for each field; offsets and padding are the caller's.
    check(&["uint"], &8_u32.to_ne_bytes(), "8");
    check(&["uint"], &[8], "8");
    let mut field = [0_u8; 32];
    field[..7].copy_from_slice(b"bananas");
    let string = ("string".to_owned(), Params::default());
    check_steps(&vec![string.clone(), matching(&["^bananas$", "$b"])], &field, b"bananas");
    assert_eq!(run(&vec![string, matching(&["^tomato$"])], &field), Ok(None));
}
