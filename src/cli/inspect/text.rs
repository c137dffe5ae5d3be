//! The report for people: aligned, and no wider than 80 columns wherever names allow it.

use std::fmt::Write;

use super::report::{
    ExternReport, KernelReport, MapReport, MemoryReport, ProgramReport, RelocationsReport, Report,
    TypeReport, VariableReport,
};
use crate::problem::Severity;

const WIDTH: usize = 80;
/// Members of one type that are shown; JSON has all.
const MAX_MEMBERS: usize = 64;
/// Lines that one declaration with its value may take.
const MAX_LINES: usize = 8;
/// Where the text behind a label begins.
const INDENT: usize = 16;

impl Report {
    /// The report as text; with each CO-RE relocation, or only their number.
    #[must_use]
    pub fn to_text(&self, relocations: bool) -> String {
        let mut page = Page::default();
        self.summary(&mut page);
        self.problems(&mut page);
        self.programs.iter().for_each(|found| program(&mut page, found));
        self.maps.iter().for_each(|found| map(&mut page, "map", found));
        variables(&mut page, &self.variables);
        externs(&mut page, &self.externs);
        self.functions(&mut page);
        core_relocations(&mut page, &self.core_relocations, relocations);
        page.0
    }

    fn summary(&self, page: &mut Page) {
        page.line(&clean(&self.object));
        let license = match &self.license {
            Some(license) if self.gpl_compatible => format!("{license} (GPL-compatible)"),
            Some(license) => format!("{license} (not GPL-compatible)"),
            None => "none (not GPL-compatible)".to_owned(),
        };
        page.field("licence", &clean(&license));
        page.field("byte order", &format!("{}-endian", self.byte_order));
        if let Some(architecture) = self.architecture {
            page.field("machine", &format!("{architecture} alone, by the file's name"));
        }
        let btf = if self.needs_kernel_btf { "; the kernel's BTF is needed" } else { "" };
        let since = self.kernel.as_ref().map_or("not known".to_owned(), since);
        page.field("kernel", &format!("{since}{btf}"));
        let count = |severity| self.problems.iter().filter(|problem| problem.severity == severity).count();
        let verdict = match (count(Severity::Error), count(Severity::Warning)) {
            (0, 0) => "yes".to_owned(),
            (0, warnings) => format!("yes, with {}", counted(warnings, "warning")),
            (errors, _) => format!("no: {}", counted(errors, "error")),
        };
        page.field("usable as is", &verdict);
    }

    fn problems(&self, page: &mut Page) {
        for problem in &self.problems {
            page.gap();
            page.wrapped("", &format!("{}[{}]: {}", problem.severity, problem.code, clean(&problem.message)));
            let details = [("found: ", &problem.found), ("help: ", &problem.help)];
            for (label, text) in details {
                if let Some(text) = text {
                    page.wrapped("  ", &format!("{label}{}", clean(text)));
                }
            }
        }
    }

    fn functions(&self, page: &mut Page) {
        if self.functions.iter().all(|function| function.program) {
            return;
        }
        page.heading("functions", self.functions.len());
        let rows = self.functions.iter().map(|function| {
            let what = match (function.program, function.is_static) {
                (true, _) => "program",
                (false, true) => "static",
                (false, false) => "global",
            };
            [function.instructions.to_string(), what.to_owned(), clean(&function.name)]
        });
        page.table(["INSTRUCTIONS", "KIND", "NAME"], &[true, false, false], rows.collect());
    }
}

fn program(page: &mut Page, found: &ProgramReport) {
    page.gap();
    page.line(&format!("program {}", clean(&found.name)));
    let section = clean(&found.section);
    let switched_off = if found.autoload { "" } else { " (with ?: neither loaded nor attached)" };
    page.field("section", &format!("{section}{switched_off}"));
    let kind = match (found.kind, found.attach_type) {
        (Some(kind), Some(attach)) if kind != attach => format!("{kind}, {attach}"),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "not known".to_owned(),
    };
    page.field("type", &format!("{kind}{}", if found.sleepable { ", sleepable" } else { "" }));
    match &found.target {
        Some(target) if found.attaches => page.field("attaches to", &clean(target)),
        None if found.attaches && matches!(found.kind, Some("sk_lookup" | "flow_dissector")) => {
            page.field("attaches to", "the exporter's network namespace");
        }
        None if found.attaches => page.field("attaches to", "the root of the cgroups"),
        _ => page.field("attaches to", "nothing by itself"),
    }
    page.field("kernel", &found.kernel.as_ref().map_or("not known".to_owned(), since));
    let total = counted(usize::try_from(found.instructions).unwrap_or(usize::MAX), "instruction");
    let with =
        if found.functions.is_empty() { String::new() } else { format!(", with {}", list(&found.functions)) };
    page.field("size", &format!("{total}{with}"));
    let helpers = found.helpers.iter().map(|helper| {
        let mark = if helper.gpl_only { " (GPL)" } else { "" };
        format!("{}{mark}", helper.name)
    });
    page.list("helpers", &helpers.collect::<Vec<_>>());
    page.list("kernel funcs", &found.kernel_functions);
    page.list("maps", &found.maps);
}

