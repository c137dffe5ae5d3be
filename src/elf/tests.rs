//! Files that are no objects, and what is said of them. Real objects: `tests/it/objects.rs`.

use super::sample::SampleObject;
use super::*;
use crate::btf::BtfError;
use crate::btf::sample::Sample;
use crate::problem::Place;

#[track_caller]
fn check_not_elf(bytes: &[u8], expected: Guess, message: &str) {
    let error = ObjectInfo::parse(bytes).unwrap_err();
    let ElfError::NotElf { guess, .. } = &error else { panic!("{error}") };
    assert_eq!((*guess, error.what().as_str()), (expected, message));
    assert!(error.help().is_some());
}

#[test]
fn what_is_not_elf_is_recognised() {
    let text = |hex: &str, rest: &str| format!("not an ELF file: it begins with {hex}{rest}");
    check_not_elf(b"", Guess::Empty, "not an ELF file: it is empty");
    check_not_elf(
        b"metrics:\n  counters: []\n",
        Guess::Yaml,
        &text("6d 65 74 72 69 63 73 3a", " (\"metrics:\"), which looks like YAML"),
    );
    check_not_elf(
        b"# note\n---\na: 1\n",
        Guess::Yaml,
        &text("23 20 6e 6f 74 65 0a 2d", ", which looks like YAML"),
    );
    check_not_elf(
        b"{\"a\": 1}",
        Guess::Json,
        &text("7b 22 61 22 3a 20 31 7d", " (\"{\\\"a\\\": 1}\"), which looks like JSON"),
    );
    check_not_elf(
        b"BC\xc0\xde1234",
        Guess::Bitcode,
        &text("42 43 c0 de 31 32 33 34", ", which looks like LLVM bitcode"),
    );
    check_not_elf(b"\x1f\x8b\x08", Guess::Compressed("gzip"), &text("1f 8b 08", ", which looks like gzip"));
    check_not_elf(
        b"\0\0\0",
        Guess::Zeros,
        &text("00 00 00", ", which looks like zeros: the file's content was lost"),
    );
    check_not_elf(b"\x01\x02", Guess::Unknown, &text("01 02", ""));
    check_not_elf(b"MZ\x90\0\xff", Guess::Unknown, &text("4d 5a 90 00 ff", ""));
}

#[track_caller]
fn check_guess(bytes: &[u8], expected: Guess) {
    match ObjectInfo::parse(bytes).unwrap_err() {
        ElfError::NotElf { guess, .. } => assert_eq!(guess, expected),
        other => panic!("{other}"),
    }
}

#[test]
fn files_that_people_confuse_with_objects() {
    check_guess(b"#include \"vmlinux.h\"\n", Guess::CSource);
    check_guess(b"// comment\nSEC(\"tp\") int f;\n", Guess::CSource);
    check_guess(b"; ModuleID = 'x'\n", Guess::LlvmText);
    check_guess(b"version https://git-lfs.github.com/spec/v1\noid 1\n", Guess::GitLfsPointer);
    check_guess(b"<!DOCTYPE html>\n", Guess::Html);
    check_guess(b"!<arch>\nx", Guess::Archive);
    check_guess(b"PK\x03\x04", Guess::Compressed("zip"));
    check_guess(b"\x28\xb5\x2f\xfd", Guess::Compressed("zstd"));
    check_guess(b"\x9f\xeb\x01\0", Guess::RawBtf);
    check_guess(b"hello world\n", Guess::Text);
    check_guess("größe: 3\n".as_bytes(), Guess::Yaml);
    check_guess(b"\xff\xfe\x00text", Guess::Unknown);
}

/// A header of 64 bytes with the fields that are looked at first.
fn header(class: u8, big_endian: bool, kind: u16, machine: u16) -> Vec<u8> {
    let pair = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([class, if big_endian { 2 } else { 1 }, 1]);
    bytes.resize(16, 0);
    bytes.extend(pair(kind));
    bytes.extend(pair(machine));
    bytes.resize(64, 0);
    bytes
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: ElfError) {
    assert_eq!(ObjectInfo::parse(bytes).unwrap_err(), expected);
}

