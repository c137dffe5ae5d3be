//! Labels, values and slots by the names of members, over objects of every layout.

use std::fmt::Write;

use super::*;

/// A key and a value type (with what they need), a metric, and what it must become.
struct Layout {
    types: &'static str,
    /// `HASH` unless it says another.
    kind: &'static str,
    key: &'static str,
    value: &'static str,
    metric: &'static str,
    expected: &'static str,
}

/// A counter over a hash map whose values are `u64`.
const fn key(types: &'static str, key: &'static str, labels: &'static str, expected: &'static str) -> Layout {
    Layout { types, kind: "HASH", key, value: "u64", metric: labels, expected }
}

/// A gauge over an array map.
const fn value(
    types: &'static str,
    value: &'static str,
    member: &'static str,
    expected: &'static str,
) -> Layout {
    Layout { types, kind: "ARRAY", key: "u32", value, metric: member, expected }
}

/// A map with these types; `@` in them is a number of its own for each layout.
fn map(layout: &Layout, name: &str, number: usize) -> String {
    let [types, key, value] =
        [layout.types, layout.key, layout.value].map(|text| text.replace('@', &number.to_string()));
    let flags = if layout.kind == "LPM_TRIE" { "__uint(map_flags, BPF_F_NO_PREALLOC);" } else { "" };
    format!(
        "{types}\nstruct {{ __uint(type, BPF_MAP_TYPE_{}); __uint(max_entries, 64); {flags} __type(key, {key}); __type(value, {value}); }} {name} SEC(\".maps\");\n",
        layout.kind
    )
}

fn check_with(source: &str, text: &str) -> Checked {
    check_text(&ConfigFile::new("/configs/test.yaml"), text, &Object::of(source).file(), &options())
}