fn map(page: &mut Page, title: &str, found: &MapReport) {
    page.gap();
    let entries = match found.max_entries {
        0 => String::new(),
        _ if found.kind == "ringbuf" => format!(", {}", bytes(found.max_entries.into())),
        1 => ", 1 entry".to_owned(),
        count => format!(", {count} entries"),
    };
    page.wrapped("", &format!("{title} {}: {}{entries}", clean(&found.name), found.kind));
    match found.kind.as_str() {
        "ringbuf" => page.field("metrics", &format!("of its events: `ringbuf: {}`", clean(&found.name))),
        "perf_event_array" => page.field("metrics", "of its events: `perf_event_array: true`"),
        "array_of_maps" | "hash_of_maps" if found.readable => {
            page.field("metrics", "of the maps in it; labels of its own key: `outer: true`");
        }
        _ if found.readable => {}
        _ => page.field("metrics", "none: this kind of map is not read key by key"),
    }
    page.field("kernel", &found.kernel.as_ref().map_or("not known".to_owned(), since));
    page.list("flags", &found.flags);
    if found.pinning.is_some() {
        page.field("pinned", "by name, below /sys/fs/bpf");
    }
    if let Some(node) = found.numa_node {
        page.field("NUMA node", &node.to_string());
    }
    if found.map_extra != 0 {
        page.field("map_extra", &found.map_extra.to_string());
    }
    if let Some(memory) = &found.memory {
        page.field("memory", &memory_text(memory));
    }
    described(page, "key", found.key.as_ref(), found.key_size);
    match found.kind.as_str() {
        "array_of_maps" | "hash_of_maps" => page.field("value", "a map"),
        "prog_array" => page.field("value", "a program"),
        _ => described(page, "value", found.value.as_ref(), found.value_size),
    }
    if let Some(inner) = &found.inner {
        map(page, "inner map", inner);
    }
}

fn memory_text(memory: &MemoryReport) -> String {
    let per_cpu = match memory.bytes_per_cpu {
        0 => String::new(),
        each => format!(" and {} for each CPU", bytes(each)),
    };
    let when = if memory.preallocated { "" } else { " when it is full" };
    format!("about {}{per_cpu}{when}", bytes(memory.bytes))
}

fn described(page: &mut Page, label: &str, found: Option<&TypeReport>, size: u32) {
    let Some(found) = found else {
        if size > 0 {
            page.field(label, &format!("{}, of no declared type", counted(size as usize, "byte")));
        }
        return;
    };
    let size = usize::try_from(found.size).unwrap_or(usize::MAX);
    page.field(label, &format!("{}, {}", clean(&found.name), counted(size, "byte")));
    if let Some(problem) = &found.problem {
        page.field("", problem);
    }
    if matches!(found.members.as_slice(), [only] if only.path.is_empty()) {
        return;
    }
    let members = found.members.iter().map(|member| {
        let size = member.bit_width.map_or(member.size.to_string(), |width| format!(":{width}"));
        let bits =
            member.bit_shift.filter(|shift| *shift > 0).map(|shift| format!(" /* from bit {shift} */"));
        (member.offset, size, format!("{};{}", clean(&member.declaration), bits.unwrap_or_default()))
    });
    let padding =
        found.padding.iter().map(|gap| (gap.offset, gap.size.to_string(), "/* padding */".to_owned()));
    let mut rows: Vec<_> = members.chain(padding).collect();
    rows.sort_by_key(|(offset, _, _)| *offset);
    if rows.is_empty() {
        return;
    }
    page.row("OFFSET", "SIZE", "");
    for (offset, size, declaration) in rows.iter().take(MAX_MEMBERS) {
        page.row(&offset.to_string(), size, declaration);
    }
    if rows.len() > MAX_MEMBERS {
        page.row("", "", &format!("/* and {} more */", rows.len() - MAX_MEMBERS));
    }
}

fn variables(page: &mut Page, found: &[VariableReport]) {
    if found.is_empty() {
        return;
    }
    page.heading("global variables", found.len());
    let mut section = "";
    for variable in found {
        if variable.section != section {
            section = &variable.section;
            page.line(&format!("  {}", clean(section)));
            page.row("OFFSET", "SIZE", "");
        }
        let mark = if variable.is_static { "static " } else { "" };
        let declared = format!("{mark}{}", clean(&variable.declaration));
        let text = match variable.section.starts_with(".bss") {
            true => format!("{declared};"),
            false => format!("{declared} = {};", variable.initial),
        };
        page.row(&variable.offset.to_string(), &variable.size.to_string(), &text);
    }
}

