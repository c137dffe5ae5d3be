use bpftally::bpf::{Attaching, Loaded};
use bpftally::spec::LoadSpec;

use super::{at_work, begin, hand_over, maps, numbers, programs, programs_are_gone, spec, try_hand_over};
use crate::common::kernel::{run, with_network};

/// An object with one program that names the map `m`, so that the kernel's id of it can be told.
fn naming(declaration: &str, config: &str) -> LoadSpec {
    let program = r#"
        SEC("raw_tp/sched_process_exec") int user(void *ctx)
        {
            asm volatile("" :: "r"(&m));
            return 0;
        }"#;
    spec(&format!("{declaration}\n{program}"), config)
}

/// A map `m` of a kind, with what else it declares.
fn map(kind: &str, rest: &str) -> String {
    format!("struct {{ __uint(type, BPF_MAP_TYPE_{kind}); {rest} }} m SEC(\".maps\");")
}

/// Whether the map of the first object is the map of the second, and of the third, which is as the first.
#[track_caller]
fn check(first: &LoadSpec, second: &LoadSpec, is_carried: bool) {
    let mut running = begin(first);
    let id = |running: &Loaded| maps(running)["m"];
    let before = id(&running);
    hand_over(&mut running, second);
    let outcome = |running: &Loaded| (running.carried().contains(&"m".to_owned()), id(running) == before);
    assert_eq!(outcome(&running), (is_carried, is_carried));
    hand_over(&mut running, first);
    assert_eq!(outcome(&running), (is_carried, is_carried), "and back");
}

#[track_caller]
fn check_maps(first: &str, second: &str, is_carried: bool) {
    check(&naming(first, ""), &naming(second, ""), is_carried);
}

const NUMBERS: &str = "__type(key, u32); __type(value, u64);";

#[test]
fn every_kind_that_counts_goes_on() {
    let numbers = |kind: &str, rest: &str| map(kind, &format!("__uint(max_entries, 64); {NUMBERS} {rest}"));
    let owned =
        |kind: &str| map(kind, "__uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64);");
    for declaration in [
        numbers("HASH", ""),
        numbers("HASH", "__uint(map_flags, BPF_F_NO_PREALLOC);"),
        numbers("PERCPU_HASH", ""),
        numbers("LRU_HASH", ""),
        numbers("LRU_PERCPU_HASH", ""),
        numbers("LRU_HASH", "__uint(map_flags, BPF_F_NO_COMMON_LRU);"),
        numbers("ARRAY", ""),
        numbers("ARRAY", "__uint(map_flags, BPF_F_MMAPABLE);"),
        numbers("PERCPU_ARRAY", ""),
        map(
            "LPM_TRIE",
            "__uint(max_entries, 64); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(key_size, 8); __type(value, u64);",
        ),
        map("STACK_TRACE", "__uint(max_entries, 64); __uint(key_size, 4); __uint(value_size, 80);"),
        map("RINGBUF", "__uint(max_entries, 8192);"),
        map("RINGBUF", "__uint(max_entries, 5000);"),
        map("QUEUE", "__uint(max_entries, 8); __type(value, u64);"),
        map("BLOOM_FILTER", "__uint(max_entries, 8); __uint(map_extra, 3); __type(value, u64);"),
        owned("TASK_STORAGE"),
        // The headers that tests are compiled with may not have the name.
        owned("TASK_STORAGE").replace("BPF_MAP_TYPE_TASK_STORAGE", "32"),
        owned("SK_STORAGE"),
    ] {
        println!("{declaration}");
        check_maps(&declaration, &declaration, true);
    }
}

