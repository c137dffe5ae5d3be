//! What bounds series and entries.

use std::time::Duration;

use bpftally::spec::SeriesLimit;

use super::*;

/// The limit of a counter of two labels, and what is wrong with it.
fn limit_of(keys: &str, default: Option<usize>) -> (Option<SeriesLimit>, Vec<String>, String) {
    let text = format!(
        "metrics:\n  counters:\n    - name: hash_8\n      help: h\n      {keys}\n      labels:\n      - {{name: user, size: 4, decoders: [{{name: uint}}]}}\n      - {{name: comm, size: 4, decoders: [{{name: string}}]}}\n"
    );
    let options = Options { max_series: default, ..options() };
    let checked = check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object().file(), &options);
    let limit = checked.spec.map(|spec| spec.view.metrics[0].limit.clone());
    (limit, brief(&checked.problems), format!("{:#?}", checked.problems))
}

#[track_caller]
fn good(
    keys: &str,
    default: Option<usize>,
    max: Option<usize>,
    other: Option<[&str; 2]>,
    length: Option<usize>,
) {
    let (limit, problems, all) = limit_of(keys, default);
    let other = other.map(|texts| texts.map(str::to_owned).to_vec());
    assert_eq!(limit, Some(SeriesLimit { max_series: max, other, max_label_length: length }), "{all}");
    assert_eq!(problems, [""; 0]);
}

#[test]
fn limits_are_read() {
    good("x-nothing: 1", None, None, None, None);
    good("max_series: 1_000", None, Some(1000), None, None);
    good("max_series: ~", Some(7), Some(7), None, None);
    good("max_series: 9", Some(7), Some(9), None, None);
    good("max_series: 0", Some(7), None, None, None);
    good("max_label_length: 64", None, None, None, Some(64));
    good("max_label_length: 7", None, None, None, Some(7));
    good("max_label_length: ~", None, None, None, None);
    // In the order of the page, which is that of the names.
    let rest = "max_series: 5\n      other: {user: all others}";
    good(rest, None, Some(5), Some(["other", "all others"]), None);
    good("other: {comm: 1, user: yes}", Some(7), Some(7), Some(["1", "yes"]), None);
    good("other: {}", Some(7), Some(7), Some(["other", "other"]), None);
}

#[track_caller]
fn bad(keys: &str, problem: &str, words: &str) {
    let (limit, problems, all) = limit_of(keys, None);
    assert_eq!(problems.first().map(String::as_str), Some(problem), "{all}");
    assert!(all.contains(words), "{words} is not in {all}");
    assert_eq!(limit.is_none(), !problem.starts_with('?'), "{all}");
}

#[test]
fn limits_that_make_no_sense_are_told() {
    bad("max_series: -1", "bad-limit 5:19 (hash_8)", "0 for as many as there are");
    bad("max_series: many", "wrong-type 5:19 (hash_8)", "a whole number");
    bad("max_label_length: 6", "bad-limit 5:25 (hash_8)", "7 bytes or more");
    bad("max_label_length: -6", "bad-limit 5:25 (hash_8)", "7 bytes or more");
    bad("other: rest", "wrong-type 5:14 (hash_8)", "a mapping from labels to texts");
    bad("other: {usr: rest}", "bad-limit 5:15 (hash_8)", "did you mean `user`?");
    bad("other: {user: ''}", "bad-limit 5:15 (hash_8)", "no label to Prometheus");
    bad("other: {user: [rest]}", "wrong-type 5:21 (hash_8)", "text");
    bad("other: {user: rest}", "?unused-key 5:14 (hash_8)", "without `max_series`");
}

#[test]
fn what_starts_at_zero_counts_against_the_limit() {
    let of = |max: &str, default: Option<usize>| {
        let text = format!(
            "metrics:\n  counters:\n    - name: hash_1\n      help: h\n      zero: true\n{max}      labels: [{{name: a, size: 1, decoders: [{{name: uint}}, {{name: static_map, static_map: {{1: a, 2: b}}}}]}}]\n"
        );
        let options = Options { max_series: default, ..options() };
        let checked = check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object().file(), &options);
        let limit = checked.spec.and_then(|spec| spec.view.metrics[0].limit.max_series);
        (limit, brief(&checked.problems).join(" "))
    };
    assert_eq!(of("      max_series: 2\n", None), (Some(2), String::new()));
    assert_eq!(
        of("      max_series: 1\n", None),
        (None, "bad-limit 6:19 (hash_1) no-metric-left -".to_owned())
    );
    assert_eq!(of("", Some(1)), (Some(2), String::new()));
    assert_eq!(of("      max_series: 0\n", Some(1)), (None, String::new()));
}

#[test]
fn a_metric_without_labels_has_no_rest() {
    let checked = checked("metrics: {counters: [{name: array, help: h, max_series: 5, other: {}}]}\n");
    assert_eq!(brief(&checked.problems), ["?unused-key 1:67 (array)"]);
}

#[test]
fn entries_of_hashes_expire() {
    let of = |map: &str, expire: &str| {
        let text = format!(
            "maps: {{{map}: {{expire: {expire}}}}}\nmetrics: {{gauges: [{{name: value_u8, help: h, labels: [{{name: a, size: 4, decoders: [{{name: uint}}]}}]}}]}}\n"
        );
        let checked = checked(&text);
        let expiries = checked.spec.map(|spec| {
            assert_eq!(spec.load.maps, []);
            spec.view.expiries
        });
        let after =
            expiries.map(|all| all.iter().map(|one| (one.map.clone(), one.after)).collect::<Vec<_>>());
        (after, brief(&checked.problems).join(" "))
    };
    let hour = Duration::from_secs(3600);
    for map in ["hash_4", "hash_16", "percpu_hash_6", "percpu_lru"] {
        assert_eq!(of(map, "1h"), (Some(vec![(map.to_owned(), hour)]), String::new()));
    }
    assert_eq!(of("hash_4", "1s").1, "");
    assert_eq!(of("hash_4", "~"), (Some(Vec::new()), String::new()));
    assert_eq!(of("hash_4", "5400000000000").0, Some(vec![("hash_4".to_owned(), hour * 3 / 2)]));
    assert_eq!(of("hash_4", "3600"), (None, "bad-expire 1:25".to_owned()));
    assert_eq!(of("hash_4", "soon"), (None, "wrong-type 1:25".to_owned()));
    for map in ["array", "percpu_array", "trie", "ring"] {
        let position = "maps: {: {expire: ".len() + map.len() + 1;
        assert_eq!(of(map, "1h"), (None, format!("bad-expire 1:{position}")));
    }
    assert_eq!(of("value_u8", "1h").1, "?expiring-gauge 1:27");
    assert_eq!(of("hash_44", "1h"), (None, "missing-map 1:8".to_owned()));
}
