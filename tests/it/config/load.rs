//! What a config sets before the load: initial values typed by BTF, programs, choices, capacities.

use bpftally::spec::{GlobalPatch, LoadSpec};

use super::*;

const SOURCE: &str = r#"
enum mode { MODE_OFF, MODE_ON = 5, ON = 6, MODE_NEGATIVE = -3 };
enum flags { FLAG_A = 1, FLAG_HIGH = 0xffffffff };
typedef u16 port_t;
struct limits { u32 low; s16 high; };
struct settings {
    u32 limit;
    bool_t *pointer;
    union { u64 whole; u32 halves[2]; };
    struct limits limits[2];
    u32 three:3;
    s32 four:4;
    u64 wide:40;
    enum mode mode;
    char name[8];
};
struct __attribute__((packed)) tight { u8 one; u64 eight; };

const volatile u8 an_u8 = 1;
const volatile s8 an_s8;
const volatile u16 an_u16;
const volatile s32 an_s32;
const volatile u64 an_u64;
const volatile s64 an_s64;
const volatile __int128 wide;
const volatile _Bool flag;
const volatile char letter;
const volatile float single;
const volatile double twice;
const volatile enum mode mode;
const volatile enum flags flags;
const volatile char text[8] = "initial";
const volatile char texts[2][4];
const volatile port_t ports[4] = {1, 2, 3, 4};
const volatile u32 grid[2][2];
const volatile struct settings settings;
const volatile struct tight tight;
const volatile u64 kaddr_jiffies;
volatile u32 in_data = 7;
volatile u32 in_bss;
volatile u32 in_own SEC(".data.own") = 3;
static volatile u32 hidden = 2;
const u32 folded = 9;
extern int CONFIG_HZ __kconfig;
void *volatile pointer;

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 8); __type(key, u32); __type(value, u64[4096]); } large SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); } storage SEC(".maps");

SEC("raw_tp/sched_switch") int first(void *ctx)
{
    return an_u8 + an_s8 + an_u16 + an_s32 + an_u64 + an_s64 + wide + flag + letter + mode + flags + text[0] + texts[0][0]
        + ports[0] + grid[0][0] + settings.limit + tight.one + kaddr_jiffies + in_data + in_bss + in_own + hidden + CONFIG_HZ
        + (u64)pointer + *(volatile u32 *)&single + *(volatile u32 *)&twice + *(volatile u32 *)&folded;
}
SEC("?raw_tp/sched_wakeup") int second(void *ctx) { return hidden = in_bss; }
SEC("kprobe/do_exit") int third(void *ctx) { return 0; }
"#;

fn object() -> &'static Object {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    OBJECT.get_or_init(|| Object::of(&SOURCE.replace("bool_t", "_Bool")))
}

