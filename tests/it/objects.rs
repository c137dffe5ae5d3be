//! Objects as clang writes them: what is read from the file is what libbpf and C say.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as its body does")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use bpftally::btf::{Kind, MemberKind, ScalarKind};
use bpftally::elf::{ElfError, ExternKind, Guess, MapKind, ObjectInfo};

use crate::common::objects::{compile, compile_with};

#[track_caller]
fn read(path: &Path) -> ObjectInfo {
    ObjectInfo::parse(&std::fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn refusal(path: &Path) -> ElfError {
    ObjectInfo::parse(&std::fs::read(path).unwrap()).unwrap_err()
}

/// Kinds, sizes and ways of declaring maps, and what belongs to no map.
const MANY_MAPS: &str = r#"
struct key_t { u32 a; char comm[16]; };
struct inner_t { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, struct key_t); __type(value, u64);
    __uint(map_flags, BPF_F_NO_PREALLOC); } zulu SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64[27]); } alpha SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __uint(key_size, 12); __uint(value_size, 8); } sizes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH); __uint(max_entries, 64); __type(key, u64); __type(value, s32); } lru SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 8); __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct { u32 length; u8 address[16]; }); __type(value, u64); } trie SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 16); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
struct inner_t one SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner_t); }
    outer SEC(".maps") = { .values = { &one } };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 5); __uint(numa_node, 0); __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, int); __type(value, long); } pinned SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int (void *)); }
    calls SEC(".maps");
SEC("tp/sched/sched_switch") int first(void *ctx) { return 0; }
"#;

/// Programs of every shape that a section can hold.
const MANY_PROGRAMS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hits SEC(".maps");
static __attribute__((noinline)) u64 shared(u32 key) { u64 *v = bpf_map_lookup_elem(&hits, &key); return v ? *v : bpf_ktime_get_ns(); }
__attribute__((noinline)) int global(u32 key) { return bpf_get_prandom_u32() + shared(key) + key; }
static long each(u32 index, void *ctx) { return bpf_get_smp_processor_id() == index; }
SEC("tp/sched/sched_switch") int one(void *ctx) { return shared(1) > 3; }
SEC("tp/sched/sched_switch") int two(void *ctx) { return bpf_get_current_pid_tgid() == 7; }
SEC("?tp/sched/sched_wakeup") int optional(void *ctx) { return global(2) > 3; }
SEC("raw_tp/sys_enter") int raw(void *ctx) { static long (*loop)(u32, void *, void *, u64) = (void *)181; return loop(3, each, 0, 0); }
SEC("tp_btf/sched_switch") int typed(u64 *ctx) { return 0; }
"#;

/// Global data in every section, and wishes.
const MANY_VARIABLES: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
const volatile u64 kaddr_jiffies = 0;
const volatile char name[6] = "hello";
const volatile u32 limit = 7;
u64 counted = 0;
u32 started = 5;
u8 also = 9;
static volatile u32 hidden;
static volatile u64 hidden_too = 3;
u32 custom SEC(".rodata.settings") = 3;
u64 wide SEC(".data.settings") = 4;
u64 tail[3] SEC(".bss.tail");
extern u32 LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_MISSING __kconfig __weak;
extern const void jiffies __ksym;
extern void bpf_rcu_read_lock(void) __ksym __weak;
SEC("tp/sched/sched_switch") int use(void *ctx) {
    hidden++; hidden_too++; counted += limit + kaddr_jiffies + name[1]; started += also; tail[1] = wide + custom;
    if (bpf_rcu_read_lock) bpf_rcu_read_lock();
    return LINUX_KERNEL_VERSION + (u64)&jiffies + CONFIG_MISSING;
}
"#;

/// Compares maps and programs with libbpf's own view of the object.
#[track_caller]
fn check_as_libbpf(path: &Path) {
    let ours = read(path);
    let theirs = libbpf_rs::ObjectBuilder::default().open_file(path).unwrap();
    let text = |name: &OsStr| name.to_str().unwrap().to_owned();
    // Maps of global data carry the object's name or a section's.
    let maps = theirs.maps().filter(|map| !text(map.name()).contains('.'));
    let maps: Vec<_> = maps
        .map(|map| {
            let sizes = (map.key_size(), map.value_size(), map.max_entries(), map.map_flags());
            (text(map.name()), map.map_type() as u32, sizes)
        })
        .collect();
    let mine: Vec<_> = ours
        .maps
        .iter()
        .map(|map| (map.name.clone(), map.kind.0, (map.key_size, map.value_size, map.max_entries, map.flags)))
        .collect();
    assert_eq!(mine, maps);
    let programs: Vec<_> = theirs
        .progs()
        .map(|program| (text(program.name()), text(program.section()), program.autoload()))
        .collect();
    let mine: Vec<_> = ours
        .programs
        .iter()
        .map(|found| (found.name.clone(), found.section.clone(), found.autoload))
        .collect();
    assert_eq!(mine, programs);
}

