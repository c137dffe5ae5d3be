//! Messages of the domain name system, as far as addresses need them (RFC 1035, 3596).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const INTERNET: u16 = 1;
const HEADER: usize = 12;
/// A name that exists nowhere.
const NXDOMAIN: u16 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// What a server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    /// There is no such name, whatever is asked of it.
    pub(super) is_unknown: bool,
}

/// What a message is to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Answer(Answer),
    /// It did not fit: the same has to be asked over TCP.
    Truncated,
    /// The server cannot or will not say.
    Failed(u16),
    /// It answers something else, or is no message.
    Foreign,
}

/// A question; none when no question can hold the name.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    // A query that wants recursion, with one question.
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.code().to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    (message.len() <= HEADER + 255 + 4).then_some(message)
}

/// Reads what came back for a question.
pub(super) fn read(message: &[u8], question: &[u8], kind: Kind) -> Read {
    parse(message, question, kind).unwrap_or(Read::Foreign)
}

fn parse(message: &[u8], question: &[u8], kind: Kind) -> Option<Read> {
    let (flags, questions, answers) = (word(message, 2)?, word(message, 4)?, word(message, 6)?);
    let is_response = flags & 0x8000 != 0;
    let mut at = question.len();
    let asked = message.get(HEADER..at)?;
    // Servers may give the name back in other letters.
    if word(message, 0)? != word(question, 0)?
        || !is_response
        || questions != 1
        || !asked.eq_ignore_ascii_case(question.get(HEADER..)?)
    {
        return None;
    }
    let is_unknown = flags & 0xf == NXDOMAIN;
    if flags & 0xf != 0 && !is_unknown {
        return Some(Read::Failed(flags & 0xf));
    }
    if flags & 0x0200 != 0 {
        return Some(Read::Truncated);
    }
    let mut addresses = Vec::new();
    for _ in 0..answers {
        at = after_name(message, at)?;
        let (found, class, length) = (word(message, at)?, word(message, at + 2)?, word(message, at + 8)?);
        let data = message.get(at + 10..at + 10 + usize::from(length))?;
        at += 10 + usize::from(length);
        if found == kind.code() && class == INTERNET {
            addresses.extend(address(data));
        }
    }
    Some(Read::Answer(Answer { addresses, is_unknown }))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(data) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    <[u8; 16]>::try_from(data).ok().map(|bytes| Ipv6Addr::from(bytes).into())
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Where a name ends: at its root, or at a reference to another place.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: Kind) -> Vec<u8> {
        question(0x1234, "otel.example", kind).unwrap()
    }

    /// A response with flags and records of a type, each behind a reference to the question's name.
    fn response(question: &[u8], flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (kind, data) in records {
            message.extend([0xc0, 0x0c]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(*data);
        }
        message
    }

    #[track_caller]
    fn check(kind: Kind, flags: u16, records: &[(u16, &[u8])], expected: Read) {
        let question = ask(kind);
        assert_eq!(read(&response(&question, flags, records), &question, kind), expected);
    }

    fn addresses(texts: &[&str]) -> Read {
        let addresses = texts.iter().map(|text| text.parse().unwrap()).collect();
        Read::Answer(Answer { addresses, is_unknown: false })
    }

    #[test]
    fn questions_are_as_the_standard_writes_them() {
        let expected =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04otel\x07example\x00\x00\x01\x00\x01";
        assert_eq!(ask(Kind::A), expected);
        assert_eq!(ask(Kind::Aaaa)[expected.len() - 4..], [0, 28, 0, 1]);
    }

    #[test]
    fn names_that_no_question_can_hold_are_not_asked_for() {
        let long = vec!["a".repeat(60); 5].join(".");
        for name in ["", "a..b", ".", &"a".repeat(64), &long] {
            assert_eq!(question(1, name, Kind::A), None, "{name}");
        }
    }

    #[test]
    fn addresses_are_taken_from_answers() {
        let two: &[(u16, &[u8])] = &[(1, &[10, 0, 0, 1]), (1, &[10, 0, 0, 2])];
        check(Kind::A, 0, two, addresses(&["10.0.0.1", "10.0.0.2"]));
        // Through an alias.
        check(Kind::A, 0, &[(5, b"\x05other\xc0\x11"), (1, &[10, 0, 0, 1])], addresses(&["10.0.0.1"]));
        let mut six = [0; 16];
        six[15] = 1;
        check(Kind::Aaaa, 0, &[(28, &six)], addresses(&["::1"]));
        // What was not asked for, and what is no address.
        check(Kind::Aaaa, 0, &[(1, &[10, 0, 0, 1])], addresses(&[]));
        check(Kind::A, 0, &[(1, &[10, 0, 0])], addresses(&[]));
    }

    #[test]
    fn servers_say_that_there_is_none_or_that_they_cannot_say() {
        let unknown = Read::Answer(Answer { addresses: Vec::new(), is_unknown: true });
        check(Kind::A, 3, &[], unknown);
        check(Kind::A, 2, &[], Read::Failed(2));
        check(Kind::A, 5, &[], Read::Failed(5));
        check(Kind::A, 0x0200, &[], Read::Truncated);
    }

    #[test]
    fn what_answers_something_else_is_foreign() {
        let question = ask(Kind::A);
        let good = response(&question, 0, &[(1, &[10, 0, 0, 1])]);
        for length in 0..good.len() {
            assert_eq!(read(&good[..length], &question, Kind::A), Read::Foreign, "{length} bytes");
        }
        for (at, byte) in [(0, 0xff), (2, 0), (5, 2), (13, b'x'), (question.len() - 3, 28)] {
            let mut other = good.clone();
            other[at] = byte;
            assert_eq!(read(&other, &question, Kind::A), Read::Foreign, "byte {at}");
        }
        let mut louder = good;
        louder[13] = b'O';
        assert_eq!(read(&louder, &question, Kind::A), addresses(&["10.0.0.1"]));
    }

    proptest::proptest! {
        /// Whatever a server sends behind the question, nothing of it is believed that is not whole.
        #[test]
        fn any_answer_can_be_read(flags: u16, answers: u16, tail: Vec<u8>) {
            let question = ask(Kind::A);
            let mut message = question.clone();
            message[2..4].copy_from_slice(&(0x8000 | flags & 0xfff0).to_be_bytes());
            message[6..8].copy_from_slice(&answers.to_be_bytes());
            message.extend(&tail);
            if let Read::Answer(answer) = read(&message, &question, Kind::A) {
                // A record has 11 bytes before its address.
                proptest::prop_assert!(answer.addresses.len() * 15 <= tail.len());
            }
        }
    }
}