fn checked(text: &str) -> Checked {
    let text = format!("{text}\nmetrics: {{counters: []}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object().file(), &options())
}

#[track_caller]
fn good(text: &str) -> LoadSpec {
    let checked = checked(text);
    assert_eq!(brief(&checked.problems), [""; 0], "{text}: {:#?}", checked.problems);
    checked.spec.unwrap().load
}

/// The bytes of a variable after the patches, where those that no patch touches are `..`.
fn shown(variable: &str, patches: &[GlobalPatch]) -> String {
    let variable = object().info.variable(variable).unwrap();
    let mut bytes: Vec<Option<u8>> = vec![None; variable.size as usize];
    for patch in patches {
        assert_eq!(patch.section, variable.section);
        for (index, byte) in patch.bytes.iter().enumerate() {
            let mask = patch.mask.as_ref().map_or(0xff, |mask| mask[index]);
            let place = &mut bytes[patch.offset + index - variable.offset as usize];
            *place = Some(place.unwrap_or(0) & !mask | byte & mask);
        }
    }
    let texts: Vec<String> =
        bytes.iter().map(|byte| byte.map_or("..".into(), |byte| format!("{byte:02x}"))).collect();
    texts.join(" ")
}

#[track_caller]
fn check(variable: &str, yaml: &str, expected: &str) {
    let load = good(&format!("globals: {{{yaml}}}"));
    assert_eq!(shown(variable, &load.globals), expected, "{yaml}");
}

#[test]
fn whole_numbers_have_all_spellings_and_all_sizes() {
    for (yaml, expected) in [
        ("10", "0a 00 00 00"),
        ("010", "08 00 00 00"),
        ("0o10", "08 00 00 00"),
        ("0x1_0", "10 00 00 00"),
        ("0b101", "05 00 00 00"),
        ("1_000", "e8 03 00 00"),
        ("+7", "07 00 00 00"),
        ("1e3", "e8 03 00 00"),
        ("-1", "ff ff ff ff"),
        ("-2147483648", "00 00 00 80"),
        ("2147483647", "ff ff ff 7f"),
    ] {
        check("an_s32", &format!("an_s32: {yaml}"), expected);
    }
    check("an_u8", "an_u8: 255", "ff");
    check("an_s8", "an_s8: -128", "80");
    check("an_u16", "an_u16: 0x1234", "34 12");
    check("an_u64", "an_u64: 18446744073709551615", "ff ff ff ff ff ff ff ff");
    check("an_s64", "an_s64: -9223372036854775808", "00 00 00 00 00 00 00 80");
    check("wide", "wide: -2", "fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff");
    check("in_data", "in_data: 1", "01 00 00 00");
    check("in_bss", "in_bss: 2", "02 00 00 00");
    check("in_own", "in_own: 3", "03 00 00 00");
    check("hidden", "hidden: 4", "04 00 00 00");
}

#[test]
fn other_scalars_are_what_their_types_say() {
    for (yaml, expected) in [("yes", "01"), ("Off", "00"), ("true", "01"), ("1", "01"), ("0", "00")] {
        check("flag", &format!("flag: {yaml}"), expected);
    }
    check("letter", "letter: y", "79");
    check("letter", "letter: '7'", "37");
    check("letter", "letter: 7", "07");
    check("single", "single: 1.5", "00 00 c0 3f");
    check("twice", "twice: -2", "00 00 00 00 00 00 00 c0");
    check("mode", "mode: MODE_ON", "05 00 00 00");
    check("mode", "mode: ON", "06 00 00 00");
    check("mode", "mode: 'MODE_OFF'", "00 00 00 00");
    check("mode", "mode: MODE_NEGATIVE", "fd ff ff ff");
    check("mode", "mode: -3", "fd ff ff ff");
    check("flags", "flags: FLAG_HIGH", "ff ff ff ff");
    check("flags", "flags: 3", "03 00 00 00");
}

#[test]
fn texts_are_filled_up_with_zeros() {
    check("text", "text: abc", "61 62 63 00 00 00 00 00");
    check("text", "text: 404", "34 30 34 00 00 00 00 00");
    check("text", "text: ''", "00 00 00 00 00 00 00 00");
    check("text", "text: ~", "00 00 00 00 00 00 00 00");
    check("text", "text: é23456", "c3 a9 32 33 34 35 36 00");
}

#[test]
fn arrays_and_structs_are_reached_by_lists_paths_and_mappings() {
    check("text", "text: [97, 'b']", "61 62 00 00 00 00 00 00");
    check("texts", "texts: [abc, x]", "61 62 63 00 78 00 00 00");
    check("ports", "ports: [80, 443]", "50 00 bb 01 00 00 00 00");
    check("ports", "ports: []", "00 00 00 00 00 00 00 00");
    check("ports", "'ports[1]': 443", ".. .. bb 01 .. .. .. ..");
    check("ports", "'ports[3]': 1, 'ports[0]': 2", "02 00 .. .. .. .. 01 00");
    check("grid", "grid: [[1, 2], [3]]", "01 00 00 00 02 00 00 00 03 00 00 00 00 00 00 00");
    check("grid", "'grid[1]': [7]", ".. .. .. .. .. .. .. .. 07 00 00 00 00 00 00 00");
    check("tight", "tight: {one: 1, eight: 2}", "01 02 00 00 00 00 00 00 00");
    let member = |yaml: &str| {
        let patches = good(&format!("globals: {{{yaml}}}")).globals;
        let base = object().info.variable("settings").unwrap().offset as usize;
        let show = |patch: &GlobalPatch| {
            let mask = patch.mask.as_ref().map(|mask| format!(" & {mask:02x?}")).unwrap_or_default();
            format!("{}+{} {:02x?}{mask}", patch.name, patch.offset - base, patch.bytes)
        };
        patches.iter().map(show).collect::<Vec<_>>()
    };
    assert_eq!(member("settings.limit: 5"), ["settings.limit+0 [05, 00, 00, 00]"]);
    assert_eq!(member("settings: {limit: 5}"), ["settings.limit+0 [05, 00, 00, 00]"]);
    assert_eq!(member("'settings.halves[1]': 6"), ["settings.halves[1]+20 [06, 00, 00, 00]"]);
    assert_eq!(member("settings: {'limits[1].high': -2}"), ["settings.limits[1].high+36 [fe, ff]"]);
    assert_eq!(
        member("settings.limits: [{low: 1}]"),
        ["settings.limits[0].low+24 [01, 00, 00, 00]", "settings.limits+32 [00, 00, 00, 00, 00, 00, 00, 00]"]
    );
    assert_eq!(member("settings.three: 5"), ["settings.three+40 [05] & [07]"]);
    assert_eq!(member("settings.four: -1"), ["settings.four+40 [78] & [78]"]);
    assert_eq!(member("settings: {three: 1, four: 2}").len(), 2);
    assert_eq!(member("settings: {mode: MODE_ON, name: ab}").len(), 2);
}

#[track_caller]
fn bad(text: &str, expected: &[&str], words: &str) {
    let checked = checked(text);
    assert_eq!(brief(&checked.problems), *expected, "{text}: {:#?}", checked.problems);
    assert_eq!(checked.spec.is_none(), checked.problems.iter().any(Problem::is_error));
    let story: String = checked.problems.iter().map(|problem| format!("{problem:#}\n")).collect();
    assert!(story.contains(words), "{words:?} is not in {story}");
    for problem in &checked.problems {
        assert!(problem.expected.is_some() || problem.help.is_some(), "no advice: {story}");
    }
}

#[test]
fn values_that_do_not_fit_are_told() {
    for (value, code, words) in [
        ("an_u8: 256", "global-range 1:18", "0 to 255 (u8)"),
        ("an_u8: -1", "global-range 1:18", "0 to 255"),
        ("an_s8: 128", "global-range 1:18", "-128 to 127 (s8)"),
        ("an_u64: 18446744073709551616", "global-range 1:19", "18446744073709551615"),
        ("an_u64: 1.5", "global-type 1:19", "a whole number"),
        ("an_u64: '5'", "global-type 1:19", "quotes"),
        ("an_u64: yes", "global-type 1:19", "write 1 or 0"),
        ("an_u64: ~", "global-type 1:19", "nothing"),
        ("an_u64: many", "global-type 1:19", "a whole number"),
        ("an_u64: [1]", "global-type 1:19", "one value (u64)"),
        ("an_u64: {a: 1}", "global-type 1:19", "one value (u64)"),
        ("flag: 2", "global-type 1:17", "true or false"),
        ("flag: maybe", "global-type 1:17", "true or false"),
        ("letter: ab", "global-type 1:19", "one character"),
        ("letter: 256", "global-range 1:19", "-128 to 255"),
        ("single: 1e300", "global-range 1:19", "float"),
        ("single: x", "global-type 1:19", "a number (float)"),
        ("mode: MODE_NO", "global-type 1:17", "did you mean `MODE_ON`?"),
        ("mode: 99999999999", "global-range 1:17", "enum mode"),
        ("text: 12345678", "global-range 1:17", "at most 7 bytes"),
        ("text: \"a\\0b\"", "global-type 1:17", "NUL"),
        ("text: {a: 1}", "global-type 1:17", "a text"),
        ("ports: [1, 2, 3, 4, 5]", "global-range 1:18", "at most 4 values"),
        ("ports: [1, 65536]", "global-range 1:22", "`ports[1]`"),
        ("ports: 80", "global-type 1:18", "a list of up to 4 values"),
        ("settings: 5", "global-type 1:21", "such as {limit: ...}"),
        ("settings.three: 8", "global-range 1:27", "0 to 7 (u32:3)"),
        ("settings.four: 8", "global-range 1:26", "-8 to 7 (s32:4)"),
        ("settings.pointer: 8", "global-pointer 1:29", "kaddrs"),
        ("pointer: 8", "global-pointer 1:20", "pointer"),
        ("settings: {limt: 5}", "missing-member 1:22", "did you mean `limit`?"),
        ("settings.limt: 5", "missing-member 1:11", "did you mean `limit`?"),
        ("'ports[4]': 5", "missing-member 1:11", "[4]"),
        ("'settings..limit': 5", "missing-member 1:11", "a path such as"),
        ("an_u8.x: 5", "missing-member 1:11", "an_u8"),
        ("an_u9: 5", "missing-variable 1:11", "did you mean `an_u8`?"),
        ("hash: 5", "missing-variable 1:11", "`maps` sets options of maps"),
        ("CONFIG_HZ: 5", "global-extern 1:11", "kernel's configuration"),
        ("folded: 5", "?global-folded 1:11", "const volatile"),
    ] {
        bad(&format!("globals: {{{value}}}"), &[code], words);
    }
}

#[test]
fn what_is_set_twice_is_told_once() {
    bad("globals: {settings.limit: 1, settings: {limit: 2}}", &["global-twice 1:48"], "`settings.limit`");
    bad("globals: {ports: [1], 'ports[2]': 2}", &["global-twice 1:35"], "`ports`");
    bad("globals: {settings: {whole: 1, 'halves[1]': 2}}", &["global-twice 1:45"], "`settings.whole`");
    bad("globals: {an_u8: 1, an_u8: 2}", &["?duplicate-key 1:21"], "the last one counts");
    bad("kaddrs: [jiffies]\nglobals: {kaddr_jiffies: 1}", &["global-twice 2:11"], "kaddrs");
    assert_eq!(checked("globals: {an_u8: 1, an_u8: 2}").spec.unwrap().load.globals[0].bytes, [2]);
}

/// Static variables of two functions, and a variable inside of a function.
#[test]
fn a_name_that_two_variables_have_is_none() {
    let object = Object::of(
        r#"
        static __noinline int one(void) { static volatile u32 seen = 1; return seen++; }
        static __noinline int other(void) { static volatile u32 seen = 2, own = 3; return seen++ + own++; }
        SEC("raw_tp/sched_switch") int program(void *ctx) { return one() + other(); }
        "#,
    );
    let names: Vec<&str> = object.info.variables.iter().map(|variable| variable.name.as_str()).collect();
    let of = |text: &str| {
        let text = format!("{text}\nmetrics: {{counters: []}}\n");
        check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options())
    };
    let own = names.iter().find(|name| name.ends_with("own")).unwrap();
    assert_eq!(of(&format!("globals: {{{own}: 4}}")).spec.unwrap().load.globals[0].bytes, [4, 0, 0, 0]);
    // Compilers differ in whether the function is a part of the name.
    if names.iter().filter(|name| **name == "seen").count() == 2 {
        let checked = of("globals: {seen: 4}");
        assert_eq!(brief(&checked.problems), ["ambiguous-variable 1:11"]);
        assert!(checked.problems[0].found.as_ref().unwrap().contains(".data+"), "{:#?}", checked.problems);
    }
}

