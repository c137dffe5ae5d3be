//! Interrupts, and what is put off in them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::common::exporter::values_of;

use super::{Held, LEFT_OUT, assert_held, cause_interrupts, hold, start, start_with};

#[test]
fn softirqs_are_those_of_each_cpu() {
    let exporter = start_with("softirqs", &["--bpf.stats=on"]);
    type Counts = BTreeMap<(String, String), f64>;
    let kernel = || -> Counts {
        let text = std::fs::read_to_string("/proc/softirqs").unwrap();
        let mut lines = text.lines();
        let cpus: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        let mut counts = Counts::new();
        for line in lines {
            let (vector, numbers) = line.split_once(':').unwrap();
            for (cpu, number) in cpus.iter().zip(numbers.split_whitespace()) {
                let cpu = cpu.strip_prefix("CPU").unwrap().to_string();
                counts.insert((vector.trim().to_lowercase(), cpu), number.parse().unwrap());
            }
        }
        counts
    };
    let page = || -> Counts {
        let series = exporter.values("ebpf_exporter_softirqs_total");
        series
            .into_iter()
            .map(|(labels, count)| ((labels["vec"].clone(), labels["cpu"].clone()), count))
            .collect()
    };
    let first = hold(kernel, page);
    std::thread::sleep(Duration::from_secs(1));
    let second = hold(kernel, page);
    let of = |held: &Held<Counts>, key: &(String, String)| {
        let count =
            |counts: &Counts| counts.get(key).copied().unwrap_or_else(|| panic!("{key:?} is missing"));
        Held { before: count(&held.before), page: count(&held.page), after: count(&held.after) }
    };
    for key in first.before.keys() {
        let (first, second) = (of(&first, key), of(&second, key));
        let most = second.after - first.before;
        // What was run is exact, and what the kernel counted is never less.
        assert_held(&format!("{key:?}"), &first, &second, 3.0 + most * LEFT_OUT);
        assert!(second.page - first.page <= most + 1.0, "{key:?}: more than the kernel's {most}");
    }
    // As often as the kernel says that the program ran; the page reads the one a moment after the other.
    let text = exporter.page();
    let runs: f64 =
        values_of(&text, "ebpf_exporter_ebpf_program_run_count_total").iter().map(|run| run.1).sum();
    let counted: f64 = values_of(&text, "ebpf_exporter_softirqs_total").iter().map(|count| count.1).sum();
    assert!(runs > 0.0 && (runs - counted).abs() <= 20.0, "{counted} of {runs} runs were counted");
    let all: f64 = second.page.values().sum();
    assert!(all > first.page.values().sum::<f64>(), "the timer ticks");
}

/// What a family's series add up to, by one of their labels.
fn sums(series: &[(BTreeMap<String, String>, f64)], label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (labels, value) in series {
        *sums.entry(labels[label].clone()).or_default() += value;
    }
    sums
}

#[test]
fn handlers_of_interrupts_ran_as_often_as_the_kernel_says() {
    let exporter = start("hardirqs");
    type Counts = BTreeMap<String, f64>;
    // Lines with a number, whose counts of all CPUs stand before the names of chip and devices.
    let kernel = || -> Counts {
        let text = std::fs::read_to_string("/proc/interrupts").unwrap();
        let cpus = text.lines().next().unwrap().split_whitespace().count();
        let numbered = text.lines().filter_map(|line| line.trim().split_once(':'));
        let numbered = numbered.filter(|(irq, _)| irq.parse::<u32>().is_ok());
        let count =
            |rest: &str| rest.split_whitespace().take(cpus).map(|count| count.parse::<f64>().unwrap()).sum();
        numbered.map(|(irq, rest)| (irq.to_owned(), count(rest))).collect()
    };
    let page =
        |what: &str| sums(&exporter.values(&format!("ebpf_exporter_hardirq_time_seconds_{what}")), "irq");
    let (begin, seconds) = (Instant::now(), page("sum").values().sum::<f64>());
    let first = hold(kernel, || page("count"));
    // Devices are slow: they ask when they have done their work. A handler that runs is counted when it has ended.
    let counted = |counts: &Counts| counts.values().sum::<f64>();
    while counted(&page("count")) == counted(&first.page) {
        assert!(begin.elapsed() < Duration::from_secs(60), "there were no interrupts");
        cause_interrupts();
    }
    let second = hold(kernel, || page("count"));
    let seconds = page("sum").values().sum::<f64>() - seconds;
    let wall = begin.elapsed().as_secs_f64();

    for irq in second.page.keys() {
        let of = |held: &Held<Counts>| {
            let count = |counts: &Counts| counts.get(irq).copied().unwrap_or_default();
            Held { before: count(&held.before), page: count(&held.page), after: count(&held.after) }
        };
        let (first, second) = (of(&first), of(&second));
        // One in flight on each of two CPUs.
        assert_held(irq, &first, &second, 3.0 + (second.after - first.before) * LEFT_OUT);
    }
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    assert!(0.0 < seconds && seconds <= wall * cpus, "{seconds} s in {wall} s");
}

#[test]
fn softirqs_wait_and_run_as_often_as_the_kernel_says() {
    let exporter = start("softirqlat");
    let kernel = || -> BTreeMap<String, f64> {
        let text = std::fs::read_to_string("/proc/softirqs").unwrap();
        let lines = text.lines().skip(1).map(|line| line.split_once(':').unwrap());
        let sum =
            |numbers: &str| numbers.split_whitespace().map(|number| number.parse::<f64>().unwrap()).sum();
        lines.map(|(vector, numbers)| (vector.trim().to_lowercase(), sum(numbers))).collect()
    };
    let page = |family: &str| sums(&exporter.values(&format!("ebpf_exporter_softirq_{family}")), "vec");
    let (begin, latencies) = (Instant::now(), page("latency_seconds_count"));
    let first = hold(kernel, || page("time_seconds_count"));
    std::thread::sleep(Duration::from_secs(1));
    let second = hold(kernel, || page("time_seconds_count"));
    let waits = page("latency_seconds_count");
    let wall = begin.elapsed().as_secs_f64();
    for vector in first.before.keys() {
        let of = |held: &Held<BTreeMap<String, f64>>| Held {
            before: held.before[vector],
            page: held.page[vector],
            after: held.after[vector],
        };
        let (first, second) = (of(&first), of(&second));
        let most = second.after - first.before;
        assert_held(vector, &first, &second, 3.0 + most * LEFT_OUT);
        // Whatever ran was raised before, by an event that may not have been shown either; the first reading
        // of these is before those, and the last one behind them.
        let (waits, ran) = (waits[vector] - latencies[vector], second.page - first.page);
        assert!(waits >= ran * (1.0 - LEFT_OUT) - 3.0, "{vector}: {waits} waited, and {ran} ran");
    }
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    let ran: f64 = page("time_seconds_sum").values().sum();
    assert!(0.0 < ran && ran <= (wall + 60.0) * cpus, "{ran} s");
    assert!(page("latency_seconds_sum").values().sum::<f64>() > 0.0);
}