/// Every layout is served without a word, and means what is expected.
#[track_caller]
fn check(group: &str, layouts: &[Layout]) {
    let (mut source, mut text) = (String::new(), format!("metrics:\n  {group}:\n"));
    for (number, layout) in layouts.iter().enumerate() {
        source.push_str(&map(layout, &format!("m{number}"), number));
        writeln!(text, "    - {{name: m{number}, help: h, {}}}", layout.metric).unwrap();
    }
    let checked = check_with(&source, &text);
    assert_eq!(brief(&checked.problems), [""; 0], "{:#?}\n{text}", checked.problems);
    for (number, (layout, metric)) in layouts.iter().zip(&checked.spec.unwrap().view.metrics).enumerate() {
        let (_, shown) = show(metric)
            .split_once(&format!(" of m{number}"))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let shown = match &metric.kind {
            MetricKind::Histogram(_) => {
                show(metric).split_once(" = ").unwrap().1.replace(&format!(" of m{number}"), "")
            }
            _ => shown,
        };
        assert_eq!(shown, layout.expected, "{}", map(layout, "m", number));
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn keys_of_every_layout() {
    check(
        "counters",
        &[
            key("", "u32", "labels: [pid]", "[4] pid@0+4"),
            key("", "u64", "labels: [{name: cgroup, decoders: [cgroup]}]", "[8] cgroup@0+8"),
            key("", "u64", "labels: [{name: cgroup, field: '', decoders: [uint, cgroup]}]", "[8] cgroup@0+8"),
            key("typedef char text@[16];", "text@", "labels: [comm]", "[16] comm@0+16"),
            key(
                "typedef u32 index@;",
                "index@",
                "labels: [{name: device, decoders: [ifname]}]",
                "[4] device@0+4",
            ),
            key("enum state@ { A@, B@ };", "enum state@", "labels: [state]", "[4] state@0+4"),
            key("", "void *", "labels: [{name: function, decoders: [ksym]}]", "[8] function@0+8"),
            key(
                "typedef u64 both@[2];",
                "both@",
                "labels: [{name: second, field: '[1]'}]",
                "[16] second@8+8",
            ),
            key(
                "struct k@ { u32 pid; u64 time; };",
                "struct k@",
                "labels: [time, pid]",
                "[16] pid@0+4 time@8+8",
            ),
            key(
                "struct k@ { u8 a; u32 b; u16 c; } __attribute__((packed));",
                "struct k@",
                "labels: [a, b, c]",
                "[7] a@0+1 b@1+4 c@5+2",
            ),
            key(
                "struct k@ { u32 a; struct { u16 b; struct { u8 c; u8 d; } e; } f; };",
                "struct k@",
                "labels: [{name: d, field: f.e.d}, {name: b, field: f.b}]",
                "[8] b@4+2 d@7+1",
            ),
            key(
                "struct k@ { u32 a; struct { u16 b; u16 c; } d[3]; };",
                "struct k@",
                "labels: [{name: x, field: 'd[2].c'}]",
                "[16] x@14+2",
            ),
            key(
                "struct k@ { u8 a[2][3]; u16 b; };",
                "struct k@",
                "labels: [{name: x, field: 'a[1][2]'}, {name: y, field: 'a[1]'}]",
                "[8] x@5+1 y@3+3",
            ),
            key(
                "struct k@ { u8 version; union { u32 four; u8 six[16]; } ip; };",
                "struct k@",
                "labels: [{name: v4, field: ip.four, decoders: [inet_ip]}, {name: v6, field: ip.six, decoders: [inet_ip]}]",
                "[20] v4@4+4 v6@4+16",
            ),
            key(
                "struct k@ { u16 a; union { u32 b; struct { u16 c, d; }; }; struct { u8 e; }; };",
                "struct k@",
                "labels: [b, d, e]",
                "[12] b@4+4 d@6+2 e@8+1",
            ),
            key(
                "union k@ { u32 whole; u8 parts[4]; };",
                "union k@",
                "labels: [whole, {name: last, field: 'parts[3]'}]",
                "[4] last@3+1 whole@0+4",
            ),
            key(
                "struct k@ { u32 a : 3, b : 5, c : 24; };",
                "struct k@",
                "labels: [a, b, c]",
                "[4] a@0+1:0..3 b@0+1:3..8 c@1+3:0..24",
            ),
            key(
                "struct k@ { int a : 4; int : 5; int b : 7; };",
                "struct k@",
                "labels: [a, b]",
                "[4] a@0+1:0..4s b@1+1:1..8s",
            ),
            key(
                "struct k@ { u8 a : 7; u64 b : 60; } __attribute__((packed));",
                "struct k@",
                "labels: [a, b]",
                "[9] a@0+1:0..7 b@0+9:7..67",
            ),
            key(
                "struct k@ { u32 a; _Bool on : 1, off : 1; };",
                "struct k@",
                "labels: [on, off]",
                "[8] off@4+1:1..2 on@4+1:0..1",
            ),
            key(
                "enum e@ { X@ = 3 }; struct k@ { enum e@ kind : 4; u32 rest : 28; };",
                "struct k@",
                "labels: [kind]",
                "[4] kind@0+1:0..4",
            ),
            key(
                "struct inner@ { u32 a : 4, b : 12; }; struct k@ { u16 x; struct inner@ y[2]; };",
                "struct k@",
                "labels: [{name: b, field: 'y[1].b'}]",
                "[12] b@8+2:4..16",
            ),
            key(
                "typedef const volatile u16 port@; struct k@ { volatile u32 a; port@ p; const char name[6]; };",
                "struct k@",
                "labels: [a, p, name]",
                "[12] a@0+4 name@6+6 p@4+2",
            ),
            key(
                "struct k@ { char comm[16]; u8 mac[6]; u64 stack[4]; };",
                "struct k@",
                "labels: [comm, {name: mac, decoders: [mac]}, {name: stack, decoders: [kstack]}]",
                "[56] comm@0+16 mac@16+6 stack@24+32",
            ),
            key(
                "struct in6@ { union { u8 a[16]; u32 b[4]; } u; }; struct k@ { u16 port; struct in6@ addr; };",
                "struct k@",
                "labels: [{name: addr, decoders: [inet_ip]}, {name: port, decoders: [port]}]",
                "[20] addr@4+16 port@0+2",
            ),
            key(
                "struct k@ { s8 a; s16 b; s32 c; s64 d; };",
                "struct k@",
                "labels: [a, b, c, {name: errno, field: d, decoders: [errno]}]",
                "[16] a@0+1 b@2+2 c@4+4 errno@8+8",
            ),
            key(
                "struct k@ { _Bool on; u8 rest; };",
                "struct k@",
                "labels: [on, {name: rest, decoders: [bool]}]",
                "[2] on@0+1 rest@1+1",
            ),
            key(
                "enum small@ { S@ = 1 } __attribute__((mode(byte))); enum large@ { L@ = 1ULL << 40 }; enum below@ { N@ = -1 }; struct k@ { enum small@ a; enum below@ b; enum large@ c; };",
                "struct k@",
                "labels: [a, b, c]",
                "[16] a@0+1 b@4+4 c@8+8",
            ),
            key(
                "struct k@ { u8 a; u32 b __attribute__((aligned(16))); };",
                "struct k@",
                "labels: [a, b]",
                "[32] a@0+1 b@16+4",
            ),
            key("typedef struct { u32 pid; u32 tgid; } key@_t;", "key@_t", "labels: [tgid]", "[8] tgid@4+4"),
            key(
                "struct k@ { u64 id; char name[3]; };",
                "struct k@",
                "labels: [id, {name: raw, field: id, decoders: [hex]}]",
                "[16] id@0+8 raw@0+8",
            ),
            key(
                "struct k@ { u32 family; char c; u8 tail[0]; };",
                "struct k@",
                "labels: [family, c]",
                "[8] c@4+1 family@0+4",
            ),
            key(
                "struct k@ { u32 a; float weight; };",
                "struct k@",
                "labels: [a, {name: weight, decoders: [hex]}]",
                "[8] a@0+4 weight@4+4",
            ),
            Layout {
                kind: "LPM_TRIE",
                ..key(
                    "struct k@ { u32 prefixlen; u8 net[4]; };",
                    "struct k@",
                    "labels: [prefixlen, {name: net, decoders: [inet_ip]}]",
                    "[8] net@4+4 prefixlen@0+4",
                )
            },
            Layout {
                kind: "PERCPU_HASH",
                ..key(
                    "struct k@ { u32 a; u32 b; };",
                    "struct k@",
                    "labels: [a, cpu]",
                    "[8] a@0+4 cpu@cpu Split",
                )
            },
            Layout {
                kind: "PERCPU_HASH",
                ..key("struct k@ { u32 cpu; u32 b; };", "struct k@", "labels: [b, cpu]", "[8] b@4+4 cpu@0+4")
            },
            Layout {
                kind: "LRU_PERCPU_HASH",
                ..key("", "u64", "labels: [id, cpu]", "[8] cpu@cpu id@0+8 Split")
            },
            Layout { kind: "PERCPU_ARRAY", ..key("", "u32", "labels: [cpu]", "[4] cpu@cpu Split") },
            Layout { kind: "PERCPU_ARRAY", ..key("", "u32", "labels: [index]", "[4] index@0+4") },
        ],
    );
}

#[test]
fn values_of_every_layout() {
    let numbers = "enum e@ { A@ = -1 }; enum f@ { B@ }; struct v@ { u8 a; u16 b; u32 c; u64 d; s8 e; s16 f; s32 g; s64 h; float i; double j; _Bool k; enum e@ l; enum f@ m; char n; char text[8]; };";
    let member = |member: &'static str, expected: &'static str| value(numbers, "struct v@", member, expected);
    check(
        "gauges",
        &[
            member("value: a", "[4] u8"),
            member("value: b", "[4] u16@2"),
            member("value: c", "[4] u32@4"),
            member("value: d", "[4] u64@8"),
            member("value: e", "[4] s8@16"),
            member("value: f", "[4] s16@18"),
            member("value: g", "[4] s32@20"),
            member("value: h", "[4] s64@24"),
            member("value: i", "[4] f32@32"),
            member("value: j", "[4] f64@40"),
            member("value: k", "[4] u8@48"),
            member("value: l", "[4] s32@52"),
            member("value: m", "[4] u32@56"),
            member("value: n", "[4] u8@60"),
            value("struct v@ { u32 a : 3, b : 10; int c : 5; };", "struct v@", "value: b", "[4] 0+2:3..13"),
            value("struct v@ { u32 a : 3, b : 10; int c : 5; };", "struct v@", "value: c", "[4] 1+2:5..10s"),
            value(
                "struct v@ { u8 a; u64 b; s32 c; } __attribute__((packed));",
                "struct v@",
                "value: c",
                "[4] s32@9",
            ),
            value(
                "struct v@ { u64 a; struct { u32 b[4]; } c[2]; };",
                "struct v@",
                "value: 'c[1].b[2]'",
                "[4] u32@32",
            ),
            value("struct v@ { u64 a; union { u64 b; s32 c; }; };", "struct v@", "value: c", "[4] s32@8"),
            value(
                "typedef s64 signed@; typedef struct { u64 a; const volatile signed@ b; } v@_t;",
                "v@_t",
                "value: b",
                "[4] s64@8",
            ),
            value("typedef u64 four@[4];", "four@", "value: '[3]'", "[4] u64@24"),
            value("struct v@ { s64 only; };", "struct v@", "scale: 1", "[4] s64"),
            value("struct v@ { struct { s32 only; } inner; };", "struct v@", "scale: 1", "[4] s32"),
            value("", "float", "scale: 1", "[4] f32"),
            value("", "double", "scale: 1", "[4] f64"),
            value("", "_Bool", "scale: 1", "[4] u8"),
            Layout {
                kind: "PERCPU_ARRAY",
                ..value(
                    "struct v@ { u64 packets; s64 bytes; };",
                    "struct v@",
                    "value: bytes, reduce: max",
                    "[4] Max s64@8",
                )
            },
            Layout {
                kind: "PERCPU_ARRAY",
                ..value(
                    "struct v@ { u64 packets; s64 bytes; };",
                    "struct v@",
                    "value: bytes, labels: [cpu]",
                    "[4] cpu@cpu Split s64@8",
                )
            },
        ],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn histograms_of_every_layout() {
    let hist = "struct k@ { u32 device; u8 slot; u8 operation; };";
    let array = "struct v@ { u64 sum; u32 slots[8]; u64 count; struct { u64 slots[3]; s64 total; } inner; };";
    let slots = |metric: &'static str, expected: &'static str| value(array, "struct v@", metric, expected);
    check(
        "histograms",
        &[
            key(
                hist,
                "struct k@",
                "bucket_type: exp2, bucket_max: 5, bucket: slot, labels: [device, operation]",
                "Exp2 { min: 0, max: 5 }*1.0 slot 4+1[8] device@0+4 operation@5+1",
            ),
            key(
                hist,
                "struct k@",
                "bucket_type: exp2, bucket_max: 5, labels: [operation, slot]",
                "Exp2 { min: 0, max: 5 }*1.0 slot 4+1[8] operation@5+1",
            ),
            key(
                hist,
                "struct k@",
                "bucket_type: exp2, bucket_max: 5, bucket: slot",
                "Exp2 { min: 0, max: 5 }*1.0 slot 4+1[8]",
            ),
            key(
                "struct k@ { u32 a : 26, slot : 6; };",
                "struct k@",
                "bucket_type: linear, bucket_max: 5, bucket: slot, labels: [a]",
                "Linear { min: 0, max: 5 }*1.0 slot 3+1:2..8[4] a@0+4:0..26",
            ),
            key(
                "",
                "u32",
                "bucket_type: log2, bucket_max: 5, bucket: slot",
                "Log2 { min: 0, max: 5 }*1.0 slot 0+4[4]",
            ),
            key(
                "",
                "u32",
                "bucket_type: exp2zero, bucket_max: 5, labels: [slot]",
                "Exp2Zero { min: 0, max: 5 }*1.0 slot 0+4[4]",
            ),
            Layout {
                kind: "PERCPU_HASH",
                ..key(
                    hist,
                    "struct k@",
                    "bucket_type: exp2, bucket_max: 5, bucket: slot, labels: [device, cpu]",
                    "Exp2 { min: 0, max: 5 }*1.0 slot 4+1[8] cpu@cpu device@0+4 Split",
                )
            },
            Layout {
                kind: "PERCPU_HASH",
                ..key(
                    hist,
                    "struct k@",
                    "bucket_type: exp2, bucket_max: 5, labels: [cpu, slot]",
                    "Exp2 { min: 0, max: 5 }*1.0 slot 4+1[8] cpu@cpu Split",
                )
            },
            Layout {
                kind: "PERCPU_ARRAY",
                ..key(
                    "",
                    "u32",
                    "bucket_type: exp2, bucket_max: 5, bucket: slot, labels: [cpu]",
                    "Exp2 { min: 0, max: 5 }*1.0 slot 0+4[4] cpu@cpu Split",
                )
            },
            Layout {
                value: "struct v@",
                ..key(
                    "struct k@ { u32 a; u32 slot; }; struct v@ { u64 x; u32 events; };",
                    "struct k@",
                    "bucket_type: exp2, bucket_max: 5, bucket: slot, labels: [a], value: events",
                    "Exp2 { min: 0, max: 5 }*1.0 slot 4+4[8] a@0+4 u32@8",
                )
            },
            slots(
                "bucket_type: log2, slots: slots, sum: sum, count: count",
                "Log2 { min: 0, max: 7 }*1.0 8 slots sumu64 countu64@40[4] u32@8",
            ),
            slots("bucket_type: exp2, slots: slots", "Exp2 { min: 0, max: 7 }*1.0 8 slots[4] u32@8"),
            slots(
                "bucket_type: exp2zero, slots: slots, bucket_max: 4",
                "Exp2Zero { min: 0, max: 4 }*1.0 8 slots[4] u32@8",
            ),
            slots(
                "bucket_type: linear, bucket_min: 2, bucket_multiplier: 10, slots: slots",
                "Linear { min: 2, max: 7 }*10.0 8 slots[4] u32@8",
            ),
            slots(
                "bucket_type: fixed, bucket_keys: [0.5, 100, 1000], slots: inner.slots, sum: inner.total",
                "Fixed { keys: [0.5, 100.0, 1000.0] }*1.0 3 slots sums64@72[4] u64@48",
            ),
            slots(
                "bucket_type: fixed, bucket_keys: [100, 1000], slots: inner.slots",
                "Fixed { keys: [100.0, 1000.0] }*1.0 3 slots[4] u64@48",
            ),
            value(
                "typedef u64 slots@[27];",
                "slots@",
                "bucket_type: log2, slots: ''",
                "Log2 { min: 0, max: 26 }*1.0 27 slots[4]",
            ),
            Layout {
                kind: "PERCPU_HASH",
                key: "u64",
                ..slots(
                    "bucket_type: log2, slots: slots, sum: sum, labels: [id, cpu]",
                    "Log2 { min: 0, max: 7 }*1.0 8 slots sumu64[8] cpu@cpu id@0+8 Split u32@8",
                )
            },
            Layout {
                kind: "HASH",
                key: "u64",
                ..slots(
                    "bucket_type: log2, slots: slots, labels: [{name: id, size: 4, decoders: [uint]}, {name: rest, size: 4, decoders: [hex]}]",
                    "Log2 { min: 0, max: 7 }*1.0 8 slots[8] id@0+4 rest@4+4 u32@8",
                )
            },
            Layout {
                kind: "PERCPU_HASH",
                key: "u64",
                ..slots(
                    "bucket_type: log2, slots: slots, labels: [{name: id, size: 8, decoders: [uint]}, {name: cpu, size: 2, decoders: [uint]}]",
                    "Log2 { min: 0, max: 7 }*1.0 8 slots[8] cpu@cpu id@0+8 Split u32@8",
                )
            },
        ],
    );
}

/// What a label of a type says of some bytes, with and without decoders.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn text_follows_from_the_type() {
    #[track_caller]
    fn check(types: &str, field: &str, decoders: &str, bytes: &[u8], expected: &str) {
        let source = format!(
            "{types}\nstruct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct k); __type(value, u64); }} m SEC(\".maps\");"
        );
        let decoders = if decoders.is_empty() { String::new() } else { format!(", decoders: {decoders}") };
        let text = format!(
            "metrics: {{counters: [{{name: m, help: h, labels: [{{name: l, field: {field}{decoders}}}]}}]}}"
        );
        let checked = check_with(&source, &text);
        assert_eq!(brief(&checked.problems), [""; 0], "{:#?}\n{source}\n{text}", checked.problems);
        let label = &checked.spec.as_ref().unwrap().view.metrics[0].labels[0];
        let field = match label.source {
            LabelSource::Key { offset, size } => bytes[offset..offset + size].to_vec(),
            LabelSource::Bits { offset, size, bits } => {
                bits.number(&bytes[offset..offset + size]).to_ne_bytes().to_vec()
            }
            LabelSource::Cpu => panic!("no CPU"),
        };
        let mut out = Vec::new();
        label.chain.decode(&field, &mut out, &mut Vec::new()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{types} {text}");
    }
    let numbers = "struct k { u8 a; s8 b; u16 c; s16 d; u32 e; s32 f; u64 g; s64 h; };";
    check("struct k { u8 a; s8 b; };", "a", "", &[200, 200], "200");
    check("struct k { u8 a; s8 b; };", "b", "", &[200, 200], "-56");
    check("struct k { u16 a; s16 b; };", "a", "", &[0xfe, 0xff, 0xfe, 0xff], "65534");
    check("struct k { u16 a; s16 b; };", "b", "", &[0xfe, 0xff, 0xfe, 0xff], "-2");
    check(numbers, "f", "[errno]", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff], "ENOENT");
    check(
        numbers,
        "e",
        "[{name: static_map, static_map: {7: seven}}]",
        &[0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0],
        "seven",
    );
    check(
        numbers,
        "e",
        "[uint, {name: static_map, static_map: {7: seven}}]",
        &[0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0],
        "seven",
    );
    check(numbers, "e", "[inet_ip]", &[0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1], "127.0.0.1");
    check(numbers, "e", "[hex]", &[0, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1], "7f000001");
    check(numbers, "c", "[port]", &[0, 0, 1, 187], "443");
    check("struct k { _Bool a; };", "a", "", &[1], "true");
    check(
        "struct k { _Bool a; };",
        "a",
        "[{name: static_map, static_map: {true: up, false: down}}]",
        &[0],
        "down",
    );
    check("struct k { _Bool a; };", "a", "[uint]", &[1], "1");
    check("struct k { char a[4]; };", "a", "", b"ab\0c", "ab");
    check("struct k { char a[4]; };", "a", "[{name: regexp, regexps: ['^(a).*']}]", b"ab\0c", "a");
    check("struct k { char a[4]; };", "a", "[string]", b"ab\0c", "ab");
    check("struct k { char a[8]; };", "a", "[dname]", b"\x02ab\x01c\0\0\0", "ab.c");
    check("struct k { u8 a[8]; };", "a", "[dname]", b"\x02ab\x01c\0\0\0", "ab.c");
    check("struct k { u8 a[8]; };", "a", "[string]", b"ab\0\0\0\0\0\0", "ab");
    check("struct k { u8 a[4]; };", "a", "", &[0, 1, 0xab, 0xff], "0001abff");
    check("struct k { s8 a[2]; };", "a", "", &[0, 0xff], "00ff");
    check("struct k { u8 a[6]; };", "a", "[mac]", &[0x52, 0x54, 0, 0x12, 0x34, 0x56], "52:54:00:12:34:56");
    check("struct k { u8 a[16]; };", "a", "[inet_ip]", &[0; 16], "::");
    check("struct k { char a; };", "a", "", b"R", "82");
    check("struct k { char a; };", "a", "[string]", b"R", "R");
    check("enum e { A = -1, B }; struct k { enum e a; };", "a", "", &[0xff, 0xff, 0xff, 0xff], "A");
    check("enum e { A, B }; struct k { enum e a; };", "a", "", &[7, 0, 0, 0], "unknown:7");
    check("enum e { A, B }; struct k { enum e a; };", "a", "[uint]", &[1, 0, 0, 0], "1");
    check("enum e { A = -1, B }; struct k { enum e a; };", "a", "[int]", &[0xff, 0xff, 0xff, 0xff], "-1");
    check("struct k { enum { A, B } a; };", "a", "", &[1, 0, 0, 0], "B");
    check("typedef enum { A, B } e; struct k { const e a; };", "a", "", &[1, 0, 0, 0], "B");
    check("enum e { A, B }; typedef enum e t; struct k { t a; };", "a", "", &[1, 0, 0, 0], "B");
    check("enum e { A, B } __attribute__((mode(byte))); struct k { enum e a; };", "a", "", &[1], "B");
    // Not every compiler tells values of more than 32 bits; then the number is all that is known.
    check(
        "enum e { A, B = 1ULL << 40 }; struct k { enum e a; };",
        "a",
        "[uint]",
        &[0, 0, 0, 0, 0, 1, 0, 0],
        "1099511627776",
    );
    check("enum e { A, B }; struct k { enum e x : 3, a : 29; };", "a", "", &[0b1010, 0, 0, 0], "B");
    check(
        "enum e { A_X, A_Y }; struct k { enum e a; };",
        "a",
        "[{name: regexp, regexps: ['^A_(.*)']}]",
        &[1, 0, 0, 0],
        "Y",
    );
    // The kernel has more names for an enum that is its own, under whatever name the object declares it.
    check(
        "enum hrtimer_restart { HRTIMER_RESTART = 7 }; struct k { enum hrtimer_restart a; };",
        "a",
        "",
        &[1, 0, 0, 0],
        "HRTIMER_RESTART",
    );
    check(
        "enum hrtimer_restart___mine { HRTIMER_RESTART = 7 }; struct k { enum hrtimer_restart___mine a; };",
        "a",
        "",
        &[0; 4],
        "HRTIMER_NORESTART",
    );
    check(
        "enum hrtimer_restart { MINE = 7 }; struct k { enum hrtimer_restart a; };",
        "a",
        "",
        &[7, 0, 0, 0],
        "MINE",
    );
    check(
        "enum e { A, B }; struct k { enum e a; };",
        "a",
        "[{name: static_map, static_map: {1: b}}]",
        &[1, 0, 0, 0],
        "b",
    );
    check("struct k { void *a; };", "a", "", &[1, 0, 0, 0, 0, 0, 0, 0], "1");
    check("struct k { u16 a : 3, b : 13; };", "b", "", &[0b0000_1101, 0x01], "33");
    check("struct k { int a : 3; int b : 29; };", "a", "", &[0b0000_0101, 0, 0, 0], "-3");
    check("struct k { int a : 3; int b : 29; };", "a", "[errno]", &[0b0000_0110, 0, 0, 0], "ENOENT");
    check("struct k { u32 a : 8, b : 8; };", "b", "[proto]", &[0, 6, 0, 0], "tcp");
    check("struct k { u32 a : 8, b : 8; };", "b", "[uint]", &[0, 6, 0, 0], "6");
    check("struct k { _Bool a : 1, b : 1; };", "b", "", &[0b10], "true");
    check(
        "struct k { u8 a : 7; u64 b : 60; } __attribute__((packed));",
        "b",
        "",
        &[0x80, 0, 0, 0, 0, 0, 0, 0, 0x04],
        "576460752303423489",
    );
    check(
        "struct k { u8 a : 7; s64 b : 60; } __attribute__((packed));",
        "b",
        "",
        &[0x80, 0, 0, 0, 0, 0, 0, 0, 0x04],
        "-576460752303423487",
    );
}

/// Maps for configs that are wrong.
const WRONG: &str = r#"
#define MAP(NAME, TYPE, KEY, VALUE) struct { __uint(type, BPF_MAP_TYPE_##TYPE); __uint(max_entries, 64); \
    __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps");
struct address { u32 saddr, daddr; };
struct key { u32 device; u8 operation; struct address tuple; u64 stack[4]; float weight; u8 tail[0]; u32 low : 4, high : 28; };
struct value { u64 packets; u64 bytes; char name[8]; u32 slots[8]; float load; u64 *next; struct address inner; float floats[4]; };
struct eight { u32 one, two; };
MAP(plain, HASH, struct key, u64)
MAP(scalar, HASH, u64, u64)
MAP(text, HASH, char[16], u64)
MAP(fat, HASH, u32, struct value)
MAP(eight, HASH, u32, struct eight)
MAP(list, HASH, u32, u64[4])
MAP(percpu, PERCPU_HASH, struct key, u64)
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __uint(key_size, 4); __uint(value_size, 8); } bare SEC(".maps");
"#;

/// The only problem of a metric, which stands at the `^` in it; without one it concerns the whole metric.
#[track_caller]
fn check_wrong(group: &str, metric: &str, expected: &str) -> Problem {
    let line = format!("    - {{help: h, {metric}}}");
    let column = line.find('^').map_or(7, |at| at + 1);
    let checked = check_with(WRONG, &format!("metrics:\n  {group}:\n{}\n", line.replace('^', "")));
    let mut problems = checked.problems;
    problems.retain(|problem| problem.code != "no-metric-left");
    let name = metric.split(['^', ' ', ',']).filter(|word| !word.is_empty()).nth(1).unwrap();
    assert_eq!(brief(&problems), [format!("{expected} 3:{column} ({name})")], "{problems:#?}\n{metric}");
    problems.remove(0)
}

#[test]
fn wrong_names_are_told_where_they_stand() {
    for (metric, expected) in [
        ("name: plain, labels: [^devise]", "unknown-field"),
        ("name: plain, labels: [{name: a, field: ^saddr}]", "unknown-field"),
        ("name: plain, labels: [device, {name: a, field: ^tuple.sadr}]", "unknown-field"),
        ("name: plain, labels: [device, {name: a, field: ^'tuple[0]'}]", "unknown-field"),
        ("name: plain, labels: [device, {name: a, field: ^'stack[4]'}]", "unknown-field"),
        ("name: plain, labels: [device, {name: a, field: ^'stack[x]'}]", "unknown-field"),
        ("name: plain, labels: [device, {name: a, field: ^tuple..saddr}]", "unknown-field"),
        ("name: plain, labels: [device, ^cpu]", "unknown-field"),
        ("name: plain, labels: [device, ^tuple.saddr]", "invalid-label-name"),
        ("name: plain, labels: [device, ^device]", "duplicate-label"),
        ("name: plain, labels: [^stack]", "no-decoders"),
        ("name: plain, labels: [^tuple]", "no-decoders"),
        ("name: plain, labels: [^weight]", "no-decoders"),
        ("name: plain, labels: [^tail]", "label-size"),
        ("name: plain, labels: [{name: device, decoders: [^port]}]", "field-size"),
        ("name: plain, labels: [{name: device, decoders: [^unit]}]", "unknown-decoder"),
        ("name: plain, labels: [{name: device, decoders: [static_map, ^bool]}]", "decoder-input"),
        ("name: plain, labels: [device, ^{name: operation, size: 1, decoders: [uint]}]", "mixed-labels"),
        ("name: plain, labels: [{name: device, size: 4, decoders: [uint]}, ^operation]", "mixed-labels"),
        (
            "name: plain, labels: [{name: device, size: 4, decoders: [uint]}, ^{name: a, field: operation}]",
            "mixed-labels",
        ),
        ("name: plain, labels: [^{name: device, size: 4, field: device, decoders: [uint]}]", "mixed-labels"),
        ("name: plain, labels: [device, ^{name: operation, padding: 3}]", "mixed-labels"),
        ("name: plain, labels: [^{field: device}]", "missing-name"),
        ("name: plain, labels: [{name: a, field: ^[device]}]", "wrong-type"),
        ("name: plain, labels: [^[device]]", "wrong-type"),
        ("name: scalar, labels: [a, ^b]", "unknown-field"),
        ("name: scalar, labels: [{name: a, field: ^low}]", "unknown-field"),
        ("name: text, labels: [{name: a, field: ^'[16]'}]", "unknown-field"),
        ("name: bare, labels: [^a]", "no-type"),
        ("name: percpu, labels: [^cpu]", "key-size"),
        ("name: scalar, value: ^x, labels: [a]", "unknown-member"),
        ("name: ^fat, labels: [a]", "missing-value"),
        ("name: fat, value: ^packts, labels: [a]", "unknown-member"),
        ("name: fat, value: ^name, labels: [a]", "value-type"),
        ("name: fat, value: ^slots, labels: [a]", "value-type"),
        ("name: fat, value: ^next, labels: [a]", "value-type"),
        ("name: fat, value: ^inner, labels: [a]", "value-type"),
        ("name: fat, value: ^[packets], labels: [a]", "wrong-type"),
        ("name: ^list, labels: [a]", "value-size"),
        ("name: list, value: ^'[4]', labels: [a]", "unknown-member"),
        ("name: ^eight, labels: [a]", "?missing-value"),
        ("name: fat, value: bytes, ^slots: slots, labels: [a]", "?unknown-key"),
        ("name: bare, value: ^x, labels: [{name: a, size: 4, decoders: [uint]}]", "no-type"),
    ] {
        check_wrong("counters", metric, expected);
    }
}

#[test]
fn wrong_histograms_are_told_where_they_stand() {
    for (metric, expected) in [
        ("name: plain, bucket_type: exp2, bucket_max: 5, bucket: ^slot", "unknown-field"),
        ("name: plain, bucket_type: exp2, bucket_max: 5, bucket: ^stack", "slot-not-a-number"),
        ("name: plain, bucket_type: exp2, bucket_max: 5, bucket: ^[device]", "wrong-type"),
        (
            "name: plain, bucket_type: exp2, bucket_max: 5, labels: [device, {name: tail, field: weight, decoders: [^cgroup]}]",
            "slot-not-a-number",
        ),
        (
            "name: plain, bucket_type: exp2, bucket_max: 5, bucket: ^operation, labels: [{name: device, size: 4, decoders: [uint]}]",
            "mixed-labels",
        ),
        ("name: text, bucket_type: exp2, bucket_max: 5, bucket: ^slot", "slot-not-a-number"),
        ("name: fat, bucket_type: log2, slots: ^slot, labels: [a]", "unknown-member"),
        ("name: fat, bucket_type: log2, slots: ^bytes, labels: [a]", "slots-type"),
        ("name: fat, bucket_type: log2, slots: ^name, labels: [a]", "slots-type"),
        ("name: fat, bucket_type: log2, slots: ^floats, labels: [a]", "slots-type"),
        ("name: fat, bucket_type: log2, slots: slots, sum: ^total, labels: [a]", "unknown-member"),
        ("name: fat, bucket_type: log2, slots: slots, sum: ^load, labels: [a]", "value-type"),
        ("name: fat, bucket_type: log2, slots: slots, count: ^name, labels: [a]", "value-type"),
        ("name: fat, bucket_type: log2, slots: slots, bucket: ^a, labels: [b]", "slots-conflict"),
        ("name: fat, bucket_type: log2, slots: slots, value: ^bytes, labels: [a]", "slots-conflict"),
        ("name: scalar, bucket_type: log2, bucket_max: 3, sum: ^bytes, labels: [a]", "slots-conflict"),
        ("name: fat, bucket_type: log2, bucket_max: ^8, slots: slots, labels: [a]", "bad-buckets"),
        ("name: fat, bucket_type: log2, bucket_min: 7, slots: slots, labels: [a]", "bad-buckets"),
        ("name: fat, bucket_type: fixed, bucket_keys: ^[1, 2], slots: slots, labels: [a]", "bad-buckets"),
        (
            "name: bare, bucket_type: log2, slots: ^slots, labels: [{name: a, size: 4, decoders: [uint]}]",
            "no-type",
        ),
    ] {
        check_wrong("histograms", metric, expected);
    }
}

#[test]
fn messages_show_the_struct_and_the_name_that_was_meant() {
    let told = |metric: &str, expected: &str| {
        let problem = check_wrong("counters", metric, expected);
        (problem.layout.unwrap_or_default(), problem.help.unwrap_or_default())
    };
    let (layout, help) = told("name: plain, labels: [^devise]", "unknown-field");
    assert!(
        layout.starts_with("struct key { /* 56 bytes */\n    u32 device; /* offset 0, 4 bytes */"),
        "{layout}"
    );
    assert_eq!(help, "did you mean `device`?");
    let (_, help) = told("name: plain, labels: [^saddr]", "unknown-field");
    assert_eq!(help, "did you mean `tuple.saddr`?");
    let (layout, help) = told("name: fat, value: ^packts, labels: [a]", "unknown-member");
    assert!(layout.contains("u64 bytes; /* offset 8, 8 bytes */"), "{layout}");
    assert_eq!(help, "did you mean `packets`?");
    let problem = check_wrong("counters", "name: ^fat, labels: [a]", "missing-value");
    assert_eq!(
        problem.expected.as_deref(),
        Some("`value` with one of `packets`, `bytes`, `load`, `inner.saddr`, `inner.daddr`")
    );
}