#[test]
fn headers_tell_for_whom_a_file_is() {
    let big = cfg!(target_endian = "big");
    let machine = |name: &str| ElfError::NotBpf { machine: name.to_owned() };
    check_refused(&header(2, false, 3, 62), machine("x86-64, a host's processor"));
    check_refused(&header(2, false, 2, 183), machine("aarch64, a host's processor"));
    check_refused(&header(1, false, 1, 40), machine("ARM, a host's processor"));
    check_refused(&header(2, true, 1, 22), machine("s390x, a host's processor"));
    check_refused(&header(2, false, 1, 4711), machine("machine 4711"));
    check_refused(&header(1, big, 1, 247), ElfError::Not64Bit);
    check_refused(&header(2, !big, 1, 247), ElfError::WrongEndian { big: !big });
    check_refused(&header(2, big, 2, 247), ElfError::NotRelocatable { kind: 2 });
    check_refused(&header(2, big, 1, 247)[..40], ElfError::Truncated { expected: 64, found: 40 });
    check_refused(b"\x7fEL", ElfError::Truncated { expected: 64, found: 3 });
    check_refused(&header(2, big, 1, 247), ElfError::Malformed("it has no sections".to_owned()));
    let mut order = header(2, big, 1, 247);
    order[5] = 7;
    check_refused(&order, ElfError::Malformed("byte order 7 is neither 1 nor 2".to_owned()));
}

#[track_caller]
fn check_message(error: ElfError, expected: &str) {
    assert_eq!(error.to_string(), expected);
}

#[test]
fn messages_say_what_to_do() {
    check_message(
        ElfError::NotBpf { machine: "x86-64, a host's processor".to_owned() },
        "not an eBPF object: it is compiled for x86-64, a host's processor; compile it with `clang -target bpf -g -O2 -c`",
    );
    check_message(
        ElfError::WrongEndian { big: true },
        "the object is big-endian, this machine is little-endian; compile it with `clang -target bpf` (or bpfel)",
    );
    check_message(
        ElfError::NoBtf,
        "the object has no BTF (no section `.BTF`), which describes its maps; compile it with `clang -g`; \
         when it was stripped, use `llvm-strip -g`, which keeps BTF",
    );
    check_message(
        ElfError::Map { map: "m".to_owned(), reason: "it is wrong".to_owned() },
        "the definition of map `m` is refused: it is wrong",
    );
}

#[test]
fn problems_carry_the_map_and_the_advice_apart() {
    let error = ElfError::Map { map: "m".to_owned(), reason: "it is wrong".to_owned() };
    assert_eq!(error.problem(Place::default()).place.map.as_deref(), Some("m"));
    let problem = ElfError::BadBtf(BtfError::BadStrings).problem(Place::default());
    assert_eq!(
        (problem.code, problem.help.as_deref()),
        ("object-bad-btf", Some("compile it again with clang"))
    );
    assert!(!problem.message.contains("compile"), "{}", problem.message);
}

#[track_caller]
fn check_kernel_btf(section: &str, expected: bool) {
    assert_eq!(programs::attaches_by_btf(section), expected, "{section}");
}

#[test]
fn sections_tell_who_needs_the_kernels_btf() {
    check_kernel_btf("tp_btf/sched_switch", true);
    check_kernel_btf("fentry/vfs_read", true);
    check_kernel_btf("fentry.s/vfs_read", true);
    check_kernel_btf("lsm/file_open", true);
    check_kernel_btf("iter/task", true);
    check_kernel_btf("tp/sched/sched_switch", false);
    check_kernel_btf("raw_tp/sched_switch", false);
    check_kernel_btf("xdp", false);
    check_kernel_btf("tracepoint/iter/x", false);
}

const RETURN: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

#[track_caller]
fn check_malformed(object: SampleObject, expected: &str) {
    check_refused(&object.bytes(), ElfError::Malformed(expected.to_owned()));
}

/// A chain of functions, each of which calls the next, and programs that call the first.
fn callers(functions: usize, programs: usize) -> SampleObject {
    let call = |at: usize, target: usize| {
        let mut code = vec![0x85, if cfg!(target_endian = "big") { 1 } else { 0x10 }, 0, 0];
        code.extend((target as i32 - at as i32 - 1).to_ne_bytes());
        [code, RETURN.to_vec()].concat()
    };
    let mut object = SampleObject::new();
    let chain: Vec<u8> =
        (0..functions).flat_map(|index| call(2 * index, (2 * index + 2) % (2 * functions))).collect();
    let text = object.section(".text", true, chain);
    for index in 0..functions {
        object.function(&format!("f{index}"), text, 16 * index as u64, 16);
    }
    // Programs among the functions take part: each reaches all of them.
    for index in 0..programs {
        let section = object.section(&format!("tp/{index}"), true, RETURN.to_vec());
        object.function(&format!("p{index}"), section, 0, 8);
    }
    object
}

