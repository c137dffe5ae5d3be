use super::*;

/// The text is served without any problem, and means this.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_warned(text, &[], expected);
}

/// The text is served, with warnings.
#[track_caller]
fn check_warned(text: &str, problems: &[&str], expected: &[&str]) {
    let checked = checked(text);
    assert_eq!(brief(&checked.problems), problems, "{:#?}\n{text}", checked.problems);
    let spec = checked.spec.unwrap();
    let shown: Vec<String> = spec.view.metrics.iter().map(show).collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn counters_in_block_style() {
    check(
        "metrics:
  counters:
    - name: hash_8
      help: Timers fired in the kernel
      labels:
        - name: function
          size: 8
          decoders:
            - name: ksym
",
        &["ebpf_exporter_hash_8 = counter of hash_8[8] function@0+8"],
    );
}

#[test]
fn lists_may_stand_at_the_indent_of_their_key() {
    check(
        "metrics:\n  counters:\n  - name: hash_8\n    help: h\n    labels:\n    - name: cgroup\n      size: 8\n      \
         decoders:\n      - name: uint\n      - name: cgroup\n",
        &["ebpf_exporter_hash_8 = counter of hash_8[8] cgroup@0+8"],
    );
}

#[test]
fn flow_style_comments_and_quotes() {
    check(
        r#"# a comment
{metrics: {counters: [   # another
  {name: "hash_1", 'help': 'it''s "quoted"', labels: [{name: operation, size: 1, decoders: [
     {name: uint}, {name: static_map, static_map: {0: "read", 1: 'write', "2": sync, 0x3: x}}]}]}]}}
"#,
        &["ebpf_exporter_hash_1 = counter of hash_1[1] operation@0+1"],
    );
}

#[test]
fn json_is_yaml() {
    check(
        r#"{"metrics": {"counters": [{"name": "array", "help": "h", "labels": []}]}}"#,
        &["ebpf_exporter_array = counter of array[4]"],
    );
}

#[test]
fn block_scalars_and_documents() {
    check(
        "%YAML 1.1\n---\nmetrics:\n  counters:\n    - name: array\n      help: >-\n        folded\n        text\n...\n",
        &["ebpf_exporter_array = counter of array[4]"],
    );
    check_warned(
        "metrics:\n  counters:\n  - name: array\n    help: |\n      literal\n---\nsecond: document\n",
        &["?more-documents -"],
        &["ebpf_exporter_array = counter of array[4]"],
    );
}

#[test]
fn without_labels_the_key_is_zero() {
    for map in ["array", "hash_4", "percpu_array", "percpu_lru"] {
        check(
            &format!("metrics: {{counters: [{{name: {map}, help: h}}]}}"),
            &[&format!("ebpf_exporter_{map} = counter of {map}[4]")],
        );
    }
    check(
        "metrics: {counters: [{name: array, help: h, labels: ~}]}",
        &["ebpf_exporter_array = counter of array[4]"],
    );
}

#[test]
fn several_labels_cover_the_key_in_order() {
    check(
        "metrics:
  counters:
    - name: hash_20
      help: Retransmitted packets
      labels:
        - {name: peer_ip, size: 4, decoders: [{name: inet_ip}]}
        - {name: local_ip, size: 4, decoders: [{name: inet_ip}]}
        - {name: main_port, size: 2, padding: 2, decoders: [{name: uint}]}
        - {name: type, size: 8, decoders: [{name: uint}, {name: static_map, static_map: {0: established}}]}
",
        &["ebpf_exporter_hash_20 = counter of hash_20[20] local_ip@4+4 main_port@8+2 peer_ip@0+4 type@12+8"],
    );
}

#[test]
fn padding_skips_bytes_anywhere() {
    check(
        "metrics: {counters: [{name: hash_8, help: h, labels: [
           {name: interface, size: 4, decoders: [{name: ifname}]},
           {name: ip_version, size: 1, padding: 3, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_hash_8 = counter of hash_8[8] interface@0+4 ip_version@4+1"],
    );
    check(
        "metrics: {counters: [{name: hash_12, help: h, labels: [
           {name: a, size: 2, padding: 2, decoders: [{name: uint}]},
           {name: b, size: 8, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_hash_12 = counter of hash_12[12] a@0+2 b@4+8"],
    );
}

#[test]
fn text_stacks_and_addresses() {
    for (map, size, decoders) in [
        ("hash_32", 32, "[{name: string}, {name: regexp, regexps: ['^(kswapd).*$', '^systemd$']}]"),
        ("hash_128", 128, "[{name: string}]"),
        ("hash_128", 128, "[{name: string}, {name: dname}]"),
        ("hash_160", 160, "[{name: kstack}]"),
        ("hash_16", 16, "[{name: inet_ip}]"),
        ("hash_16", 16, "[{name: hex}]"),
        ("hash_4", 4, "[{name: majorminor}]"),
        ("hash_8", 8, "[{name: uint}, {name: errno}]"),
        ("hash_8", 8, "[{name: uint}, {name: syscall}]"),
        ("hash_2", 2, "[{name: uint}, {name: pci_vendor}]"),
        ("hash_4", 4, "[{name: uint}, {name: pci_device}]"),
        ("hash_1", 1, "[{name: uint}, {name: pci_class}]"),
        ("hash_2", 2, "[{name: uint}, {name: pci_subclass}]"),
        ("hash_8", 8, "[{name: uint}, {name: cgroup}, {name: regexp, regexps: ['^.*(system.slice/.*)$']}]"),
        ("hash_4", 4, "[{name: uint}, {name: static_map, allow_unknown: yes, static_map: {1: one}}]"),
        ("hash_4", 4, "[{name: int}]"),
        ("hash_1", 1, "[{name: bool}]"),
        ("hash_6", 6, "[{name: mac}]"),
        ("hash_2", 2, "[{name: port}]"),
        ("hash_4", 4, "[{name: uint}, {name: uid}]"),
        ("hash_4", 4, "[{name: uint}, {name: signal}]"),
        ("hash_1", 1, "[{name: uint}, {name: proto}]"),
    ] {
        check(
            &format!(
                "metrics: {{counters: [{{name: {map}, help: h, labels: [{{name: l, size: {size}, decoders: {decoders}}}]}}]}}"
            ),
            &[&format!("ebpf_exporter_{map} = counter of {map}[{size}] l@0+{size}")],
        );
    }
}

#[test]
fn a_last_label_cpu_splits_per_cpu_maps() {
    check(
        "metrics: {counters: [{name: percpu_array, help: h, labels: [
            {name: vec, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {0: hi, 1: timer}}]},
            {name: cpu, size: 2, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_percpu_array = counter of percpu_array[4] cpu@cpu vec@0+4 Split"],
    );
    // Alone, it needs none of the four bytes of the index.
    check(
        "metrics: {counters: [{name: percpu_array, help: h, labels: [{name: cpu, size: 2, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_percpu_array = counter of percpu_array[4] cpu@cpu Split"],
    );
    // Of other maps, or in another place, it is a part of the key.
    check(
        "metrics: {counters: [{name: hash_4, help: h, labels: [{name: cpu, size: 4, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_hash_4 = counter of hash_4[4] cpu@0+4"],
    );
    check(
        "metrics: {counters: [{name: percpu_hash_8, help: h, labels: [
            {name: cpu, size: 4, decoders: [{name: uint}]}, {name: b, size: 4, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_percpu_hash_8 = counter of percpu_hash_8[8] b@4+4 cpu@0+4"],
    );
}

#[test]
fn histograms_of_every_type() {
    check(
        "metrics:
  histograms:
    - name: hash_4
      help: Latency
      bucket_type: exp2
      bucket_min: 0
      bucket_max: 26
      bucket_multiplier: 0.000001 # microseconds to seconds
      labels:
        - name: bucket
          size: 4
          decoders:
            - name: uint
    - {name: linear, map: hash_4, help: Backlog, bucket_type: linear, bucket_min: 0, bucket_max: 20,
       bucket_multiplier: 50, labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]}
    - {name: zero, map: hash_4, help: Backlog, bucket_type: exp2zero, bucket_max: 17,
       labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]}
    - {name: fixed, map: hash_4, help: Fixed, bucket_type: fixed, bucket_keys: [100, 1_000, 0x2710], bucket_multiplier: 1e-6,
       labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]}
