//! The exchange against a kernel that writes down what is asked of it and fails where it is told to.

use super::*;

/// What is attached where, and what was done.
#[derive(Default)]
struct Recorder {
    /// The number of the operation that fails, counted from 1.
    fails_at: Option<usize>,
    count: usize,
    log: Vec<String>,
    /// Places, with the program at work there; the predecessor's are written with a prime.
    attached: Vec<(String, String)>,
    /// What is being detached from places that take their time, and take no program twice.
    leaving: Vec<String>,
}

/// A link, by the place and what it holds.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    place: String,
    holds: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Error {
    Told,
    Taken,
}

/// Such places have room for one program, whose link can hand over to another.
fn is_exclusive(place: &str) -> bool {
    place.starts_with("xdp")
}

impl Recorder {
    fn new(fails_at: Option<usize>) -> Self {
        Self { fails_at, ..Self::default() }
    }

    fn may(&mut self, what: String) -> Result<(), Error> {
        self.count += 1;
        let fails = self.fails_at == Some(self.count);
        self.log.push(if fails { format!("{what} fails") } else { what });
        if fails { Err(Error::Told) } else { Ok(()) }
    }

    fn put(&mut self, holds: String, place: String) -> Result<Link, Error> {
        if is_exclusive(&place) && self.attached.iter().any(|(taken, _)| *taken == place) {
            self.log.push(format!("{place} is taken"));
            return Err(Error::Taken);
        }
        if self.leaving.contains(&holds) {
            self.log.push(format!("{holds} is still there"));
            return Err(Error::Taken);
        }
        self.attached.push((place.clone(), holds.clone()));
        Ok(Link { place, holds })
    }

    fn take_off(&mut self, link: &Link) {
        let index =
            self.attached.iter().position(|(place, holds)| (place, holds) == (&link.place, &link.holds));
        self.attached.remove(index.expect("it is attached"));
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.attached.iter().map(|(place, holds)| format!("{holds} at {place}")).collect();
        names.sort();
        names
    }
}

impl Hooks for Recorder {
    type Link = Link;
    type Place = String;
    type Error = Error;

    fn attach(&mut self, planned: &Planned<String>) -> Result<Link, Error> {
        self.may(format!("attach {}", planned.program))?;
        self.put(planned.program.clone(), planned.place.clone())
    }

    fn attach_old(&mut self, planned: &Planned<String>) -> Result<Link, Error> {
        self.may(format!("attach {}'", planned.program))?;
        self.put(format!("{}'", planned.program), planned.place.clone())
    }

    fn is_exact(&self, link: &Link) -> bool {
        link.place.starts_with("xdp") && !link.place.ends_with("stiff")
    }

    fn update(&mut self, link: &mut Link, program: &str) -> Result<(), Error> {
        self.may(format!("update {} to {program}", link.holds))?;
        self.take_off(link);
        program.clone_into(&mut link.holds);
        self.attached.push((link.place.clone(), link.holds.clone()));
        Ok(())
    }

    fn update_to_old(&mut self, link: &mut Link, program: &str) -> Result<(), Error> {
        self.update(link, &format!("{program}'"))
    }

    fn is_taken(&self, error: &Error) -> bool {
        *error == Error::Taken
    }

    fn detach(&mut self, link: Link) {
        self.log.push(format!("detach {}", link.holds));
        self.take_off(&link);
        if link.place.ends_with("slow") {
            self.leaving.push(link.holds);
        }
    }

    fn detach_now(&mut self, link: Link) {
        self.log.push(format!("free {}", link.place));
        self.take_off(&link);
    }

    fn settle(&mut self) {
        self.log.push("settle".to_owned());
        self.leaving.clear();
    }
}

fn planned(programs: &[(&str, &str)]) -> Vec<Planned<String>> {
    programs
        .iter()
        .map(|(program, place)| Planned { program: (*program).to_owned(), place: (*place).to_owned() })
        .collect()
}

/// A recorder with the old programs at work, and their attachments.
fn begin(old: &[(&str, &str)], fails_at: Option<usize>) -> (Recorder, Vec<Attachment<Link, String>>) {
    let mut recorder = Recorder::new(None);
    let mut attachments = Vec::new();
    for old in planned(old) {
        let link = recorder.attach_old(&old).unwrap();
        attachments.push(Attachment { program: old.program, place: old.place, link });
    }
    recorder.log.clear();
    recorder.count = 0;
    recorder.fails_at = fails_at;
    (recorder, attachments)
}

/// Programs as they are named and placed, old ones with a prime.
fn at_work(programs: &[(&str, &str)], prime: &str) -> Vec<String> {
    let mut names: Vec<String> =
        programs.iter().map(|(program, place)| format!("{program}{prime} at {place}")).collect();
    names.sort();
    names
}