#[test]
fn hand_written_objects_are_read() {
    let mut object = callers(3, 2);
    object.section(".BTF", false, Sample::new(cfg!(target_endian = "big")).integer("int", 4, 1).bytes());
    let object = ObjectInfo::parse(&object.bytes()).unwrap();
    assert_eq!(object.programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>(), ["p0", "p1"]);
    assert_eq!(object.functions.len(), 5);
}

/// What follows found small files that took gigabytes, or minutes, to read.
#[test]
fn sections_that_overlap_are_not_read_many_times() {
    let mut object = SampleObject::new();
    object.section("tp/x", true, RETURN.to_vec());
    for index in 0..8 {
        object.section(&format!("s{index}"), false, vec![0; 8]);
    }
    let mut bytes = object.bytes();
    let whole = (bytes.len() as u64).to_ne_bytes();
    let headers = usize::from_ne_bytes(bytes[40..48].try_into().unwrap());
    for index in 2..10 {
        let at = headers + 64 * index;
        bytes[at + 24..at + 32].fill(0);
        bytes[at + 32..at + 40].copy_from_slice(&whole);
    }
    check_refused(&bytes, ElfError::Malformed("its sections overlap".to_owned()));
}

#[test]
fn programs_and_functions_are_not_multiplied() {
    // Each function of a section of its own is a program.
    let mut object = SampleObject::new();
    let count = 1000;
    let code: Vec<u8> = (0..count)
        .flat_map(|index: i32| {
            let mut call = vec![0x85, if cfg!(target_endian = "big") { 1 } else { 0x10 }, 0, 0];
            let target = 2 * ((index + 1) % count);
            call.extend((target - 2 * index - 1).to_ne_bytes());
            [call, RETURN.to_vec()].concat()
        })
        .collect();
    let section = object.section("tp/x", true, code);
    for index in 0..count as u64 {
        object.function(&format!("f{index}"), section, 16 * index, 16);
    }
    check_malformed(object, "its programs call more functions than a kernel takes");
}

/// 1 int, 2 int[32], 3 int *, 4 the pointer to the array, 5 the definition of a map, 6 its variable.
fn map_types() -> Sample {
    let mut types = Sample::new(cfg!(target_endian = "big"));
    types.integer("int", 4, 1).record("", 3, 0, 0, &[1, 1, 1]).record("", 2, 0, 1, &[]).record(
        "",
        2,
        0,
        2,
        &[],
    );
    let (kind, entries, key, value) =
        (types.name("type"), types.name("max_entries"), types.name("key"), types.name("value"));
    types.record("", 4, 4, 32, &[kind, 4, 0, entries, 4, 64, key, 3, 128, value, 3, 192]);
    types.record("a_map", 14, 0, 5, &[1]);
    types
}

#[test]
fn one_variable_is_not_thousands_of_maps() {
    let mut types = map_types();
    let entries: Vec<u32> = (0..5000).flat_map(|index| [6, 32 * index, 32]).collect();
    types.record(".maps", 15, 5000, 32 * 5000, &entries);
    let mut object = SampleObject::new();
    object.zeros(".maps", 32 * 5000);
    object.section(".BTF", false, types.bytes());
    check_malformed(object, "it has more than 4096 maps");
}

#[test]
fn variables_do_not_lie_on_top_of_each_other() {
    let object = |count: u32| {
        let mut types = map_types();
        types.record("twice", 14, 0, 1, &[1]);
        types.record(".maps", 15, 1, 32, &[6, 0, 32]);
        let entries: Vec<u32> = (0..count).flat_map(|_| [7, 0, 4]).collect();
        types.record(".data", 15, count, 4, &entries);
        let mut object = SampleObject::new();
        object.zeros(".maps", 32);
        object.section(".data", false, vec![0; 4]);
        object.section(".BTF", false, types.bytes());
        object
    };
    assert_eq!(ObjectInfo::parse(&object(1).bytes()).unwrap().variables.len(), 1);
    check_malformed(object(2), "its variables in `.data` overlap");
}

/// Looking each number up in the whole enum took minutes.
#[test]
fn long_arrays_of_long_enums_have_names() {
    let mut types = Sample::new(cfg!(target_endian = "big"));
    let name = types.name("VALUE");
    let values: Vec<u32> = (0..50_000).flat_map(|value| [name, value + 1]).collect();
    types.record("many", 6, 50_000, 4, &values);
    types.record("", 3, 0, 0, &[1, 1, 60_000]);
    let types = Btf::parse(&types.bytes()).unwrap();
    let Value::Array(found) = Value::read(&types, TypeId(2), &[0; 240_000]) else { panic!("an array") };
    assert_eq!((found.len(), found.last()), (60_000, Some(&Value::Enum(None, 0))));
}
