//! Hand-written BTF, hostile BTF, and the BTF of the running kernel.

use std::sync::Arc;

use proptest::prelude::*;

use super::sample::Sample;
use super::*;

const FLAG: u32 = 1 << 31;

/// 1 unsigned int, 2 char, 3 u32, 4 char[16], 5 struct inner, 6 inner[2], 7 struct key_t.
fn key(big_endian: bool) -> Vec<u8> {
    let mut sample = Sample::new(big_endian);
    sample.integer("unsigned int", 4, 0).integer("char", 1, 1).record("u32", 8, 0, 1, &[]);
    sample.record("", 3, 0, 0, &[2, 1, 16]);
    let (x, y) = (sample.name("x"), sample.name("y"));
    sample.record("inner", 4, 2, 8, &[x, 1, 0, y, 2, 32]);
    sample.record("", 3, 0, 0, &[5, 1, 2]);
    let (a, comm, list) = (sample.name("a"), sample.name("comm"), sample.name("list"));
    sample.record("key_t", 4, 3, 40, &[a, 3, 0, comm, 4, 32, list, 6, 192]);
    sample.bytes()
}

#[track_caller]
fn check_parse(bytes: &[u8], expected: BtfError) {
    assert_eq!(Btf::parse(bytes).unwrap_err(), expected);
}

#[test]
fn frames_that_lie_are_refused() {
    let good = key(false);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    check_parse(&[], BtfError::Truncated { expected: 24, found: 0 });
    check_parse(&good[..20], BtfError::Truncated { expected: 24, found: 20 });
    check_parse(&good[..good.len() - 1], BtfError::Truncated { expected: good.len(), found: good.len() - 1 });
    check_parse(b"\x7fELF", BtfError::NotBtf([0x7f, b'E']));
    check_parse(&with(2, 2), BtfError::Version(2));
    check_parse(&with(4, 20), BtfError::Header("its header is shorter than any known one"));
    check_parse(&with(8, 2), BtfError::Header("its types are not aligned to 4 bytes"));
    check_parse(&with(12, good[12] + 1), BtfError::Header("its types run into its strings"));
    check_parse(&with(good.len() - 1, b'x'), BtfError::BadStrings);
    check_parse(&with(24 + 7, 31), BtfError::UnknownKind { id: TypeId(1), kind: 31 });
    check_parse(&with(12, good[12] - 4), BtfError::TypeTruncated(TypeId(7)));
}

#[test]
fn both_byte_orders_read_alike() {
    let (little, big) = (Btf::parse(&key(false)).unwrap(), Btf::parse(&key(true)).unwrap());
    let id = little.find("key_t", Kind::Struct).unwrap();
    assert_eq!(big.find("key_t", Kind::Struct), Some(id));
    assert_eq!(little.layout(id).unwrap(), big.layout(id).unwrap());
}

#[test]
fn a_layout_is_flat_and_shows_its_gaps() {
    let btf = Btf::parse(&key(false)).unwrap();
    let layout = btf.layout(TypeId(7)).unwrap();
    let members: Vec<_> = layout.members.iter().map(|m| (m.path.as_str(), m.offset, m.size)).collect();
    let expected =
        [("a", 0, 4), ("comm", 4, 16), ("list[0].x", 24, 4), ("list[0].y", 28, 1), ("list[1].x", 32, 4)];
    assert_eq!(members[..5], expected);
    assert_eq!(members[5], ("list[1].y", 36, 1));
    assert_eq!(layout.gaps(), [20..24, 29..32, 37..40]);
    assert_eq!(layout.member("comm").unwrap().kind, MemberKind::Text);
    assert_eq!(
        layout.to_string(),
        "struct key_t { /* 40 bytes */\n\
         \x20   u32 a; /* offset 0, 4 bytes */\n\
         \x20   char comm[16]; /* offset 4, 16 bytes */\n\
         \x20   /* offset 20, 4 bytes of padding */\n\
         \x20   unsigned int list[0].x; /* offset 24, 4 bytes */\n\
         \x20   char list[0].y; /* offset 28, 1 byte */\n\
         \x20   /* offset 29, 3 bytes of padding */\n\
         \x20   unsigned int list[1].x; /* offset 32, 4 bytes */\n\
         \x20   char list[1].y; /* offset 36, 1 byte */\n\
         \x20   /* offset 37, 3 bytes of padding */\n\
         }"
    );
    assert_eq!(btf.layout(TypeId(3)).unwrap().to_string(), "u32 /* 4 bytes */");
    assert_eq!(btf.layout(TypeId(4)).unwrap().to_string(), "char[16] /* 16 bytes */");
}