/// The order of work, and what is attached in the end.
#[track_caller]
fn check(old: &[(&str, &str)], new: &[(&str, &str)], expected: &[&str]) {
    let (mut recorder, mut attachments) = begin(old, None);
    let exchanged = exchange(&mut recorder, &planned(new), &mut attachments, |_, _| false).unwrap();
    assert_eq!(recorder.log, expected);
    assert_eq!(recorder.names(), at_work(new, ""));
    assert!(attachments.is_empty() && exchanged.failures.is_empty());
    let held: Vec<Planned<String>> = exchanged
        .attachments
        .iter()
        .map(|now| Planned { program: now.program.clone(), place: now.place.clone() })
        .collect();
    assert_eq!(held, planned(new), "in the object's order");
}

#[test]
fn new_programs_are_attached_before_old_ones_are_detached() {
    check(&[], &[("a", "tp/x"), ("b", "tp/y")], &["attach a", "attach b"]);
    check(
        &[("a", "tp/x"), ("b", "tp/y")],
        &[("a", "tp/x"), ("b", "tp/y")],
        &["attach a", "detach a'", "attach b", "detach b'"],
    );
    // By its name, though it moved; what has no successor goes last.
    check(&[("a", "tp/x"), ("b", "tp/y")], &[("b", "tp/z")], &["attach b", "detach b'", "detach a'"]);
    check(&[("a", "tp/x")], &[("b", "tp/x")], &["attach b", "detach a'"]);
}

#[test]
fn links_that_can_hand_over_do() {
    check(&[("a", "xdp/lo")], &[("a", "xdp/lo")], &["update a' to a"]);
    check(&[("a", "xdp/lo")], &[("renamed", "xdp/lo")], &["update a' to renamed"]);
    check(&[("a", "xdp/lo")], &[("a", "xdp/eth0")], &["attach a", "detach a'"]);
    // Names tell which of two; two at one place are two links.
    check(
        &[("a", "xdp/lo"), ("b", "xdp/eth0")],
        &[("b", "xdp/eth0"), ("a", "xdp/lo")],
        &["update b' to b", "update a' to a"],
    );
}

#[test]
fn a_place_for_one_alone_is_freed_first() {
    let place = "xdp/stiff";
    check(
        &[("a", place)],
        &[("a", place)],
        &["attach a", "xdp/stiff is taken", "free xdp/stiff", "attach a"],
    );
}

const OLD: &[(&str, &str)] =
    &[("a", "tp/x"), ("b", "xdp/lo"), ("c", "xdp/stiff"), ("d", "tp/slow"), ("gone", "tp/z")];
const NEW: &[(&str, &str)] =
    &[("added", "tp/w"), ("a", "tp/x"), ("b", "xdp/lo"), ("c", "xdp/stiff"), ("d", "tp/slow"), ("e", "tp/e")];

/// Whatever fails first, everything is as it was, or as it should be.
#[test]
fn every_failure_is_taken_back() {
    let (mut recorder, mut attachments) = begin(OLD, None);
    exchange(&mut recorder, &planned(NEW), &mut attachments, |_, _| false).unwrap();
    let operations = recorder.count;
    assert!(operations >= 6, "{operations}");
    for nth in 1..=operations {
        let (mut recorder, mut attachments) = begin(OLD, Some(nth));
        let outcome = exchange(&mut recorder, &planned(NEW), &mut attachments, |_, _| false);
        let log = recorder.log.join(", ");
        match outcome {
            // An update that fails is done in the other way.
            Ok(exchanged) => {
                assert_eq!(recorder.names(), at_work(NEW, ""), "{log}");
                assert!(exchanged.failures.is_empty() && attachments.is_empty(), "{log}");
                assert!(log.contains("update b' to b fails"), "{log}");
            }
            Err(refused) => {
                assert_eq!(recorder.names(), at_work(OLD, "'"), "{log}");
                assert_eq!(refused.failures.len(), 1, "{log}");
                assert!(refused.lost.is_empty(), "{log}");
                let mut held: Vec<&str> = attachments.iter().map(|old| old.program.as_str()).collect();
                held.sort_unstable();
                assert_eq!(held, ["a", "b", "c", "d", "gone"], "{log}");
            }
        }
    }
}

/// At no moment is nothing at work of a program that was there before and will be there after.
#[test]
fn nothing_is_missed_where_places_have_room() {
    let (mut recorder, mut attachments) = begin(OLD, None);
    exchange(&mut recorder, &planned(NEW), &mut attachments, |_, _| false).unwrap();
    for program in ["a", "d"] {
        let at = |word: &str| recorder.log.iter().position(|line| line == word).unwrap();
        assert!(at(&format!("attach {program}")) < at(&format!("detach {program}'")));
    }
}