#[test]
fn globals_of_other_shapes_are_refused_or_nothing() {
    assert_eq!(good("globals: ~").globals, []);
    bad("globals: [1]", &["wrong-type 1:10"], "a mapping from variables to values");
    bad("globals: 5", &["wrong-type 1:10"], "a mapping from variables to values");
}

#[test]
fn merges_make_globals_too() {
    let load = good("x-base: &base {an_u8: 1, an_u16: 2}\nglobals: {<<: *base, in_bss: 3}");
    let names: Vec<&str> = load.globals.iter().map(|patch| patch.name.as_str()).collect();
    assert_eq!(names, ["an_u8", "an_u16", "in_bss"]);
}

#[test]
fn programs_and_choices_are_checked() {
    let load = good(
        "programs: {first: {enabled: off}, second: {enabled: true, optional: yes}, third: }\nchoose: [[first, third]]",
    );
    let settings: Vec<_> = load
        .programs
        .iter()
        .map(|program| (program.name.as_str(), program.enabled, program.optional))
        .collect();
    assert_eq!(
        settings,
        [("first", Some(false), false), ("second", Some(true), true), ("third", None, false)]
    );
    assert_eq!(load.choices, [["first", "third"]]);
    for (text, problems, words) in [
        ("programs: {frist: {optional: true}}", &["missing-program 1:12"][..], "did you mean `first`?"),
        ("programs: {kprobe/do_exit: {optional: true}}", &["missing-program 1:12"], "called `third`"),
        ("programs: {first: {optional: perhaps}}", &["wrong-type 1:30"], "boolean"),
        ("programs: {first: {optinal: true}}", &["?unknown-key 1:20"], "did you mean `optional`?"),
        ("programs: {first: true}", &["wrong-type 1:19"], "{optional: true}"),
        ("programs: [first]", &["wrong-type 1:11"], "a mapping from programs"),
        ("choose: [[first, thrid]]", &["missing-program 1:18"], "did you mean `third`?"),
        ("choose: [[first, second], [third, first]]", &["chosen-twice 1:35"], "choose[0][0]"),
        ("choose: [[first, first]]", &["chosen-twice 1:18"], "choose[0][0]"),
        ("choose: [[first]]", &["short-choice 1:10"], "two programs"),
        ("choose: [first, second]", &["wrong-type 1:9"], "choose: [[first, second]]"),
        ("choose: [first, [second, third]]", &["wrong-type 1:10"], "a list of programs"),
    ] {
        bad(text, problems, words);
    }
}