",
        &[
            "ebpf_exporter_hash_4 = Exp2 { min: 0, max: 26 }*1e-6 slot 0+4 of hash_4[4]",
            "ebpf_exporter_linear = Linear { min: 0, max: 20 }*50.0 slot 0+4 of hash_4[4]",
            "ebpf_exporter_zero = Exp2Zero { min: 0, max: 17 }*1.0 slot 0+4 of hash_4[4]",
            "ebpf_exporter_fixed = Fixed { keys: [100.0, 1000.0, 10000.0] }*1e-6 slot 0+4 of hash_4[4]",
        ],
    );
}

#[test]
fn histograms_with_labels_and_per_cpu() {
    check(
        "metrics: {histograms: [{name: hash_6, help: h, bucket_type: exp2, bucket_min: 0, bucket_max: 27, labels: [
            {name: device, size: 4, decoders: [{name: majorminor}]},
            {name: operation, size: 1, decoders: [{name: uint}, {name: static_map, static_map: {0: read}}]},
            {name: bucket, size: 1, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_hash_6 = Exp2 { min: 0, max: 27 }*1.0 slot 5+1 of hash_6[6] device@0+4 operation@4+1"],
    );
    // Summed over CPUs.
    check(
        "metrics: {histograms: [{name: percpu_hash_8, help: h, bucket_type: exp2, bucket_max: 21, labels: [
            {name: kind, size: 4, decoders: [{name: uint}]}, {name: bucket, size: 4, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_percpu_hash_8 = Exp2 { min: 0, max: 21 }*1.0 slot 4+4 of percpu_hash_8[8] kind@0+4"],
    );
    // Split by CPU: the label stands before the slot.
    check(
        "metrics: {histograms: [{name: percpu_hash_8, help: h, bucket_type: exp2, bucket_max: 21, labels: [
            {name: kind, size: 4, decoders: [{name: uint}]}, {name: cpu, size: 2, decoders: [{name: uint}]},
            {name: bucket, size: 4, decoders: [{name: uint}]}]}]}",
        &[
            "ebpf_exporter_percpu_hash_8 = Exp2 { min: 0, max: 21 }*1.0 slot 4+4 of percpu_hash_8[8] cpu@cpu kind@0+4 Split",
        ],
    );
    check(
        "metrics: {histograms: [{name: percpu_array, help: h, bucket_type: exp2, bucket_max: 21, labels: [
            {name: cpu, size: 2, decoders: [{name: uint}]}, {name: bucket, size: 4, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_percpu_array = Exp2 { min: 0, max: 21 }*1.0 slot 0+4 of percpu_array[4] cpu@cpu Split"],
    );
    // A slot may be called le, or like another label: nobody sees it.
    check(
        "metrics: {histograms: [{name: hash_8, help: h, bucket_type: exp2, bucket_max: 21, labels: [
            {name: kind, size: 4, decoders: [{name: uint}]}, {name: le, size: 4, decoders: [{name: uint}]}]}]}",
        &["ebpf_exporter_hash_8 = Exp2 { min: 0, max: 21 }*1.0 slot 4+4 of hash_8[8] kind@0+4"],
    );
}