#[test]
fn maps_and_programs_are_what_libbpf_sees() {
    for source in [MANY_MAPS, MANY_PROGRAMS, MANY_VARIABLES] {
        check_as_libbpf(&compile(source));
    }
}

#[test]
fn maps_keep_what_was_declared() {
    let object = read(&compile(MANY_MAPS));
    assert_eq!(object.license.as_deref(), Some("Dual BSD/GPL"));
    let order: Vec<_> = object.maps.iter().map(|map| map.name.as_str()).collect();
    assert!(order.windows(3).any(|names| names == ["zulu", "alpha", "sizes"]), "{order:?}");
    let map = |name: &str| object.map(name).unwrap();
    let key = object.btf.layout(map("zulu").key_type.unwrap()).unwrap();
    assert_eq!(
        key.to_string(),
        "struct key_t { /* 20 bytes */\n    u32 a; /* offset 0, 4 bytes */\n    char comm[16]; /* offset 4, 16 bytes */\n}"
    );
    assert_eq!(object.btf.type_name(map("alpha").value_type.unwrap()), "u64[27]");
    assert_eq!(object.btf.scalar(map("lru").value_type.unwrap()), Some((4, ScalarKind::Signed)));
    assert_eq!((map("sizes").key_type, map("sizes").value_type), (None, None));
    assert_eq!((map("events").key_size, map("events").kind.name()), (0, "ringbuf"));
    assert_eq!((map("pinned").pinned, map("pinned").numa_node, map("zulu").pinned), (true, Some(0), false));
    let inner = map("outer").inner.as_deref().unwrap();
    assert_eq!((inner.name.as_str(), inner.kind, inner.max_entries), ("outer.inner", MapKind::HASH, 3));
    assert_eq!((map("outer").value_size, map("calls").value_size), (4, 4));
}

#[test]
fn helpers_are_found_through_calls() {
    let object = read(&compile(MANY_PROGRAMS));
    let helpers: BTreeMap<_, Vec<_>> =
        object.programs.iter().map(|p| (p.name.as_str(), p.helpers.iter().copied().collect())).collect();
    // lookup 1, ktime 5, prandom 7, processor id 8, pid_tgid 14, loop 181
    let expected = [
        ("one", vec![1, 5]),
        ("optional", vec![1, 5, 7]),
        ("raw", vec![8, 181]),
        ("two", vec![14]),
        ("typed", vec![]),
    ];
    assert_eq!(helpers, BTreeMap::from(expected));
    assert!(object.needs_kernel_btf(), "tp_btf");
    assert!(!object.has_core_relocations);
}

#[test]
fn core_relocations_are_seen() {
    let object = read(&compile(
        r#"struct task_struct { int pid; } __attribute__((preserve_access_index));
        SEC("raw_tp/sched_switch") int p(u64 *ctx) { struct task_struct *t = (void *)ctx[1]; return BPF_CORE_READ(t, pid); }"#,
    ));
    assert!(object.has_core_relocations && object.needs_kernel_btf());
    assert!(!read(&compile(MANY_MAPS)).needs_kernel_btf());
}

#[test]
fn variables_lie_where_the_symbols_say() {
    let object = read(&compile(MANY_VARIABLES));
    let found = |name: &str| {
        let variable = object.variable(name).unwrap_or_else(|| panic!("{name}: {:#?}", object.variables));
        (variable.section.as_str(), variable.size, object.btf.type_name(variable.type_id))
    };
    let text = |section, size, type_name: &str| (section, size, type_name.to_owned());
    assert_eq!(found("kaddr_jiffies"), text(".rodata", 8, "const volatile u64"));
    assert_eq!(found("name"), text(".rodata", 6, "const volatile char[6]"));
    assert_eq!(found("counted"), text(".bss", 8, "u64"));
    assert_eq!(found("started"), text(".data", 4, "u32"));
    assert_eq!(found("hidden"), text(".bss", 4, "volatile u32"));
    assert_eq!(found("custom"), text(".rodata.settings", 4, "u32"));
    assert_eq!(found("wide"), text(".data.settings", 8, "u64"));
    assert_eq!(found("tail"), text(".bss.tail", 24, "u64[3]"));
    assert!(object.variable("LICENSE").is_none() && object.variable("m").is_none());
    let mut reached = BTreeMap::new();
    for variable in &object.variables {
        let end = reached.entry(&variable.section).or_insert(0);
        assert!(variable.offset >= *end, "{variable:?} overlaps: {:#?}", object.variables);
        *end = variable.offset + variable.size;
    }
}