#[test]
fn capacities_are_checked_by_the_kind_of_map() {
    let load = good("maps: {hash: {max_entries: 1_000}, ring: {max_entries: 0x4000}}");
    let set: Vec<_> = load.maps.iter().map(|map| (map.name.as_str(), map.max_entries)).collect();
    assert_eq!(set, [("hash", Some(1000)), ("ring", Some(0x4000))]);
    for (text, problem, words) in [
        ("maps: {hsah: {max_entries: 5}}", "missing-map 1:8", "did you mean `hash`?"),
        ("maps: {hash: {max_entries: 0}}", "max-entries 1:28", "1 to 4294967295"),
        ("maps: {hash: {max_entries: -5}}", "max-entries 1:28", "1 to 4294967295"),
        ("maps: {hash: {max_entries: 4294967296}}", "max-entries 1:28", "1 to 4294967295"),
        ("maps: {hash: {max_entries: lots}}", "wrong-type 1:28", "whole number"),
        ("maps: {ring: {max_entries: 5000}}", "max-entries 1:28", "the next larger one is 8192"),
        ("maps: {ring: {max_entries: 1024}}", "max-entries 1:28", "a power of two, at least a page"),
        ("maps: {storage: {max_entries: 5}}", "max-entries 1:31", "task_storage"),
        ("maps: {large: {max_entries: 100000000}}", "?map-memory 1:29", "possible CPUs"),
        ("maps: {hash: {max_entires: 5}}", "?unknown-key 1:15", "did you mean `max_entries`?"),
        ("maps: {hash: 5}", "wrong-type 1:14", "{max_entries: 1024}"),
        ("maps: [hash]", "wrong-type 1:7", "a mapping from maps"),
    ] {
        bad(text, &[problem], words);
    }
}