#[test]
fn gauges_scale_and_reduce() {
    check(
        "kaddrs: [bpf_jit_current, jiffies, jiffies]
metrics:
  gauges:
    - {name: pages, map: array, help: h}
    - {name: highest, map: percpu_array, help: h, reduce: max, scale: 1e-9}
    - {name: mean, map: percpu_lru, help: h, reduce: avg, scale: -2}
  counters:
    - {name: lowest, map: percpu_array, help: h, reduce: min, scale: 4_096}
",
        &[
            "ebpf_exporter_pages = gauge of array[4]",
            "ebpf_exporter_highest = gauge of percpu_array[4] Max *1e-9",
            "ebpf_exporter_mean = gauge of percpu_lru[4] Avg *-2.0",
            "ebpf_exporter_lowest = counter of percpu_array[4] Min *4096.0",
        ],
    );
}

#[test]
fn kaddrs_are_told_once() {
    let checked = checked("kaddrs: [bpf_jit_current, jiffies, jiffies]\nmetrics: {counters: []}");
    assert_eq!(brief(&checked.problems), [""; 0]);
    assert_eq!(checked.spec.unwrap().load.kaddrs, ["bpf_jit_current", "jiffies"]);
}

#[test]
fn values_of_every_width_and_sign() {
    for (map, value) in [
        ("value_u8", " u8"),
        ("value_u16", " u16"),
        ("value_u32", " u32"),
        ("value_s32", " s32"),
        ("value_s64", " s64"),
        ("hash_4", ""),
    ] {
        check(
            &format!("metrics: {{counters: [{{name: {map}, help: h}}]}}"),
            &[&format!("ebpf_exporter_{map} = counter of {map}[4]{value}")],
        );
    }
}