fn externs(page: &mut Page, found: &[ExternReport]) {
    if found.is_empty() {
        return;
    }
    page.heading("wanted of the kernel", found.len());
    let rows = found.iter().map(|wanted| {
        let need = if wanted.weak { "may be missing" } else { "must be there" };
        [wanted.kind.replace('_', " "), need.to_owned(), clean(&wanted.name), clean(&wanted.type_name)]
    });
    page.table(["KIND", "", "NAME", "TYPE"], &[false; 4], rows.collect());
}

fn core_relocations(page: &mut Page, found: &RelocationsReport, all: bool) {
    if found.count == 0 {
        return;
    }
    page.heading("CO-RE relocations", found.count);
    if !all {
        let rows = found.by_kind.iter().map(|(kind, count)| [count.to_string(), kind.clone()]);
        page.table(["COUNT", "KIND"], &[true, false], rows.collect());
        page.wrapped("  ", "--relocations lists them");
        return;
    }
    let rows = found.list.iter().map(|relocation| {
        let place = if relocation.function.is_empty() { &relocation.section } else { &relocation.function };
        [
            relocation.kind.clone(),
            clean(relocation.path.as_deref().unwrap_or("? (its BTF does not have it)")),
            format!("{}+{}", clean(place), relocation.instruction),
        ]
    });
    page.table(["KIND", "PATH", "INSTRUCTION"], &[false; 3], rows.collect());
}

fn since(kernel: &KernelReport) -> String {
    format!("{} or later ({})", kernel.since, clean(&kernel.because))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) if count.is_multiple_of(*unit) => format!("{} {name}", count / unit),
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / *unit as f64),
        None if count == 1 => "1 byte".to_owned(),
        None => format!("{count} bytes"),
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| clean(name)).collect::<Vec<_>>().join(", ")
}

/// Names of an object may hold anything, also what moves a terminal's cursor.
fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let shown: Vec<char> =
                if letter.is_control() { letter.escape_default().collect() } else { vec![letter] };
            shown
        })
        .collect()
}

/// The text while it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }

    fn heading(&mut self, title: &str, count: usize) {
        self.gap();
        self.line(&format!("{title} ({count})"));
    }

    /// A label and its text, which is wrapped behind it.
    fn field(&mut self, label: &str, text: &str) {
        let mut start = format!("  {label:<width$}", width = INDENT - 2);
        for line in wrap(text, WIDTH - INDENT) {
            self.line(&format!("{start}{line}"));
            start = " ".repeat(INDENT);
        }
    }

    fn list(&mut self, label: &str, names: &[String]) {
        if !names.is_empty() {
            self.field(label, &list(names));
        }
    }

    /// A paragraph, of which all lines but the first stand further in.
    fn wrapped(&mut self, indent: &str, text: &str) {
        let mut start = indent.to_owned();
        for line in wrap(text, WIDTH - indent.len() - 4) {
            self.line(&format!("{start}{line}"));
            start = format!("{indent}    ");
        }
    }

    /// Offset, size and declaration; what is too long for some lines is cut, as JSON has it whole.
    fn row(&mut self, offset: &str, size: &str, declaration: &str) {
        let mut start = format!("{offset:>12}{size:>8}  ");
        let rest = " ".repeat(start.len() + 4);
        let width = WIDTH - rest.len();
        for line in wrap(&broken(&cut(declaration, width * MAX_LINES), width), width) {
            self.line(&format!("{start}{line}"));
            start.clone_from(&rest);
        }
    }

    fn table<const N: usize>(&mut self, head: [&str; N], right: &[bool], rows: Vec<[String; N]>) {
        let mut widths = head.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head = head.map(str::to_owned);
        for row in std::iter::once(&head).chain(&rows) {
            let mut line = String::new();
            for ((cell, width), right) in row.iter().zip(widths).zip(right) {
                let _ =
                    if *right { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:<width$}") };
            }
            self.line(&line);
        }
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Words that no line can hold in pieces that one can.
fn broken(text: &str, width: usize) -> String {
    let mut run = 0;
    let mut broken = String::with_capacity(text.len());
    for letter in text.chars() {
        run = if letter == ' ' { 0 } else { run + 1 };
        if run > width {
            broken.push(' ');
            run = 1;
        }
        broken.push(letter);
    }
    broken
}

/// Breaks text at spaces; a word that is too long has a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_bytes(count: u64, expected: &str) {
        assert_eq!(bytes(count), expected);
    }

    #[test]
    fn sizes_are_for_people() {
        check_bytes(1, "1 byte");
        check_bytes(1023, "1023 bytes");
        check_bytes(4096, "4 KiB");
        check_bytes(1536 << 10, "1.5 MiB");
    }

    #[test]
    fn text_is_wrapped_and_cut() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("longer b", 3), ["longer", "b"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(broken("a bcdef gh", 3), "a bcd ef gh");
        assert_eq!((cut("abcd", 4), cut("abcde", 4)), ("abcd".into(), "abc…".into()));
        assert_eq!(clean("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