#[track_caller]
fn check_cut(layout: &Layout, at: usize, expected: Option<&str>) {
    assert_eq!(layout.cut_at(at).map(|member| member.path.as_str()), expected, "byte {at}");
}

#[test]
fn borders_cut_numbers_but_not_arrays() {
    let btf = Btf::parse(&key(false)).unwrap();
    let layout = btf.layout(TypeId(7)).unwrap();
    check_cut(&layout, 0, None);
    check_cut(&layout, 2, Some("a"));
    check_cut(&layout, 4, None);
    check_cut(&layout, 11, None);
    check_cut(&layout, 22, None);
    check_cut(&layout, 25, Some("list[0].x"));
    check_cut(&layout, 29, None);
    check_cut(&layout, 35, Some("list[1].x"));
    check_cut(&layout, 40, None);
    let mut sample = Sample::new(false);
    sample.integer("long", 8, 0).integer("int", 4, 0).record("", 3, 0, 0, &[2, 2, 2]);
    let (a, b) = (sample.name("a"), sample.name("b"));
    sample.record("either", 5, 2, 8, &[a, 1, 0, b, 3, 0]);
    let either = Btf::parse(&sample.bytes()).unwrap().layout(TypeId(4)).unwrap();
    check_cut(&either, 4, None);
    check_cut(&either, 2, Some("a"));
}

#[track_caller]
fn check_member(path: &str, expected: Result<(usize, usize, MemberKind), BtfError>) {
    let btf = Btf::parse(&key(false)).unwrap();
    let found = btf.member(TypeId(7), path).map(|member| (member.offset, member.size, member.kind));
    assert_eq!(found, expected, "{path}");
}

#[test]
fn a_path_names_any_part() {
    let no_member = |name: &str, within: &str, known: &[&str]| BtfError::NoMember {
        name: name.to_owned(),
        within: within.to_owned(),
        known: known.iter().map(ToString::to_string).collect(),
    };
    let bad = |path: &str| Err(BtfError::BadPath(path.to_owned()));
    check_member("", Ok((0, 40, MemberKind::Aggregate)));
    check_member("a", Ok((0, 4, MemberKind::Scalar(ScalarKind::Unsigned))));
    check_member("list", Ok((24, 16, MemberKind::Array { element: TypeId(5), count: 2 })));
    check_member("list[1]", Ok((32, 8, MemberKind::Aggregate)));
    check_member("list[1].y", Ok((36, 1, MemberKind::Scalar(ScalarKind::Char))));
    check_member("comm[15]", Ok((19, 1, MemberKind::Scalar(ScalarKind::Char))));
    check_member("list[2]", Err(no_member("[2]", "struct inner[2]", &["[0].x", "[0].y", "[1].x", "[1].y"])));
    check_member("a.b", Err(no_member("b", "unsigned int", &[])));
    check_member("list[0].z", Err(no_member("z", "struct inner", &["x", "y"])));
    for path in ["a.", ".a", "a..b", "list[", "list[x]", "list[0]x", "list[-1]", "list[4294967296]"] {
        check_member(path, bad(path));
    }
}