#[test]
fn tries_are_read_by_their_whole_key() {
    check(
        "metrics: {counters: [{name: trie, help: h, labels: [
            {name: bits, size: 4, decoders: [{name: uint}]}, {name: net, size: 4, decoders: [{name: inet_ip}]}]}]}",
        &["ebpf_exporter_trie = counter of trie[8] bits@0+4 net@4+4"],
    );
}

#[test]
fn scalars_mean_what_they_mean_in_yaml_1_1() {
    check(
        "metrics:
  counters:
    - name: hash_8
      help: 1.50
      perf_event_array: off
      flush_interval: 1h30m
      labels:
        - {name: a, size: 0b100, padding: ~, decoders: [{name: uint}]}
        - {name: y, size: 04, padding: 0, decoders: [{name: uint}, {name: static_map, allow_unknown: on,
             static_map: {010: octal, yes: affirmative, 1.50: float, ~: nothing, 0x10: hex}}]}
    - {name: hash_16, help: yes, flush_interval: 1_000, labels: [{name: a, size: 1_6, decoders: [{name: hex}]}]}
    - {name: hash_12, help: ok, labels: [{name: a, size: +0xC, decoders: [{name: hex}]}]}
    - {name: hash_5, help: ok, labels: [{name: a, size: 5.9, decoders: [{name: hex}]}]}
    - {name: n1, map: hash_8, help: ok, labels: [{name: a, size: 08, decoders: [{name: hex}]}]}
    - {name: n2, map: hash_8, help: ok, labels: [{name: a, size: 8e0, decoders: [{name: hex}]}]}
    - {name: n3, map: hash_8, help: ok, labels: [{name: a, size: 0o10, decoders: [{name: hex}]}]}
",
        &[
            "ebpf_exporter_hash_8 = counter of hash_8[8] a@0+4 y@4+4",
            "ebpf_exporter_hash_16 = counter of hash_16[16] a@0+16",
            "ebpf_exporter_hash_12 = counter of hash_12[12] a@0+12",
            "ebpf_exporter_hash_5 = counter of hash_5[5] a@0+5",
            "ebpf_exporter_n1 = counter of hash_8[8] a@0+8",
            "ebpf_exporter_n2 = counter of hash_8[8] a@0+8",
            "ebpf_exporter_n3 = counter of hash_8[8] a@0+8",
        ],
    );
    let checked = checked("metrics: {counters: [{name: 404, map: array, help: yes}], gauges: ~}");
    assert!(brief(&checked.problems).is_empty(), "{:?}", checked.problems);
    let metric = &checked.spec.unwrap().view.metrics[0];
    assert_eq!(
        (metric.family.as_str(), metric.name.as_str(), metric.help.as_str()),
        ("ebpf_exporter_404", "404", "yes")
    );
}

