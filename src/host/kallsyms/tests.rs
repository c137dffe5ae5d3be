//! When the file is read again, and what is answered until then.

use std::path::PathBuf;

use super::*;

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
    clock: Clock,
    kallsyms: Kallsyms,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kallsyms");
        std::fs::write(&path, text).unwrap();
        let clock = Clock::manual();
        let kallsyms = Kallsyms::new(path.clone(), clock.clone());
        Self { _folder: folder, path, clock, kallsyms }
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    #[track_caller]
    fn at(&mut self, address: u64, expected: &str) {
        assert_eq!(text(&self.kallsyms.at(address)), expected, "at {address:#x}");
    }

    #[track_caller]
    fn around(&mut self, address: u64, expected: &str) {
        assert_eq!(text(&self.kallsyms.around(address)), expected, "around {address:#x}");
    }
}

fn text(symbol: &Symbol) -> &str {
    match symbol {
        Symbol::Named(name) => name,
        Symbol::Unknown => "unknown",
        Symbol::Hidden => "hidden",
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_references_stack_vectors() {
    let mut fixture = Fixture::new("4 t one\n6 t two\naa t three\n");
    for (address, expected) in [(4, "one"), (5, "one"), (6, "two"), (0xab, "three"), (10, "two"), (6, "two")]
    {
        fixture.around(address, expected);
    }
    fixture.write("4 t one\n6 t two\naa t three\n2 t zero\n");
    fixture.around(0xab, "three");
    fixture.around(3, "zero");
    fixture.around(1, "unknown");
    fixture.around(0xac, "three");
    fixture.around(1, "unknown");
}

#[test]
fn the_references_symbol_vectors() {
    let mut fixture = Fixture::new("ffffffeb19d90830 T pipe_lock\nffffffeb19d90870 T pipe_unlock\n");
    fixture.at(0xffff_ffeb_19d9_0828, "unknown");
    fixture.at(0xffff_ffeb_19d9_0830, "pipe_lock");
    fixture.at(0xffff_ffeb_19d9_0870, "pipe_unlock");
    fixture.at(0xffff_ffeb_19d9_0878, "unknown");
}

#[test]
fn a_storm_of_unknown_addresses_reads_about_once_a_second() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    fixture.at(0x11, "unknown");
    fixture.write("10 t one\n12 t late\n20 t two\n");
    for address in 0x100..0x1100 {
        fixture.at(address, "unknown");
    }
    fixture.at(0x12, "unknown");
    fixture.clock.advance(SECOND);
    fixture.at(0x12, "late");
}

#[test]
fn an_address_that_a_reading_did_not_know_is_asked_for_again_later() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    fixture.at(0x12, "unknown");
    fixture.write("10 t one\n12 t late\n20 t two\n");
    fixture.clock.advance(SECOND * 10);
    fixture.at(0x12, "unknown");
    fixture.clock.advance(SECOND * 20);
    fixture.at(0x12, "late");
}

#[test]
fn symbols_of_modules_are_believed_for_a_minute() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n80 t old\t[mod]\n");
    fixture.at(0x80, "old\t[mod]");
    fixture.around(0x88, "old\t[mod]");
    fixture.write("10 t changed\n20 t two\n80 t new\t[bpf]\n");
    fixture.clock.advance(SECOND * 59);
    fixture.at(0x80, "old\t[mod]");
    fixture.clock.advance(SECOND);
    fixture.at(0x10, "one");
    fixture.around(0x88, "new\t[bpf]");
    fixture.at(0x80, "new\t[bpf]");
}

#[test]
fn a_module_loaded_above_a_kernel_without_modules_is_seen() {
    let mut fixture = Fixture::new("10 t one\n20 t end\n");
    fixture.around(0x88, "end");
    fixture.write("10 t one\n20 t end\n80 t inside\t[mod]\n");
    fixture.clock.advance(SECOND * 60);
    fixture.around(0x88, "inside\t[mod]");
}

#[test]
fn hidden_addresses_are_said_and_looked_at_again() {
    let mut fixture = Fixture::new("0 t one\n0 t two\n");
    fixture.at(0, "hidden");
    fixture.around(0x10, "hidden");
    let error = fixture.kallsyms.address("one").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("CAP_SYSLOG"), "{error}");
    fixture.write("10 t one\n20 t two\n");
    fixture.clock.advance(SECOND * 9);
    fixture.around(0x10, "hidden");
    fixture.clock.advance(SECOND);
    fixture.around(0x10, "one");
}

