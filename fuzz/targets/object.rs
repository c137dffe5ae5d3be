//! An object's bytes, or the bytes of BTF alone: what is read of them, `inspect` and `init`.

#![no_main]

mod shared;

use std::sync::{Arc, LazyLock};

use bpftally::btf::{Btf, EnumIndex};
use bpftally::cli::Report;
use bpftally::config::{self, Options};
use bpftally::elf::{ObjectInfo, btf_section};
use bpftally::problem::Place;
use libfuzzer_sys::fuzz_target;

static OPTIONS: LazyLock<Options> = LazyLock::new(shared::options);

fuzz_target!(|bytes: &[u8]| {
    match Btf::parse(bytes) {
        Ok(btf) => {
            walk(btf);
            object(&around(bytes));
        }
        Err(_) => {
            if let Some(Ok(btf)) = btf_section(bytes).map(Btf::parse) {
                walk(btf);
            }
            object(bytes);
        }
    }
});

/// Asks for everything that can be asked of types.
fn walk(btf: Btf) {
    let _ = btf.check_references();
    for id in btf.ids() {
        let Ok(found) = btf.type_by_id(id) else { continue };
        let _ = (found.name(), btf.resolve(id).is_ok(), btf.scalar(id), btf.type_name(id));
        let _ = (found.enumerators().count(), found.variables().count());
        let size = btf.size_of(id);
        for field in found.fields() {
            let _ = btf.member(id, field.name);
        }
        if let Ok(layout) = btf.layout(id) {
            assert_eq!(Ok(layout.size), size);
            let _ = (layout.to_string(), layout.cut_at(1), layout.gaps());
            for member in &layout.members {
                assert!(member.range().end <= layout.size, "{member:?}");
            }
        }
    }
    let index = EnumIndex::new(Arc::new(btf));
    // What is asked for comes from a config, with space around it and `enum` before it.
    let is_plain = |name: &&str| !name.contains(char::is_whitespace);
    for name in index.names().chain(index.values()).filter(is_plain) {
        assert!(!index.find(name).is_empty(), "{name:?}");
    }
}

fn object(bytes: &[u8]) {
    let info = match ObjectInfo::parse(bytes) {
        Ok(info) => info,
        Err(error) => return shared::render(&error.problem(Place::default()), None),
    };
    let report = Report::new("fuzzed.bpf.o", &info);
    let _ = report.to_text(true);
    let json = report.to_json().expect("every report is JSON");
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    for problem in &report.problems {
        shared::render(problem, None);
    }
    let object = shared::Object::new(bytes, info);
    let kernel = shared::kernel(&OPTIONS.host);
    let text = config::draft(object.info(), "fuzzed.bpf.o");
    let checked = shared::check(&text, &object.file(), &OPTIONS, kernel.as_ref());
    let wrong = checked.problems.iter().find(|problem| problem.is_error());
    assert!(wrong.is_none(), "{:#}\n{text}", wrong.expect("it was there"));
}

/// The seed object with other types.
fn around(btf: &[u8]) -> Vec<u8> {
    let mut object = shared::OBJECT.to_vec();
    let own = btf_section(shared::OBJECT).expect("the seed has types");
    let (start, size) = (own.as_ptr().addr() - shared::OBJECT.as_ptr().addr(), own.len());
    let word = |at: usize, object: &[u8]| {
        u64::from_le_bytes(object[at..at + 8].try_into().expect("the seed has whole headers")) as usize
    };
    let count = usize::from(u16::from_le_bytes([object[60], object[61]]));
    let headers = word(40, &object);
    let header = (0..count).map(|index| headers + 64 * index);
    let header =
        header.into_iter().find(|at| (word(at + 24, &object), word(at + 32, &object)) == (start, size));
    let at = header.expect("one header has these bytes");
    object[at + 24..at + 32].copy_from_slice(&(shared::OBJECT.len() as u64).to_le_bytes());
    object[at + 32..at + 40].copy_from_slice(&(btf.len() as u64).to_le_bytes());
    object.extend_from_slice(btf);
    object
}