#[test]
fn anchors_aliases_and_merges() {
    check(
        "x-labels: &label
  size: 4
  decoders: &decoders
    - name: uint
x-more: &more {help: merged, name: never}
metrics:
  counters:
    - <<: *more
      name: hash_8
      labels:
        - {<<: *label, name: a}
        - {name: b, size: 4, decoders: *decoders}
    - <<: [{name: hash_4}, {name: other, map: hash_8, help: second}]
      map: hash_4
      labels: [{<<: *label, name: a}]
",
        &[
            "ebpf_exporter_hash_8 = counter of hash_8[8] a@0+4 b@4+4",
            // In a list the earlier mapping wins.
            "ebpf_exporter_hash_4 = counter of hash_4[4] a@0+4",
        ],
    );
    // A merge behind a key overrides it, as the reference's parser does: strange enough to be said.
    check_warned(
        "x-a: &a {map: hash_4}\nmetrics:\n  counters:\n    - map: array\n      name: m\n      help: h\n      <<: *a\n",
        &["?merge-overrides 4:7 (m)"],
        &["ebpf_exporter_m = counter of hash_4[4]"],
    );
    // static_map's grow by merges.
    check(
        "x-a: &a {name: static_map, static_map: {1: one}}
metrics: {counters: [{name: hash_4, help: h, labels: [
   {name: a, size: 4, decoders: [{name: uint}, {<<: *a, static_map: {2: two}}]}]}]}",
        &["ebpf_exporter_hash_4 = counter of hash_4[4] a@0+4"],
    );
}

#[test]
fn what_the_reference_ignores_is_a_warning() {
    check_warned(
        "name: ignored\nversion: 2\nx-mine: {anything: [1]}\nmetrics:\n  counters:\n    - name: array\n      help: h\n      \
         description: d\n      help: again\n      x-owner: me\n      lables: []\n      bucket_type: exp2\n",
        &[
            "?unknown-key 2:1",
            "?unknown-key 8:7 (array)",
            "?duplicate-key 9:7 (array)",
            "?unknown-key 11:7 (array)",
            "?unknown-key 12:7 (array)",
        ],
        &["ebpf_exporter_array = counter of array[4]"],
    );
    // The last list of a name counts, other lists of the same mapping stay.
    check_warned(
        "metrics: {counters: [{name: array, help: h}]}\nmetrics: {gauges: [{name: hash_4, help: h}]}\n",
        &["?duplicate-key 2:1"],
        &["ebpf_exporter_array = counter of array[4]", "ebpf_exporter_hash_4 = gauge of hash_4[4]"],
    );
    check_warned(
        "metrics:\n  counters: [{name: array, help: h}]\n  counters: [{name: hash_4, help: h}]\n",
        &["?duplicate-key 3:3"],
        &["ebpf_exporter_hash_4 = counter of hash_4[4]"],
    );
    check_warned(
        "metrics: {gauges: [{name: array, help: h, reduce: max}]}",
        &["?reduce-without-effect 1:51 (array)"],
        &["ebpf_exporter_array = gauge of array[4] Max"],
    );
    check_warned(
        "metrics: {gauges: [{name: percpu_array, help: h, reduce: max, labels: [{name: cpu, size: 2, decoders: [{name: uint}]}]}]}",
        &["?reduce-without-effect 1:58 (percpu_array)"],
        &["ebpf_exporter_percpu_array = gauge of percpu_array[4] cpu@cpu Split"],
    );
    check_warned(
        "metrics: {histograms: [{name: hash_4, help: h, bucket_type: fixed, bucket_keys: [0.5, 2], bucket_max: 9,
          labels: [{name: b, size: 4, decoders: [{name: uint}]}]}]}",
        &["?bucket-never-filled 1:82 (hash_4)", "?unused-key 1:103 (hash_4)"],
        &["ebpf_exporter_hash_4 = Fixed { keys: [0.5, 2.0] }*1.0 slot 0+4 of hash_4[4]"],
    );
}

#[test]
fn namespaces() {
    check(
        "namespace: my\nmetrics: {counters: [{name: array, help: h}]}",
        &["my_array = counter of array[4]"],
    );
    check("namespace: ''\nmetrics: {counters: [{name: array, help: h}]}", &["array = counter of array[4]"]);
    check(
        "namespace:\nmetrics: {counters: [{name: array, help: h}]}",
        &["ebpf_exporter_array = counter of array[4]"],
    );
}

#[test]
fn configs_without_metrics_still_load_their_object() {
    check("metrics: {counters: []}", &[]);
    check("metrics: {histograms: []}\ntracing: {spans: []}\ncgroup_id_map:\nkaddrs:\n", &[]);
}