#[test]
fn a_file_that_cannot_be_read_hides_all() {
    let mut fixture = Fixture::new("");
    std::fs::remove_file(&fixture.path).unwrap();
    fixture.around(0x10, "hidden");
    let error = fixture.kallsyms.address("one").unwrap_err();
    assert!(error.to_string().contains("kallsyms"), "{error}");
}

#[test]
fn what_was_seen_stays_when_privilege_is_given_up() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    fixture.write("0 t one\n0 t two\n");
    fixture.clock.advance(SECOND * 3600);
    fixture.at(0x11, "unknown");
    fixture.at(0x10, "one");
    fixture.kallsyms.release_unused();
    fixture.clock.advance(SECOND * 3600);
    fixture.kallsyms.release_unused();
    fixture.at(0x10, "one");
    assert_eq!(fixture.kallsyms.address("two").unwrap(), Some(0x20));
}

#[test]
fn a_file_that_was_opened_shows_addresses_for_good() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n80 t old\t[mod]\n");
    fixture.kallsyms.keep_open().unwrap();
    assert!(fixture.kallsyms.index.is_none(), "nothing is read before it is asked for");
    // Who opens it from now on sees no addresses.
    let kept = fixture.path.with_file_name("kept");
    std::fs::rename(&fixture.path, &kept).unwrap();
    fixture.write("0 t one\n0 t two\n");
    fixture.clock.advance(SECOND * 3600);
    fixture.at(0x10, "one");
    fixture.at(0x80, "old\t[mod]");
    // A module comes later, and the index is let go meanwhile.
    std::fs::write(&kept, "10 t one\n20 t two\n80 t new\t[mod]\n90 t late\t[mod]\n").unwrap();
    fixture.clock.advance(SECOND * 600);
    fixture.kallsyms.release_unused();
    assert!(fixture.kallsyms.index.is_none());
    fixture.at(0x80, "new\t[mod]");
    fixture.at(0x90, "late\t[mod]");
    assert_eq!(fixture.kallsyms.address("late").unwrap(), Some(0x90));
}

#[test]
fn a_file_without_addresses_is_not_kept() {
    let mut fixture = Fixture::new("0 t one\n0 t two\n");
    let error = fixture.kallsyms.keep_open().unwrap_err();
    assert!(error.to_string().contains("CAP_SYSLOG"), "{error}");
    fixture.write("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    std::fs::remove_file(&fixture.path).unwrap();
    let error = fixture.kallsyms.keep_open().unwrap_err();
    assert!(error.to_string().contains("kallsyms"), "{error}");
}

#[test]
fn an_address_by_name_is_of_now() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    let address = |fixture: &mut Fixture, name| fixture.kallsyms.address(name).unwrap();
    assert_eq!(address(&mut fixture, "late"), None);
    fixture.write("10 t one\n20 t two\n30 d late\t[mod]\n30 d other\n40 d late\n");
    fixture.clock.advance(SECOND);
    assert_eq!(address(&mut fixture, "late"), Some(0x30));
}

#[test]
fn an_index_that_nobody_uses_is_let_go() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    fixture.clock.advance(SECOND * 599);
    fixture.kallsyms.release_unused();
    assert!(fixture.kallsyms.index.is_some());
    fixture.clock.advance(SECOND);
    fixture.kallsyms.release_unused();
    assert!(fixture.kallsyms.index.is_none());
    fixture.at(0x10, "one");
}

#[test]
fn hidden_addresses_are_not_read_again_for_every_miss() {
    let mut fixture = Fixture::new("10 t one\n20 t two\n");
    fixture.at(0x10, "one");
    fixture.write("0 t one\n0 t two\n");
    fixture.at(0x11, "unknown");
    fixture.write("10 t one\n12 t late\n20 t two\n");
    fixture.clock.advance(SECOND * 59);
    fixture.at(0x12, "unknown");
    fixture.clock.advance(SECOND);
    fixture.at(0x12, "late");
}