/// Compares bytes at the place of a variable with what libbpf will put there.
#[track_caller]
fn check_initial_value(path: &Path, name: &str, expected: &[u8]) {
    let object = read(path);
    let opened = libbpf_rs::ObjectBuilder::default().open_file(path).unwrap();
    let variable = object.variable(name).unwrap();
    let map = opened.maps().find(|map| map.name().to_str().unwrap().ends_with(&variable.section)).unwrap();
    let bytes = map.initial_value().unwrap();
    assert_eq!(&bytes[variable.offset as usize..][..variable.size as usize], expected, "{name}");
}

#[test]
fn initial_values_stand_where_variables_are_said_to_be() {
    let path = compile(MANY_VARIABLES);
    check_initial_value(&path, "name", b"hello\0");
    check_initial_value(&path, "limit", &7u32.to_ne_bytes());
    check_initial_value(&path, "started", &5u32.to_ne_bytes());
    check_initial_value(&path, "also", &[9]);
    check_initial_value(&path, "hidden_too", &3u64.to_ne_bytes());
    check_initial_value(&path, "wide", &4u64.to_ne_bytes());
}

#[test]
fn externs_are_listed() {
    let object = read(&compile(MANY_VARIABLES));
    let mut found: Vec<_> =
        object.externs.iter().map(|wish| (wish.name.as_str(), wish.kind, wish.weak)).collect();
    found.sort_by_key(|(name, ..)| *name);
    let expected = [
        ("CONFIG_MISSING", ExternKind::Kconfig, true),
        ("LINUX_KERNEL_VERSION", ExternKind::Kconfig, false),
        ("bpf_rcu_read_lock", ExternKind::KernelFunction, true),
        ("jiffies", ExternKind::KernelSymbol, false),
    ];
    assert_eq!(found, expected);
}

/// Structs whose layout a C compiler for the host knows as well.
const STRUCTS: &str = r#"
enum color { RED, GREEN = 5 };
enum level { LOW = -1, HIGH = 1 };
typedef u32 id_t_; typedef id_t_ id_again; typedef const volatile id_again id_qualified;
struct plain { u8 a; u16 b; u32 c; u64 d; s8 e; s16 f; s32 g; s64 h; };
struct packed { u8 a; u32 b; u64 c; char d[3]; } __attribute__((packed));
struct gaps { u8 a; u64 b; u8 c; u32 d; u8 e; };
struct bits { u32 a:3, b:7; u32 :4; u32 c:12; u64 d:40; u8 e:1, f:7; s32 g:5; };
struct point { int x; int y; };
struct nested { struct point a; struct { u16 p; struct point q; } b; struct point list[3]; struct point grid[2][2]; };
struct anonymous { u32 kind; union { struct { u32 v4; u16 port; }; u8 v6[16]; }; struct { u8 last; }; };
struct texts { char comm[16]; unsigned char raw[8]; signed char sraw[4]; char one; char lines[2][8]; };
struct numbers { bool flag; float f; double d; void *p; const char *s; int (*fn)(void); enum color color; enum level level; };
struct renamed { id_t_ a; id_again b; id_qualified c; size_t_ d; };
struct arrays { u64 slots[27]; u32 two[2][3]; u16 none[0]; };
struct aligned { u8 a; u32 b __attribute__((aligned(16))); u8 c; } __attribute__((aligned(32)));
union either { u64 a; u32 b[2]; struct point c; };
"#;

const STRUCT_NAMES: [&str; 13] = [
    "struct plain",
    "struct packed",
    "struct gaps",
    "struct bits",
    "struct point",
    "struct nested",
    "struct anonymous",
    "struct texts",
    "struct numbers",
    "struct renamed",
    "struct arrays",
    "struct aligned",
    "union either",
];

