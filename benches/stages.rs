//! The pure stages of a scrape, each by itself: copy, decode, group, fold, render.
//!
//! `cargo bench --bench stages` prints rows and bytes in a second, the best of some runs: what is
//! slower was disturbed. `valgrind --tool=callgrind` counts instructions of the same program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::decode::{Chain, Params};
use bpftally::host::{Host, Roots};
use bpftally::page::{Family, TextPage, Type};
use bpftally::series::{Groups, Labels, Ledger, LedgerShape, Number, NumberKind, push_label};
use bpftally::snapshot::fixture::Literal;
use bpftally::snapshot::{Column, KeyForm, Limits, Reduce, Shape, Snapshot, ValueSpec, Wanted};

const ROWS: u32 = 100_000;
const SETS: u32 = 1_000;
const SLOTS: usize = 29;
const RUNS: usize = 20;

fn main() {
    copy();
    decode();
    group();
    fold();
    render();
}

/// The best of some runs; `work` says how many bytes it wrote or read.
fn measure(name: &str, rows: u32, mut work: impl FnMut() -> usize) {
    let run = |_| {
        let began = Instant::now();
        let bytes = work();
        (began.elapsed(), bytes)
    };
    let best: Option<(Duration, usize)> = (0..RUNS).map(run).min();
    let Some((time, bytes)) = best else { return };
    let seconds = time.as_secs_f64();
    println!(
        "{name:<28} {:>6.1} ns a row, {:>6.1} million rows/s, {:>5} MB/s",
        seconds * 1e9 / f64::from(rows),
        f64::from(rows) / seconds / 1e6,
        (bytes as f64 / seconds / 1e6).round(),
    );
}

/// A key `{u32 a; u32 b; char comm[16]}`, as in docs/performance.md.
fn key(row: u32) -> [u8; 24] {
    let mut key = [0; 24];
    key[..4].copy_from_slice(&row.wrapping_mul(2_654_435_761).to_ne_bytes());
    key[4..8].copy_from_slice(&(row % 64).to_ne_bytes());
    let comm = format!("worker-{}", row % 1000);
    key[8..8 + comm.len()].copy_from_slice(comm.as_bytes());
    key
}

/// Batches to a snapshot, without and with a look at the form of each key: text, bytes that nothing shows, or both.
fn copy() {
    let shape = Shape { key_size: 24, value_size: 8, lanes: 1, lane_stride: 8 };
    let keys: Vec<_> = (0..ROWS).map(key).collect();
    let source = Literal::new(shape, keys.iter().map(|key| (&key[..], &[7; 8][..])));
    let columns = [Column::new(ValueSpec::unsigned(0, 8), Reduce::Sum)];
    let text = KeyForm::new(24, std::iter::once(8..24).collect(), Vec::new());
    let unseen = KeyForm::new(24, Vec::new(), [[0; 20].as_slice(), &[0xff; 4]].concat());
    let both = KeyForm::new(24, std::iter::once(8..20).collect(), [[0; 20].as_slice(), &[0xff; 4]].concat());
    let limits = Limits { deadline: Instant::now() + Duration::from_secs(3600), max_bytes: usize::MAX };
    let spare = Arc::default();
    let none = KeyForm::default();
    for (name, form) in [("", &none), (", text", &text), (", unseen bytes", &unseen), (", both", &both)] {
        let wanted = Wanted { columns: &columns, forms: std::slice::from_ref(form), spare: Some(&spare) };
        measure(&format!("copy{name}"), ROWS, || {
            let snapshot = Snapshot::read_on(1, &source, wanted, &limits).expect("a source that can be read");
            assert!(snapshot.has_form(0), "else nothing more is looked at");
            snapshot.bytes()
        });
    }
}

fn chain(names: &[&str], size: usize) -> Chain {
    let pairs = (0..64).map(|n| (n.to_string(), format!("name-{n}"))).collect();
    let params =
        Params { static_map: Some(pairs), regexps: vec!["^worker-(.*)$".to_owned()], ..Params::default() };
    let steps: Vec<_> = names.iter().map(|name| ((*name).to_owned(), params.clone())).collect();
    Chain::build(&steps, size, &Arc::new(Host::new(Roots::default()))).expect("a good chain")
}