#[test]
fn other_maps_begin_anew() {
    let base = map("HASH", "__uint(max_entries, 64); __type(key, u32); __type(value, u64);");
    for other in [
        map("LRU_HASH", "__uint(max_entries, 64); __type(key, u32); __type(value, u64);"),
        map("PERCPU_HASH", "__uint(max_entries, 64); __type(key, u32); __type(value, u64);"),
        map("HASH", "__uint(max_entries, 65); __type(key, u32); __type(value, u64);"),
        map("HASH", "__uint(max_entries, 64); __type(key, u64); __type(value, u64);"),
        map("HASH", "__uint(max_entries, 64); __type(key, u32); __type(value, u32);"),
        map("HASH", "__uint(max_entries, 64); __type(key, s32); __type(value, u64);"),
        map("HASH", "__uint(max_entries, 64); __uint(map_flags, 1); __type(key, u32); __type(value, u64);"),
        // One that was renamed, and another of its name.
        base.replace("} m ", "} renamed ") + &base.replace("max_entries, 64", "max_entries, 32"),
    ] {
        println!("{other}");
        check_maps(&base, &other, false);
    }
    let capacity = "maps: {m: {max_entries: 99}}";
    check(&naming(&base, ""), &naming(&base, capacity), false);
    check(&naming(&base, capacity), &naming(&base.replace("max_entries, 64", "max_entries, 99"), ""), true);
    // Whoever says so last decides: the map of one that does not hand over is not there for the next one.
    let fresh = "maps: {m: {carry: false}}";
    check(&naming(&base, ""), &naming(&base, fresh), false);
    check(&naming(&base, fresh), &naming(&base, fresh), false);
}

/// Keys and values that are structs: what C calls them does not matter, their members do.
#[test]
fn members_are_compared_and_names_of_types_are_not() {
    let of = |types: &str, key: &str, value: &str| {
        format!(
            "{types} {}",
            map("HASH", &format!("__uint(max_entries, 8); __type(key, {key}); __type(value, {value});"))
        )
    };
    let base = of(
        "struct key { u32 a; u32 b; }; struct value { u64 count; u64 bytes; };",
        "struct key",
        "struct value",
    );
    for (other, is_carried) in [
        (
            of(
                "typedef u32 number; typedef struct { number a; unsigned int b; } k; struct v { u64 count, bytes; };",
                "k",
                "struct v",
            ),
            true,
        ),
        (base.replace("u32 b", "u32 c"), false),
        (base.replace("u32 a; u32 b", "u32 b; u32 a"), false),
        (base.replace("u64 bytes", "s64 bytes"), false),
        (base.replace("u64 bytes", "u32 bytes; u32 more"), false),
        (base.replace("u64 bytes", "u64 bytes[1]"), false),
        (base.replace("u32 b;", "u32 b:31;"), false),
    ] {
        println!("{other}");
        check_maps(&base, &other, is_carried);
    }
    let base = of("enum state { IDLE, BUSY };", "enum state", "u64");
    check_maps(&base, &base.replace("enum state", "enum renamed"), true);
    check_maps(&base, &base.replace("IDLE, BUSY", "BUSY, IDLE"), false);
}

/// What libbpf fills for each object is its own.
#[test]
fn maps_of_programs_and_of_maps_are_made_anew() {
    let array = map("PROG_ARRAY", "__uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4);");
    let events = map("PERF_EVENT_ARRAY", "__uint(key_size, 4); __uint(value_size, 4);");
    let devices = map("DEVMAP", "__uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4);");
    let outer = r#"
        struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } first SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner); }
            m SEC(".maps") = { .values = { &first } };"#;
    for declaration in [&array, &events, &devices, outer] {
        println!("{declaration}");
        check_maps(declaration, declaration, false);
    }
}

#[test]
fn variables_have_their_new_initial_values() {
    let source = r#"
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } seen SEC(".maps");
        const volatile u64 fixed = FIRST;
        volatile u64 data = FIRST;
        volatile u64 bss;
        static __always_inline void keep(u32 key, u64 value) { bpf_map_update_elem(&seen, &key, &value, BPF_ANY); }
        SEC("uprobe//proc/self/exe:post_attach_mark") int mark(void *ctx)
        {
            keep(0, fixed);
            keep(1, data++);
            keep(2, bss++);
            return 0;
        }"#;
    let of = |first: &str| spec(&source.replace("FIRST", first), "");
    let mut running = begin(&of("10"));
    let values = |running: &Loaded| {
        // Other tests of this process call it too.
        bpftally::bpf::mark_attached();
        numbers(running, "seen").into_values().collect::<Vec<_>>()
    };
    let first = values(&running);
    assert!(first[0] == 10 && first[1] >= 10 && first[1] - 10 == first[2], "{first:?}");
    hand_over(&mut running, &of("1000000"));
    let next = values(&running);
    assert!(next[0] == 1_000_000 && next[1] >= 1_000_000 && next[1] - 1_000_000 == next[2], "{next:?}");
    assert_eq!(running.carried(), ["seen"]);
}