#[test]
fn the_load_spec_holds_what_was_checked() {
    let spec = checked_as("tcp", "metrics: {counters: [{name: array, help: h}]}").spec.unwrap();
    assert_eq!(spec.load.name, "tcp");
    assert_eq!(spec.view.name, "tcp");
    assert_eq!(spec.load.object, object().path);
    assert_eq!(spec.load.object_bytes, object().bytes);
    let place = &spec.view.metrics[0].place;
    assert_eq!(place.config.as_deref(), Some("tcp"));
    assert_eq!(place.path, "metrics.counters[0]");
    assert_eq!(place.position.map(|p| (p.line, p.column)), Some((1, 29)));
}

/// A metric of the map `mixed`, whose key has the members device 4, operation 1, a gap of 3, time 8, comm 8, a union 4, a gap of 4.
fn mixed(sizes: &[(usize, usize)]) -> String {
    let labels: Vec<String> = sizes
        .iter()
        .enumerate()
        .map(|(index, (size, padding))| {
            format!("\n   {{name: l{index}, size: {size}, padding: {padding}, decoders: [{{name: hex}}]}}")
        })
        .collect();
    format!("metrics: {{counters: [{{name: mixed, help: h, labels: [{}]}}]}}", labels.join(","))
}

#[test]
fn labels_that_cut_a_number_are_a_warning() {
    let check = |sizes: &[(usize, usize)], expected: &[&str]| {
        let checked = checked(&mixed(sizes));
        assert_eq!(brief(&checked.problems), expected, "{sizes:?} {:#?}", checked.problems);
        assert!(checked.spec.is_some());
    };
    check(&[(4, 0), (1, 3), (8, 0), (8, 0), (4, 4)], &[]);
    // Gaps may go either way, text and whole structs be cut or joined, unions be seen as any of their members.
    check(&[(4, 0), (4, 0), (8, 0), (3, 5), (8, 0)], &[]);
    check(&[(8, 0), (16, 0), (2, 2), (4, 0)], &[]);
    check(&[(4, 0), (1, 3), (8, 0), (8, 0), (2, 0), (2, 4)], &[]);
    check(&[(4, 0), (1, 3), (4, 4), (8, 0), (4, 4)], &["?cut-member 4:21 (mixed)"]);
    check(&[(2, 2), (1, 3), (8, 0), (8, 0), (4, 4)], &["?cut-member 2:21 (mixed)"]);
    // Two labels meet in one cut, and two cuts are two.
    check(&[(4, 0), (1, 3), (6, 0), (10, 0), (4, 4)], &["?cut-member 4:21 (mixed)"]);
    check(
        &[(2, 0), (3, 3), (6, 0), (10, 0), (4, 4)],
        &["?cut-member 2:21 (mixed)", "?cut-member 4:21 (mixed)"],
    );
    check(&[(4, 0), (1, 3), (8, 0), (8, 0), (3, 5)], &["?cut-member 6:21 (mixed)"]);
}

#[test]
fn a_key_that_is_not_covered_is_shown() {
    let problem = &checked(&mixed(&[(4, 0)])).problems[0];
    assert_eq!(problem.expected.as_deref(), Some("32 bytes"));
    assert_eq!(problem.found.as_deref(), Some("4 bytes: l0 4"));
    let layout = "struct mixed { /* 32 bytes */
    u32 device; /* offset 0, 4 bytes */
    u8 operation; /* offset 4, 1 byte */
    /* offset 5, 3 bytes of padding */
    u64 time; /* offset 8, 8 bytes */
    char comm[8]; /* offset 16, 8 bytes */
    u32 whole; /* offset 24, 4 bytes */
    u16 halves[2]; /* offset 24, 4 bytes */
    u16 low; /* offset 24, 2 bytes */
    u16 high; /* offset 26, 2 bytes */
    /* offset 28, 4 bytes of padding */
}";
    assert_eq!(problem.layout.as_deref(), Some(layout));
    let cut = checked(&mixed(&[(2, 2), (1, 3), (8, 0), (8, 0), (4, 4)]));
    assert_eq!(cut.problems[0].layout.as_deref(), Some(layout));
}