#[test]
fn bit_fields_have_a_shift_and_a_width() {
    let mut sample = Sample::new(false);
    sample.integer("unsigned int", 4, 0);
    let (a, b, c) = (sample.name("a"), sample.name("b"), sample.name("c"));
    sample.record("flags", 4, FLAG | 3, 8, &[a, 1, 3 << 24, b, 1, 7 << 24 | 3, c, 1, 32]);
    // Before the flag: an integer of 5 bits tells.
    sample.record("unsigned int", 1, 0, 4, &[5]);
    let old = sample.name("old");
    sample.record("legacy", 4, 1, 4, &[old, 3, 9]);
    let btf = Btf::parse(&sample.bytes()).unwrap();
    let bits = |id: u32| -> Vec<_> {
        let layout = btf.layout(TypeId(id)).unwrap();
        layout.members.iter().map(|m| (m.offset, m.size, m.bits.map(|b| (b.shift, b.width)))).collect()
    };
    assert_eq!(bits(2), [(0, 1, Some((0, 3))), (0, 2, Some((3, 7))), (4, 4, None)]);
    assert_eq!(bits(4), [(1, 1, Some((1, 5)))]);
    let text = btf.layout(TypeId(2)).unwrap().to_string();
    assert!(text.contains("unsigned int b : 7; /* offset 0, bits 3 to 9 */"), "{text}");
}

#[track_caller]
fn check_scalar(kind: u32, size: u32, body: &[u32], vlen: u32, name: &str, expected: Option<ScalarKind>) {
    let mut sample = Sample::new(false);
    sample.record(name, kind, vlen, size, body);
    let btf = Btf::parse(&sample.bytes()).unwrap();
    assert_eq!(btf.scalar(TypeId(1)), expected.map(|kind| (size as usize, kind)), "{name}");
}

#[test]
fn scalars_say_what_their_bytes_mean() {
    use ScalarKind::*;
    check_scalar(1, 4, &[32], 0, "unsigned int", Some(Unsigned));
    check_scalar(1, 8, &[1 << 24 | 64], 0, "long", Some(Signed));
    check_scalar(1, 1, &[4 << 24 | 8], 0, "_Bool", Some(Bool));
    check_scalar(1, 1, &[1 << 24 | 8], 0, "char", Some(Char));
    check_scalar(1, 1, &[2 << 24 | 8], 0, "text", Some(Char));
    check_scalar(1, 1, &[1 << 24 | 8], 0, "signed char", Some(Signed));
    check_scalar(1, 16, &[128], 0, "__int128", Some(Unsigned));
    check_scalar(1, 3, &[24], 0, "odd", None);
    check_scalar(16, 8, &[], 0, "double", Some(Float));
    check_scalar(6, 4, &[0, 7], 1, "small", Some(Unsigned));
    check_scalar(6, 4, &[0, u32::MAX], 1, "negative", Some(Signed));
    check_scalar(6, 4, &[0, 1 << 31], 1, "flags", Some(Unsigned));
    check_scalar(6, 4, &[0, 1], FLAG | 1, "flagged", Some(Signed));
    check_scalar(19, 8, &[0, 0, 1 << 31], 1, "large", Some(Unsigned));
    check_scalar(19, 8, &[0, 1, 0], FLAG | 1, "large signed", Some(Signed));
    check_scalar(4, 4, &[], 0, "struct", None);
    check_scalar(7, 0, &[], 0, "forward", None);
    check_scalar(15, 8, &[], 0, "section", None);
}

#[test]
fn enumerators_keep_their_values() {
    let mut sample = Sample::new(false);
    let (a, b) = (sample.name("A"), sample.name("B"));
    sample.record("e32", 6, FLAG | 2, 4, &[a, u32::MAX, b, 5]);
    sample.record("e64", 19, 2, 8, &[a, 1, 1, b, u32::MAX, u32::MAX]);
    sample.record("e_t", 8, 0, 2, &[]);
    let btf = Btf::parse(&sample.bytes()).unwrap();
    let values =
        |name| btf.enumerators(name).map(|all| all.iter().map(|e| (e.name, e.value)).collect::<Vec<_>>());
    assert_eq!(values("e32"), Some(vec![("A", -1), ("B", 5)]));
    assert_eq!(values("e64"), Some(vec![("A", (1 << 32) + 1), ("B", i128::from(u64::MAX))]));
    assert_eq!(values("e_t"), values("e64"));
    assert_eq!(values("e"), None);
    assert_eq!(values(""), None);
}