/// libbpf shares it by its path, as it does between processes.
#[test]
fn a_pinned_map_is_the_one_of_its_path() {
    crate::common::kernel::with_tracefs(|| {
        run("mount", &["-t", "bpf", "bpf", "/sys/fs/bpf"]);
        let pinned = naming(
            &map("HASH", &format!("__uint(max_entries, 4); {NUMBERS} __uint(pinning, LIBBPF_PIN_BY_NAME);")),
            "",
        );
        let mut running = begin(&pinned);
        let id = maps(&running)["m"];
        for _ in 0..3 {
            hand_over(&mut running, &pinned);
            assert_eq!((running.carried(), maps(&running)["m"]), (&["m".to_owned()][..], id));
        }
    });
}

/// Good and bad objects in turn: the first map is handed from each to the next.
#[test]
fn a_chain_of_objects_keeps_the_first_map() {
    let declaration = map("HASH", &format!("__uint(max_entries, 64); {NUMBERS}"));
    let good: Vec<LoadSpec> = ["", "u64 changed = 1;", "volatile u64 other;"]
        .iter()
        .map(|more| naming(&format!("{declaration} {more}"), ""))
        .collect();
    let bad = naming(
        &format!(
            "{declaration} SEC(\"raw_tp/sys_enter\") int bad(void *ctx) {{ return *(volatile int *)1; }}"
        ),
        "",
    );
    let mut running = begin(&good[0]);
    let id = maps(&running)["m"];
    for turn in 1..=10 {
        assert!(try_hand_over(&mut running, &bad, Attaching::AsFarAsPossible).is_err());
        hand_over(&mut running, &good[turn % 3]);
        assert_eq!((maps(&running)["m"], at_work(&running)), (id, vec!["user"]), "{turn}");
    }
}

/// Values with members that the kernel knows by their types, which are those of the object that made the map.
#[test]
fn locks_are_shared_and_timers_are_not() {
    let source = r#"
        struct held { MEMBER; u64 count; };
        struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct held); } m SEC(".maps");
        static int tick(void *map, u32 *key, struct held *held) { held->count++; return 0; }
        SEC("xdp/lo") int program(struct xdp_md *ctx)
        {
            u32 zero = 0;
            struct held *held = bpf_map_lookup_elem(&m, &zero);
            if (!held)
                return XDP_PASS;
            USE;
            return XDP_PASS;
        }"#;
    let with = |member: &str, usage: &str| spec(&source.replace("MEMBER", member).replace("USE", usage), "");
    let lock = "bpf_spin_lock(&held->lock); held->count++; bpf_spin_unlock(&held->lock)";
    let timer = "bpf_timer_init(&held->timer, &m, 1); bpf_timer_set_callback(&held->timer, tick); bpf_timer_start(&held->timer, 1000000, 0)";
    with_network(|| {
        let ping = |running: &Loaded| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"one", socket.local_addr().unwrap()).unwrap();
            socket.recv(&mut [0; 8]).unwrap();
            maps(running)["m"]
        };
        let (locked, plain) = (
            with("struct bpf_spin_lock lock", lock),
            with("struct { __u32 val; } lock", "__sync_fetch_and_add(&held->count, 1)"),
        );
        let mut running = begin(&locked);
        let id = ping(&running);
        for _ in 0..3 {
            hand_over(&mut running, &locked);
            assert_eq!((ping(&running), running.carried()), (id, &["m".to_owned()][..]));
        }
        // Without the lock it looks alike, and is not.
        hand_over(&mut running, &plain);
        assert_ne!(ping(&running), id);
        hand_over(&mut running, &locked);
        assert_ne!(ping(&running), id);
        // The old callback would stay at work, and its program in the kernel.
        let timed = with("struct bpf_timer timer", timer);
        hand_over(&mut running, &timed);
        let id = ping(&running);
        let old = programs(&running);
        hand_over(&mut running, &timed);
        assert_ne!(ping(&running), id);
        programs_are_gone(&old);
    });
}
