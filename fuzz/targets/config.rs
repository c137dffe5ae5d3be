//! A config's text: the YAML reader, the checks behind it, and how problems are told.

#![no_main]

mod shared;

use bpftally::config::Options;
use bpftally::config::advise::Kernel;
use bpftally::elf::ObjectInfo;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

struct Setting {
    options: Options,
    kernel: Option<Kernel>,
    object: shared::Object,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let options = shared::options();
    let info = ObjectInfo::parse(shared::OBJECT).expect("the seed is an object");
    let kernel = shared::kernel(&options.host);
    assert!(kernel.is_some(), "the seed has types");
    Setting { kernel, options, object: shared::Object::new(shared::OBJECT, info) }
});

fuzz_target!(|text: &str| {
    let Setting { options, kernel, object } = &*SETTING;
    let once = shared::check(text, &object.file(), options, kernel.as_ref());
    // Nothing is told in the order of a hash.
    let again = shared::check(text, &object.file(), options, kernel.as_ref());
    assert_eq!(once.problems, again.problems);
    assert!(
        once.spec.is_some() || once.problems.iter().any(|problem| problem.is_error()),
        "lost without a word"
    );
});
