//! Probes of user space and of the kernel, and tracepoints.

use super::{Subject, missing, texts, wrong};
use crate::config::check::Sink;
use crate::host::Pattern;
use crate::spec::{Binaries, Uprobe, Usdt};

pub(super) fn uprobe(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Uprobe> {
    let binaries = binaries(sink, subject);
    let function = subject.kind.text("function").map(|found| found.value.clone()).unwrap_or_default();
    let offset = subject.kind.integer("offset").map(|found| found.value);
    if function.is_empty() && offset.is_none() {
        missing(
            sink,
            subject,
            "function",
            "the name of a function such as malloc, or an `offset` of the file",
        );
        return None;
    }
    if offset.is_some() && is_multi(subject) {
        wrong(sink, subject, "offset", "none: such programs are attached to functions", "an offset");
        return None;
    }
    let offset = usize::try_from(offset.unwrap_or(0)).ok()?;
    Some(Uprobe { binaries: binaries?, function, offset })
}

pub(super) fn usdt(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Usdt> {
    let binaries = binaries(sink, subject);
    let provider = text(sink, subject, "provider", "whose probe it is, as `readelf -n` shows it");
    let name = text(sink, subject, "probe", "its name, as `readelf -n` shows it");
    Some(Usdt { binaries: binaries?, provider: provider?, name: name? })
}

/// A function or a pattern, of `ksyscall` a system call.
pub(super) fn kprobe(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<String> {
    let function = text(sink, subject, "function", "the name of a function of the kernel")?;
    let is_of_calls = subject.section.is_some_and(|section| section.prefix().ends_with("syscall"));
    if is_of_calls && !Pattern::new(&*function).is_exact() {
        let expected = "one system call: SEC(\"kprobe\") and SEC(\"kprobe.multi\") take patterns";
        wrong(sink, subject, "function", expected, &function);
        return None;
    }
    Some(function)
}

/// A name, with its category where tracefs is asked.
pub(super) fn tracepoint(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<String> {
    let is_of_tracefs = subject.section.is_some_and(|section| section.program_type == "tracepoint");
    let expected = if is_of_tracefs {
        "category and name, such as sched/sched_switch"
    } else {
        "a name without its category, such as sched_switch"
    };
    let name = text(sink, subject, "name", expected)?;
    let parts = name.split('/').filter(|part| !part.is_empty()).count();
    if parts != if is_of_tracefs { 2 } else { 1 } || name.matches('/').count() != parts - 1 {
        wrong(sink, subject, "name", expected, &name);
        return None;
    }
    Some(name)
}

/// A text that must be there.
pub(super) fn text(
    sink: &mut Sink<'_>,
    subject: &Subject<'_>,
    option: &str,
    expected: &str,
) -> Option<String> {
    let found = subject.kind.text(option).filter(|found| !found.value.is_empty());
    if found.is_none() {
        missing(sink, subject, option, expected);
    }
    found.map(|found| found.value.clone())
}

fn is_multi(subject: &Subject<'_>) -> bool {
    subject.section.is_some_and(|section| {
        let prefix = section.prefix();
        prefix.contains(".multi") || prefix.contains(".session")
    })
}

fn binaries(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Binaries> {
    let expected = "paths of files, with * for any letters of a name, or names such as libc.so.6";
    let files = texts(sink, subject, "binary", expected)?;
    let roots = subject.kind.texts("root");
    if let Some(root) = roots.iter().find(|root| !root.value.starts_with('/')) {
        wrong(sink, subject, "root", "folders such as /proc/*/root", &root.value);
        return None;
    }
    let process = match subject.kind.integer("pid") {
        None => None,
        Some(found) => {
            let process = i32::try_from(found.value).ok().filter(|process| *process > 0);
            if process.is_none() {
                wrong(sink, subject, "pid", "the number of a process", &found.value.to_string());
            }
            Some(process?)
        }
    };
    Some(Binaries {
        files: files.iter().map(|file| file.value.clone()).collect(),
        roots: roots.iter().map(|root| root.value.clone()).collect(),
        process,
    })
}