/// Asks the host's compiler for offsets and sizes of the members that we found.
#[test]
fn layouts_are_what_c_says() {
    let maps = STRUCT_NAMES.iter().enumerate().map(|(index, name)| {
        format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, u32); \
             __type(value, {name}); }} map_{index} SEC(\".maps\");\n"
        )
    });
    let types = format!("typedef unsigned long size_t_;\n{STRUCTS}");
    let source = format!("#include <stdbool.h>\n{types}\n{}", maps.collect::<String>());
    let object = read(&compile(&source));
    let (mut program, mut found) = (String::new(), Vec::new());
    for (index, name) in STRUCT_NAMES.iter().enumerate() {
        let id = object.map(&format!("map_{index}")).unwrap().value_type.unwrap();
        let layout = object.btf.layout(id).unwrap();
        assert_eq!(layout.type_name, *name);
        program += &format!("printf(\"{name}: %zu\\n\", sizeof({name}));\n");
        found.push(format!("{name}: {}", layout.size));
        for member in &layout.members {
            let path = &member.path;
            let (question, answer) = match member.bits {
                Some(bits) => (
                    format!("BITS({name}, {path})"),
                    (((member.offset * 8) as u32 + bits.shift) << 8) | bits.width,
                ),
                None => (
                    format!("offsetof({name}, {path}) << 16 | sizeof((({name} *)0)->{path})"),
                    (member.offset << 16 | member.size) as u32,
                ),
            };
            program += &format!("printf(\"{name}.{path}: %u\\n\", (unsigned)({question}));\n");
            found.push(format!("{name}.{path}: {answer}"));
        }
    }
    assert_eq!(found.len(), 90, "{found:#?}");
    assert_eq!(host_says(&types, &program), found);
}