fn decode() {
    let keys: Vec<_> = (0..ROWS).map(key).collect();
    let chains: [(&[&str], std::ops::Range<usize>); 7] = [
        (&["uint"], 0..4),
        (&["string"], 8..24),
        (&["uint", "static_map"], 4..8),
        (&["hex"], 0..4),
        (&["inet_ip"], 0..4),
        (&["inet_ip"], 8..24),
        (&["string", "regexp"], 8..24),
    ];
    for (names, place) in chains {
        let chain = chain(names, place.len());
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        measure(&format!("decode {} of {}", names.join(", "), place.len()), ROWS, || {
            out.clear();
            for key in &keys {
                let _ = chain.decode(&key[place.clone()], &mut out, &mut scratch);
            }
            out.len()
        });
    }
}

/// Keys with their label lists.
fn rows() -> Vec<([u8; 24], Vec<u8>)> {
    let chains = [(chain(&["uint"], 4), 0..4), (chain(&["uint"], 4), 4..8), (chain(&["string"], 16), 8..24)];
    let list = |key: &[u8; 24]| {
        let mut list = Vec::new();
        for (chain, place) in &chains {
            let _ = push_label(&mut list, |out| chain.decode(&key[place.clone()], out, &mut Vec::new()));
        }
        list
    };
    (0..ROWS).map(key).map(|key| (key, list(&key))).collect()
}

fn group() {
    let rows = rows();
    let bytes: usize = rows.iter().map(|(_, list)| list.len()).sum();
    measure("group", ROWS, || {
        let mut groups = Groups::new(1);
        groups.reserve(rows.len(), bytes);
        for (_, list) in &rows {
            groups.add(list, 0, Number::U64(7));
        }
        groups.bytes()
    });
}

fn shape(key_size: usize, stride: usize) -> LedgerShape {
    let (keys, series) = (String::new(), String::new());
    LedgerShape { key_size, stride, kind: NumberKind::U64, total: None, keys, series }
}

fn fold() {
    let rows = rows();
    let mut ledger = Ledger::new(shape(24, 1));
    let mut turn = 0;
    for (name, is_known) in [("fold, labels decoded", false), ("fold, known keys", true)] {
        measure(name, ROWS, || {
            turn += 1;
            ledger.begin();
            for (key, list) in &rows {
                if !(is_known && ledger.again(key, turn)) {
                    ledger.add(key, list, 0, turn);
                }
            }
            let mut groups = Groups::distinct(1);
            ledger.finish(&mut groups, |_| 1.0);
            groups.bytes()
        });
    }
    let mut slots = Ledger::new(shape(16, SLOTS));
    let keys = (0..SETS).flat_map(|set| (0..SLOTS).map(move |slot| (set, slot)));
    let rows: Vec<_> = keys
        .zip(rows.iter())
        .map(|((set, slot), (key, _))| (key, rows[set as usize].1.as_slice(), slot))
        .collect();
    measure("fold, slots of histograms", SETS * SLOTS as u32, || {
        turn += 1;
        slots.begin();
        for (key, list, slot) in &rows {
            if !slots.again(&key[..16], turn) {
                slots.add(&key[..16], list, *slot, turn);
            }
        }
        let mut groups = Groups::distinct(SLOTS);
        slots.finish(&mut groups, |_| 1.0);
        groups.bytes()
    });
}

fn render() {
    let rows = rows();
    let labels = ["a", "b", "comm"];
    let family = Family::new("ebpf_exporter_bench_total", "Bench", Type::Counter, labels);
    measure("render", ROWS, || {
        let mut page = TextPage::default();
        page.begin_family(&family);
        for (row, (_, list)) in (0u64..).zip(&rows) {
            page.row(&family, Labels::new(list), Number::U64(row * 12_345));
        }
        page.len()
    });
    let bounds: Vec<f64> = (0..27).map(|slot| f64::from(1u32 << slot) * 1e-6).collect();
    let family = Family::histogram("ebpf_exporter_bench_seconds", "Bench", labels, &bounds);
    measure("render, lines of histograms", SETS * 30, || {
        let mut page = TextPage::default();
        page.begin_family(&family);
        for (_, list) in rows.iter().take(SETS as usize) {
            page.histogram(&family, Labels::new(list), (0..28).map(|slot| slot * 10), Number::F64(0.5));
        }
        page.len()
    });
}