/// One sample with every way of writing a type; ids follow each other.
#[test]
fn types_are_named_as_in_c() {
    let mut sample = Sample::new(false);
    sample.integer("int", 4, 1); // 1
    sample.record("", 10, 0, 1, &[]); // 2 const int
    sample.record("", 2, 0, 2, &[]); // 3 const int *
    sample.record("", 10, 0, 3, &[]); // 4 const int * const
    sample.record("", 3, 0, 0, &[1, 1, 3]); // 5 int[3]
    sample.record("", 3, 0, 0, &[5, 1, 2]); // 6 int[2][3]
    sample.record("", 2, 0, 5, &[]); // 7 int[3] *
    sample.record("", 2, 0, 0, &[]); // 8 void *
    sample.record("", 2, 0, 8, &[]); // 9 void **
    sample.record("", 13, 0, 1, &[]); // 10 function
    sample.record("", 2, 0, 10, &[]); // 11 function *
    sample.record("u", 7, FLAG, 0, &[]); // 12 union u
    sample.record("", 4, 0, 0, &[]); // 13 struct {…}
    sample.record("loop", 8, 0, 15, &[]); // 14
    sample.record("", 9, 0, 15, &[]); // 15 volatile of itself
    sample.record("tag", 18, 0, 1, &[]); // 16 int behind a type tag
    let btf = Btf::parse(&sample.bytes()).unwrap();
    let names: Vec<_> = btf.ids().map(|id| btf.type_name(id)).collect();
    let expected = [
        "int",
        "const int",
        "const int *",
        "const int * const",
        "int[3]",
        "int[2][3]",
        "int[3] *",
        "void *",
        "void **",
        "function",
        "function *",
        "union u",
        "struct {…}",
        "loop",
        "?",
        "int",
    ];
    assert_eq!(names, expected);
}

#[test]
fn circles_and_giants_end() {
    let mut sample = Sample::new(false);
    let m = sample.name("m");
    sample.record("t", 8, 0, 1, &[]); // 1: a typedef of itself
    sample.record("", 3, 0, 0, &[2, 2, 2]); // 2: an array of itself
    sample.record("s", 4, 1, 4, &[m, 3, 0]); // 3: a struct that holds itself
    sample.record("a", 4, 2, 4, &[0, 4, 0, 0, 4, 0]); // 4: the same, without names, twice
    sample.integer("int", 4, 0); // 5
    sample.record("", 3, 0, 0, &[5, 5, u32::MAX]); // 6: 16 GiB
    sample.record("", 8, 0, 99, &[]); // 7: of a type that is not there
    sample.record("f", 7, 0, 0, &[]); // 8
    sample.record("o", 4, 1, 2, &[m, 5, 0]); // 9: a member larger than its struct
    let btf = Btf::parse(&sample.bytes()).unwrap();
    let layout = |id| btf.layout(TypeId(id)).unwrap_err();
    assert_eq!(layout(1), BtfError::TooDeep(TypeId(1)));
    assert_eq!(layout(2), BtfError::TooDeep(TypeId(2)));
    assert_eq!(layout(3), BtfError::TooDeep(TypeId(3)));
    assert_eq!(layout(4), BtfError::TooDeep(TypeId(4)));
    assert_eq!(layout(6), BtfError::TooLarge(TypeId(6)));
    assert_eq!(layout(7), BtfError::NoSuchType(TypeId(99)));
    assert_eq!(layout(8), BtfError::Unsized { id: TypeId(8), kind: Kind::Fwd });
    assert_eq!(layout(9), BtfError::Outside { path: "m".into(), offset: 0, end: 4, size: 2 });
    assert!(btf.member(TypeId(4), "x").is_err());
    assert_eq!(btf.resolve(TypeId(1)).unwrap_err(), BtfError::TooDeep(TypeId(1)));
    assert_eq!(btf.size_of(TypeId(0)), Err(BtfError::Unsized { id: TypeId(0), kind: Kind::Void }));
}

#[track_caller]
fn check_references(kind: u32, vlen: u32, word: u32, body: &[u32], expected: Result<(), BtfError>) {
    let mut sample = Sample::new(false);
    sample.integer("int", 4, 0).record("", kind, vlen, word, body);
    assert_eq!(Btf::parse(&sample.bytes()).unwrap().check_references(), expected);
}