fn host_says(types: &str, program: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (source, binary) = (folder.path().join("truth.c"), folder.path().join("truth"));
    let text = format!(
        r#"#include <stdio.h>
#include <stddef.h>
#include <stdbool.h>
#include <string.h>
#include <linux/types.h>
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;
{types}
static unsigned bits(const unsigned char *bytes, unsigned size) {{
    unsigned first = 0, count = 0;
    for (unsigned i = 0; i < size * 8; i++)
        if (bytes[i / 8] >> (i % 8) & 1 && !count++) first = i;
    return first << 8 | count;
}}
#define BITS(type, path) ({{ type value; memset(&value, 0, sizeof(value)); value.path = ~0ULL; bits((void *)&value, sizeof(value)); }})
int main(void) {{ {program} return 0; }}"#
    );
    std::fs::write(&source, text).unwrap();
    let result = Command::new("cc").arg("-w").arg(&source).arg("-o").arg(&binary).output().unwrap();
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    let output = Command::new(&binary).output().unwrap().stdout;
    String::from_utf8(output).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn members_say_what_they_are() {
    let source = format!(
        "#include <stdbool.h>\ntypedef unsigned long size_t_;\n{STRUCTS}\nstruct numbers n; struct texts t; struct arrays a; struct nested e;\n\
         SEC(\"raw_tp/sys_enter\") int p(void *ctx) {{ return n.flag + t.one + a.slots[3] + e.a.x; }}"
    );
    let object = read(&compile(&source));
    let kind = |variable: &str, path: &str| {
        object.btf.member(object.variable(variable).unwrap().type_id, path).map(|member| member.kind)
    };
    use MemberKind::{Array, Enum, Pointer, Scalar, Text};
    for variable in ["n", "t", "a", "e"] {
        assert!(object.variable(variable).is_some(), "{:?}", object.variables);
    }
    let element = |name: &str, kind: Kind| object.btf.find(name, kind).unwrap();
    let inside =
        |name: &str, path: &str| object.btf.member(element(name, Kind::Struct), path).map(|m| m.kind);
    assert_eq!(inside("numbers", "flag"), Ok(Scalar(ScalarKind::Bool)));
    assert_eq!(inside("numbers", "f"), Ok(Scalar(ScalarKind::Float)));
    assert_eq!(inside("numbers", "p"), Ok(Pointer));
    assert_eq!(inside("numbers", "fn"), Ok(Pointer));
    assert_eq!(inside("numbers", "color"), Ok(Enum { signed: false }));
    assert_eq!(inside("numbers", "level"), Ok(Enum { signed: true }));
    assert_eq!(inside("texts", "comm"), Ok(Text));
    assert!(matches!(inside("texts", "raw"), Ok(Array { count: 8, .. })));
    assert!(matches!(inside("texts", "sraw"), Ok(Array { count: 4, .. })));
    assert_eq!(inside("texts", "lines[1]"), Ok(Text));
    assert_eq!(inside("texts", "one"), Ok(Scalar(ScalarKind::Char)));
    assert!(matches!(inside("arrays", "slots"), Ok(Array { count: 27, .. })));
    assert_eq!(inside("arrays", "slots[26]"), Ok(Scalar(ScalarKind::Unsigned)));
    assert_eq!(inside("nested", "grid[1][0].y"), Ok(Scalar(ScalarKind::Signed)));
    // A variable is a type as well.
    assert_eq!(kind("t", "comm"), Ok(Text));
    let names: Vec<_> = object.btf.enumerators("level").unwrap().iter().map(|e| (e.name, e.value)).collect();
    assert_eq!(names, [("LOW", -1), ("HIGH", 1)]);
}

const ONE_MAP: &str = r#"struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("raw_tp/sys_enter") int p(void *ctx) { return 0; }"#;

#[test]
fn objects_for_others_are_refused_with_the_reason() {
    let host = compile_with("int main(void) { return 0; }", &["-g", "-O2"]);
    assert!(matches!(refusal(&host), ElfError::NotBpf { .. }), "{}", refusal(&host));
    let other = if cfg!(target_endian = "little") { "bpfeb" } else { "bpfel" };
    let wrong = compile_with(ONE_MAP, &["-target", other, "-g", "-O2"]);
    assert_eq!(refusal(&wrong), ElfError::WrongEndian { big: cfg!(target_endian = "little") });
    let bitcode = compile_with(ONE_MAP, &["-target", "bpf", "-g", "-O2", "-emit-llvm"]);
    assert!(matches!(refusal(&bitcode), ElfError::NotElf { guess: Guess::Bitcode, .. }));
    assert_eq!(refusal(&compile_with(ONE_MAP, &["-target", "bpf", "-O2"])), ElfError::NoBtf);
    let legacy = r#"struct bpf_map_def_ { u32 type, key_size, value_size, max_entries; };
        struct bpf_map_def_ old SEC("maps") = { 1, 4, 8, 10 }; SEC("raw_tp/sys_enter") int p(void *c) { return 0; }"#;
    assert_eq!(refusal(&compile(legacy)), ElfError::LegacyMaps);
    assert_eq!(refusal(&compile("int unused;")), ElfError::Empty);
    let elsewhere = r#"extern int helper_of_another_file(int); SEC("raw_tp/sys_enter") int p(void *c) { return helper_of_another_file(1); }"#;
    let undefined = compile(elsewhere);
    assert_eq!(refusal(&undefined), ElfError::Undefined("helper_of_another_file".to_owned()));
    assert!(libbpf_rs::ObjectBuilder::default().open_file(&undefined).is_err());
    // The licence alone is no reason to load anything; maps alone are.
    let maps_only = ONE_MAP.lines().next().unwrap();
    assert_eq!(read(&compile(maps_only)).programs, []);
}

#[track_caller]
fn check_map_refused(definition: &str, reason: &str) {
    let path = compile(&format!("{definition}\nSEC(\"raw_tp/sys_enter\") int p(void *c) {{ return 0; }}"));
    match refusal(&path) {
        ElfError::Map { map, reason: found } if map == "m" && found.contains(reason) => {}
        other => panic!("{other}"),
    }
    assert!(libbpf_rs::ObjectBuilder::default().open_file(&path).is_err(), "libbpf takes it");
}

#[test]
fn definitions_that_libbpf_refuses_are_explained() {
    let map = |members: &str| format!("struct {{ {members} }} m SEC(\".maps\");");
    let hash = "__uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4);";
    check_map_refused(&format!("__attribute__((used)) static {}", map(hash)), "static");
    check_map_refused(&map("__uint(max_entries, 4);"), "no `__uint(type");
    check_map_refused(&map(&format!("{hash} __uint(key_size, 4); __type(key, u64);")), "4 and 8 bytes");
    check_map_refused(&map(&format!("{hash} __type(value, u64); __uint(value_size, 4);")), "8 and 4 bytes");
    check_map_refused(&map(&format!("{hash} __uint(max_keys, 4);")), "`max_keys`");
    check_map_refused(&map(&format!("{hash} u32 key;")), "`__type(key, …)`");
    check_map_refused(&map(&format!("{hash} u32 key_size;")), "`__uint(key_size, …)`");
    check_map_refused(&map(&format!("{hash} __type(key, void);")), "size of its key");
    check_map_refused(&map(&format!("{hash} __uint(pinning, 3);")), "pinning is 3");
    check_map_refused(&map(&format!("{hash} __array(values, u32);")), "is a hash");
    check_map_refused("int m SEC(\".maps\");", "instead of a struct");
}

#[test]
fn stripping_debug_information_keeps_everything() {
    for source in [MANY_MAPS, MANY_PROGRAMS, MANY_VARIABLES] {
        let (path, folder) = (compile(source), tempfile::tempdir().unwrap());
        let stripped = folder.path().join("stripped.bpf.o");
        let status =
            Command::new("llvm-strip").arg("-g").arg(&path).arg("-o").arg(&stripped).status().unwrap();
        assert!(status.success());
        let (whole, stripped) = (read(&path), read(&stripped));
        assert_eq!((whole.maps, whole.programs), (stripped.maps, stripped.programs));
        assert_eq!((whole.variables, whole.externs), (stripped.variables, stripped.externs));
    }
}

#[test]
fn stripping_everything_is_explained() {
    let (path, folder) = (compile(ONE_MAP), tempfile::tempdir().unwrap());
    let stripped = folder.path().join("stripped.bpf.o");
    let status = Command::new("llvm-strip").arg(&path).arg("-o").arg(&stripped).status().unwrap();
    assert!(status.success());
    assert_eq!(refusal(&stripped), ElfError::Stripped);
}

/// Old LLVM left the machine out, and libbpf takes that.
#[test]
fn objects_of_no_machine_are_taken() {
    let mut bytes = std::fs::read(compile(ONE_MAP)).unwrap();
    bytes[18..20].fill(0);
    assert_eq!(ObjectInfo::parse(&bytes).unwrap().maps.len(), 1);
    assert!(libbpf_rs::ObjectBuilder::default().open_memory(&bytes).is_ok());
}

/// The linker moves sections together and writes the offsets that clang left out.
#[test]
fn linked_objects_are_read_as_libbpf_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("linked.bpf.o");
    let mut linker = libbpf_rs::Linker::new(&output).unwrap();
    let more = r#"struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, u64); __type(value, u32); } more SEC(".maps");
        u32 extra = 11; SEC("raw_tp/sys_exit") int later(void *ctx) { return extra; }"#;
    for source in [MANY_VARIABLES, MANY_MAPS, more] {
        linker.add_file(compile(source)).unwrap();
    }
    linker.link().unwrap();
    check_as_libbpf(&output);
    check_initial_value(&output, "extra", &11u32.to_ne_bytes());
    check_initial_value(&output, "hidden_too", &3u64.to_ne_bytes());
    assert_eq!(read(&output).maps.len(), 14);
}

