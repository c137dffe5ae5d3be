//! Where a program is attached: that the kind of place is one for this program, and that it is said whole.
//!
//! Whether there are such interfaces, cgroups and files is for the machine to say, when the program is loaded.

mod cgroup;
mod interfaces;
mod network;
mod perf_event;
mod probes;

use super::Sink;
use crate::config::findings::Spot;
use crate::config::raw::{Found, RawAttach, RawKind};
use crate::config::suggest;
use crate::elf::{ObjectInfo, ProgramInfo, SectionKind};
use crate::problem::{Place, Problem};
use crate::spec::{Attach, Direction, Netkit};

/// A program with the place that the config has for it.
struct Subject<'a> {
    program: &'a ProgramInfo,
    section: Option<SectionKind>,
    kind: &'a RawKind,
}

/// `programs.<name>.attach`
pub(super) fn attach(
    sink: &mut Sink<'_>,
    object: &ObjectInfo,
    program: &ProgramInfo,
    raw: &RawAttach,
) -> Option<Attach> {
    let section = SectionKind::of(&program.section);
    let possible = section.map_or(&[][..], |section| section.places());
    let [kind] = raw.kinds.as_slice() else {
        if !raw.broken {
            number(sink, &raw.spot, program, possible, raw.kinds.len());
        }
        return None;
    };
    if !possible.contains(&kind.name.value) {
        let kind_of_program = section.map_or("unknown", |section| section.program_type);
        let message = format!(
            "`{}` is a program of the type {kind_of_program}, which cannot be attached to `{}`",
            program.name, kind.name.value
        );
        let why = section.and_then(|section| section.why_elsewhere());
        let problem = Problem::error("attach-kind", Place::default(), message)
            .expected(expected(possible))
            .found(kind.name.value)
            .help(why.unwrap_or("the type follows from SEC(...) in the object's source"));
        sink.report(&kind.name.spot, problem);
        return None;
    }
    // What could not be read was complained of already.
    if raw.broken {
        return None;
    }
    let subject = Subject { program, section, kind };
    match kind.name.value {
        "cgroup" => cgroup::check(sink, &subject).map(Attach::Cgroup),
        "xdp" => interfaces::xdp(sink, &subject).map(Attach::Xdp),
        "tc" => interfaces::tc(sink, &subject).map(Attach::Tc),
        "netkit" => {
            interfaces::interfaces(sink, &subject).map(|interfaces| Attach::Netkit(Netkit { interfaces }))
        }
        "perf_event" => perf_event::check(sink, &subject).map(Attach::PerfEvent),
        "uprobe" => probes::uprobe(sink, &subject).map(Attach::Uprobe),
        "usdt" => probes::usdt(sink, &subject).map(Attach::Usdt),
        "kprobe" => probes::kprobe(sink, &subject).map(Attach::Kprobe),
        "tracepoint" => probes::tracepoint(sink, &subject).map(Attach::Tracepoint),
        "function" => {
            probes::text(sink, &subject, "name", "the name of a function or hook, such as do_unlinkat")
                .map(Attach::Function)
        }
        "netns" => network::netns(sink, &subject).map(Attach::Netns),
        "netfilter" => network::netfilter(sink, &subject).map(Attach::Netfilter),
        "socket" => interfaces::interfaces(sink, &subject).map(Attach::Socket),
        "sockmap" => network::sockmap(sink, &subject, object).map(Attach::Sockmap),
        _ => None,
    }
}

fn expected(possible: &[&str]) -> String {
    match possible {
        [] => "no `attach`: this version knows no other place for it than its section's".to_owned(),
        [one] => format!("`{one}`"),
        many => many.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or "),
    }
}

fn number(sink: &mut Sink<'_>, spot: &Spot, program: &ProgramInfo, possible: &[&str], found: usize) {
    let message = format!("`attach` of `{}` does not name one kind of place", program.name);
    let problem = Problem::error("attach-kind", Place::default(), message);
    sink.report(spot, problem.expected(expected(possible)).found(found.to_string()));
}

/// Says that an option is missing.
fn missing(sink: &mut Sink<'_>, subject: &Subject<'_>, option: &str, expected: &str) {
    let kind = subject.kind.name.value;
    let message = format!("`{kind}` of `{}` lacks `{option}`", subject.program.name);
    let problem = Problem::error("attach-option", Place::default(), message).expected(expected);
    sink.report(&subject.kind.name.spot, problem);
}

/// Says that an option has a value that it cannot have.
fn wrong(sink: &mut Sink<'_>, subject: &Subject<'_>, option: &str, expected: &str, found: &str) {
    let kind = subject.kind.name.value;
    let message = format!("`{option}` of `{kind}` is not one");
    let problem = Problem::error("attach-option", Place::default(), message).expected(expected).found(found);
    sink.report(subject.kind.spot(option), problem);
}

/// Texts of which there must be one at least, and none empty.
fn texts<'r>(
    sink: &mut Sink<'_>,
    subject: &Subject<'r>,
    option: &str,
    expected: &str,
) -> Option<&'r [Found<String>]> {
    let texts = subject.kind.texts(option);
    if texts.is_empty() {
        missing(sink, subject, option, expected);
        return None;
    }
    if texts.iter().any(|text| text.value.is_empty()) {
        wrong(sink, subject, option, expected, "an empty text");
        return None;
    }
    Some(texts)
}

/// One of the texts that can be chosen; `Err` when it is another one, which is said.
fn choice<T: Copy>(
    sink: &mut Sink<'_>,
    subject: &Subject<'_>,
    option: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, ()> {
    let Some(found) = subject.kind.text(option) else { return Ok(None) };
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == found.value) {
        return Ok(Some(*value));
    }
    let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
    let message = format!("`{option}` of `{}` is not one", subject.kind.name.value);
    let mut problem = Problem::error("attach-option", Place::default(), message)
        .expected(names.join(" or "))
        .found(&found.value);
    problem.help = suggest::closest(&found.value, choices.iter().map(|(name, _)| *name))
        .map(|name| format!("did you mean `{name}`?"));
    sink.report(&found.spot, problem);
    Err(())
}

/// Which way packets go, as the config has it.
fn direction(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Result<Option<Direction>, ()> {
    choice(sink, subject, "direction", &[("ingress", Direction::Ingress), ("egress", Direction::Egress)])
}

/// Of a section that says the direction itself, that the config does not say another one.
fn agrees(
    sink: &mut Sink<'_>,
    subject: &Subject<'_>,
    of_section: Direction,
    of_config: Option<Direction>,
) -> Option<Direction> {
    if of_config.is_none_or(|direction| direction == of_section) {
        return Some(of_section);
    }
    let section = &subject.program.section;
    let message = format!("`{}` is for the other direction", subject.program.name);
    let problem = Problem::error("attach-option", Place::default(), message)
        .expected(format!("the direction of its section `{section}`, or none"))
        .help("SEC(\"tc\") and SEC(\"cgroup/skb\") leave the direction to the config");
    sink.report(subject.kind.spot("direction"), problem);
    None
}