#[test]
fn what_may_fail_does_not_stop_the_others() {
    let old = &[("a", "tp/x"), ("b", "tp/y")][..];
    let new = &[("a", "tp/x"), ("b", "tp/y"), ("c", "tp/z")][..];
    // The third operation is the attaching of c.
    let (mut recorder, mut attachments) = begin(old, Some(3));
    let exchanged =
        exchange(&mut recorder, &planned(new), &mut attachments, |_, was_attached| !was_attached).unwrap();
    assert_eq!(exchanged.failures, [failed("c", "tp/z")]);
    assert_eq!(recorder.names(), at_work(&new[..2], ""));
    // What was at work may not be lost by the same rule.
    let (mut recorder, mut attachments) = begin(old, Some(2));
    let refused = exchange(&mut recorder, &planned(new), &mut attachments, |_, was_attached| !was_attached)
        .unwrap_err();
    assert_eq!(refused.failures, [failed("b", "tp/y")]);
    assert_eq!(recorder.names(), at_work(old, "'"));
}

fn failed(program: &str, place: &str) -> (Planned<String>, Error) {
    (planned(&[(program, place)]).remove(0), Error::Told)
}

/// Each place by itself, and those that stay are not given up for those that come.
#[test]
fn a_program_of_several_places_goes_on_at_those_that_stay() {
    check(
        &[("a", "xdp/1"), ("a", "xdp/2")],
        &[("a", "xdp/3"), ("a", "xdp/2")],
        &["attach a", "detach a'", "update a' to a"],
    );
    check(
        &[("a", "tp/1")],
        &[("a", "tp/0"), ("a", "tp/1"), ("a", "tp/2")],
        &["attach a", "attach a", "detach a'", "attach a"],
    );
    check(&[("a", "tp/1"), ("a", "tp/2")], &[("a", "tp/2")], &["attach a", "detach a'", "detach a'"]);
}

/// A place where it was not before may fail without costing those where it was.
#[test]
fn a_new_place_may_fail() {
    let (old, new) = (&[("a", "tp/1")][..], &[("a", "tp/1"), ("a", "tp/2")][..]);
    for (fails_at, is_borne) in [(1, false), (2, true)] {
        let (mut recorder, mut attachments) = begin(old, Some(fails_at));
        let outcome = exchange(&mut recorder, &planned(new), &mut attachments, |_, was| !was);
        assert_eq!(outcome.is_ok(), is_borne);
        assert_eq!(recorder.names(), at_work(old, if is_borne { "" } else { "'" }));
    }
}

/// The old link of a program that is put back may not be gone yet. The new one stays until it is.
#[test]
fn what_is_put_back_waits_for_its_own_end() {
    let both = &[("a", "tp/slow"), ("b", "tp/x")][..];
    let (mut recorder, mut attachments) = begin(both, Some(2));
    let refused = exchange(&mut recorder, &planned(both), &mut attachments, |_, _| false).unwrap_err();
    assert!(refused.lost.is_empty());
    assert_eq!(
        recorder.log,
        [
            "attach a",
            "detach a'",
            "attach b fails",
            "attach a'",
            "a' is still there",
            "settle",
            "attach a'",
            "detach a"
        ]
    );
    assert_eq!(recorder.names(), at_work(both, "'"));
}

/// Another program took the link of the one that fails then.
#[test]
fn what_was_at_work_is_not_lost_to_a_new_program_in_its_place() {
    let (old, new) = (&[("a", "xdp/lo")][..], &[("b", "xdp/lo"), ("a", "xdp/eth0")][..]);
    let (mut recorder, mut attachments) = begin(old, Some(2));
    let outcome = exchange(&mut recorder, &planned(new), &mut attachments, |_, was_attached| !was_attached);
    assert_eq!(outcome.unwrap_err().failures, [failed("a", "xdp/eth0")]);
    assert_eq!(recorder.log, ["update a' to b", "attach a fails", "update b to a'"]);
    assert_eq!(recorder.names(), at_work(old, "'"));
}

#[test]
fn a_successor_of_which_nothing_is_attached_is_refused() {
    let (mut recorder, mut attachments) = begin(&[("a", "tp/x")], Some(1));
    let refused =
        exchange(&mut recorder, &planned(&[("b", "tp/y")]), &mut attachments, |_, _| true).unwrap_err();
    assert_eq!(refused.failures.len(), 1);
    assert_eq!(recorder.names(), ["a' at tp/x"]);
    // At the start there is nothing to go back to.
    let (mut recorder, mut attachments) = begin(&[], Some(1));
    let exchanged =
        exchange(&mut recorder, &planned(&[("b", "tp/y")]), &mut attachments, |_, _| true).unwrap();
    assert!(exchanged.attachments.is_empty() && exchanged.failures.len() == 1);
}