#[test]
fn references_that_lead_nowhere_are_found() {
    let (lost, nameless) =
        (Err(BtfError::NoSuchType(TypeId(9))), |offset| Err(BtfError::NoSuchName { id: TypeId(2), offset }));
    check_references(2, 0, 1, &[], Ok(()));
    check_references(2, 0, 9, &[], lost.clone());
    check_references(3, 0, 0, &[1, 1, 4], Ok(()));
    check_references(3, 0, 0, &[9, 1, 4], lost.clone());
    check_references(3, 0, 0, &[1, 9, 4], lost.clone());
    check_references(4, 1, 900, &[1, 1, 0], Ok(()));
    check_references(4, 1, 4, &[1, 9, 0], lost.clone());
    check_references(4, 1, 4, &[99, 1, 0], nameless(99));
    check_references(6, 1, 4, &[99, 9], nameless(99));
    check_references(6, 1, 4, &[1, 9], Ok(()));
    check_references(13, 1, 1, &[0, 9], lost.clone());
    check_references(15, 1, 900, &[9, 0, 0], lost);
    check_references(19, 1, 8, &[77, 0, 0], nameless(77));
}

/// 32 levels of arrays of 64 structs hold nothing at all: only counting steps ends that.
/// Each of them was copied with a name of megabytes.
#[test]
fn long_names_are_cut() {
    let mut sample = Sample::new(false);
    let long = "n".repeat(1 << 20);
    sample.record("empty", 4, 0, 0, &[]).record("", 3, 0, 0, &[1, 1, 0]);
    let name = sample.name(&long);
    let fields: Vec<u32> = (0..60_000).flat_map(|_| [name, 2, 0]).collect();
    sample.record("outer", 4, 60_000, 4, &fields);
    sample.record("", 3, 0, 0, &[3, 1, 64]);
    let btf = Btf::parse(&sample.bytes()).unwrap();
    assert_eq!(btf.name(name), &long[..512]);
    assert_eq!(btf.layout(TypeId(4)), Err(BtfError::TooLarge(TypeId(4))));
}

/// Whether its values are signed was asked of all of them for each member.
#[test]
fn members_of_a_long_enum_are_laid_out() {
    let mut sample = Sample::new(false);
    let value = sample.name("VALUE");
    let values: Vec<u32> = (0..60_000).flat_map(|number| [value, number]).collect();
    sample.record("many", 6, 60_000, 4, &values);
    let name = sample.name("x");
    let fields: Vec<u32> = (0..16_000).flat_map(|index| [name, 1, 32 * index]).collect();
    sample.record("outer", 4, 16_000, 64_000, &fields);
    let btf = Btf::parse(&sample.bytes()).unwrap();
    assert_eq!(btf.layout(TypeId(2)).unwrap().members.len(), 16_000);
}

#[test]
fn nested_emptiness_ends() {
    let mut sample = Sample::new(false);
    sample.integer("int", 1, 0);
    sample.record("leaf", 4, 1, 1, &[0, 1, 0]);
    for level in 0..10 {
        sample.record("", 3, 0, 0, &[2 + 2 * level, 1, 2]);
        let m = sample.name("m");
        sample.record("s", 4, 64, 1 << (level + 1), &[m, 3 + 2 * level, 0].repeat(64));
    }
    let btf = Btf::parse(&sample.bytes()).unwrap();
    assert_eq!(btf.layout(TypeId(22)).unwrap_err(), BtfError::TooLarge(TypeId(22)));
}

#[test]
fn a_modules_btf_continues_its_base() {
    let base = Arc::new(Btf::parse(&key(false)).unwrap());
    let strings = base.string_bytes() as u32;
    let mut sample = Sample::new(false);
    // Its names count on from those of the base, of which `key_t` is the last type.
    sample.record("", 8, 0, 7, &[]);
    let mut bytes = sample.bytes();
    bytes.extend(b"mine\0");
    let length = bytes.len();
    bytes[20..24].copy_from_slice(&6u32.to_le_bytes());
    bytes[24..28].copy_from_slice(&(strings + 1).to_le_bytes());
    assert_eq!(length, 24 + 12 + 6);
    let btf = Btf::parse_shared(bytes.into(), Some(base)).unwrap();
    assert_eq!((btf.type_count(), btf.find("mine", Kind::Typedef)), (9, Some(TypeId(8))));
    assert_eq!(btf.find("key_t", Kind::Struct), Some(TypeId(7)));
    assert_eq!((btf.type_name(TypeId(8)), btf.size_of(TypeId(8))), ("mine".to_owned(), Ok(40)));
    assert_eq!(btf.layout(TypeId(8)).unwrap().member("comm").unwrap().offset, 4);
}