/// A file that is still being copied, whatever its length.
#[test]
fn truncation_is_found_at_every_length() {
    let bytes = std::fs::read(compile(ONE_MAP)).unwrap();
    assert!(bytes.len() < 16_384, "{}", bytes.len());
    for end in 5..bytes.len() {
        match ObjectInfo::parse(&bytes[..end]) {
            Err(ElfError::Truncated { expected, found }) => {
                assert!(found == end as u64 && expected > found && expected <= bytes.len() as u64);
            }
            other => panic!("{end} of {} bytes: {other:?}", bytes.len()),
        }
    }
    assert!(matches!(ObjectInfo::parse(&[]), Err(ElfError::NotElf { guess: Guess::Empty, .. })));
    for start in 1..8 {
        let mut shifted = vec![0; start];
        shifted.extend(&bytes);
        assert!(ObjectInfo::parse(&shifted[start..]).is_ok(), "bytes at an odd address");
    }
}

/// xorshift: the same changes in every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn changed_bytes_never_panic_or_hang() {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for source in [MANY_MAPS, MANY_PROGRAMS, MANY_VARIABLES] {
        let whole = std::fs::read(compile(source)).unwrap();
        let (mut taken, began) = (0, std::time::Instant::now());
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..=random(&mut state) % 4 {
                let at = random(&mut state) as usize % bytes.len();
                bytes[at] = random(&mut state) as u8;
            }
            if let Ok(object) = ObjectInfo::parse(&bytes) {
                taken += 1;
                for id in object.btf.ids() {
                    let _ = object.btf.layout(id).map(|layout| layout.to_string());
                }
            }
        }
        assert!(taken > 100, "hardly any change left an object that can be read: {taken}");
        assert!(began.elapsed().as_secs() < 60);
    }
}