/// Asks everything of every type; what comes back does not matter, that it comes does.
fn ask_everything(btf: &Btf) {
    for id in btf.ids() {
        let found = btf.type_by_id(id).unwrap();
        let _ = (found.name(), found.target(), found.linkage(), found.fields().count());
        let _ = (found.enumerators().count(), found.variables().count());
        let _ = (btf.size_of(id), btf.resolve(id), btf.scalar(id), btf.type_name(id));
        let _ = btf.layout(id).map(|layout| (layout.gaps(), layout.to_string()));
        let _ = (btf.member(id, "a"), btf.member(id, "list[1].y"));
    }
    let _ = btf.check_references();
    let _ = (btf.find("key_t", Kind::Struct), btf.enumerators("e"));
}

proptest! {
    #[test]
    fn mutated_btf_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        big_endian: bool,
    ) {
        let mut bytes = key(big_endian);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(btf) = Btf::parse(&bytes) {
            ask_everything(&btf);
        }
    }

    #[test]
    fn random_types_never_panic(words in proptest::collection::vec(any::<u32>(), 0..64)) {
        let mut sample = Sample::new(false);
        for chunk in words.chunks(4) {
            let [name, kind, vlen, word] = [0, 1, 2, 3].map(|at| chunk.get(at).copied().unwrap_or(0));
            let body: Vec<u32> = (0..12).map(|index| (word >> index) % 24).collect();
            let (kind, vlen) = (1 + kind % 19, vlen % 4);
            let words = [1, 0, 3, 3 * vlen, 3 * vlen, 2 * vlen, 0, 0, 0, 0, 0, 0, 2 * vlen, 1, 3 * vlen, 0, 1, 0, 3 * vlen];
            sample.record(if name % 2 == 0 { "a" } else { "" }, kind, vlen, word % 24, &body[..words[kind as usize - 1] as usize]);
        }
        ask_everything(&Btf::parse(&sample.bytes()).unwrap());
    }
}

fn kernel() -> Vec<u8> {
    std::fs::read("/sys/kernel/btf/vmlinux").expect("this kernel has BTF")
}

#[test]
fn the_kernels_types_all_come_to_an_end() {
    let bytes: Arc<[u8]> = kernel().into();
    let btf = Btf::parse_shared(bytes, None).unwrap();
    assert!(btf.type_count() > 50_000, "{btf:?}");
    assert_eq!(btf.check_references(), Ok(()));
    let mut refused = Vec::new();
    for id in btf.ids() {
        let found = btf.type_by_id(id).unwrap();
        if let (Ok(size), true) = (btf.size_of(id), found.kind().is_aggregate()) {
            assert_eq!(Some(size), found.stated_size());
            match btf.layout(id) {
                Ok(layout) => assert!(layout.members.iter().all(|member| member.range().end <= size)),
                Err(error) => refused.push((btf.type_name(id), error)),
            }
        }
        assert_ne!(btf.type_name(id), "?", "{found:?}");
    }
    // Only structs that hold more than any message or label could name.
    assert!(refused.iter().all(|(_, error)| matches!(error, BtfError::TooLarge(_))), "{refused:?}");
    assert!(refused.len() < 16, "{refused:?}");
}

#[test]
fn the_kernels_enums_have_names() {
    let btf = Btf::parse(&kernel()).unwrap();
    let reasons = btf.enumerators("skb_drop_reason").unwrap();
    assert!(reasons.iter().any(|reason| reason.name == "SKB_DROP_REASON_NO_SOCKET"));
    let pid = btf.member(btf.find("task_struct", Kind::Struct).unwrap(), "comm").unwrap();
    assert_eq!((pid.kind, pid.size), (MemberKind::Text, 16));
}

#[test]
fn truncated_kernel_btf_is_refused_fast() {
    let bytes = kernel();
    for end in (0..bytes.len()).step_by(bytes.len() / 64) {
        assert!(Btf::parse(&bytes[..end]).is_err());
    }
}
