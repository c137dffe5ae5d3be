//! Programs that are switched off or on, optional, or alternatives of one another.

use std::collections::HashMap;

use super::{Context, Sink};
use crate::config::raw::{Found, RawCgroup, RawChoice, RawConfig, RawProgram};
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::spec::ProgramSetting;

/// `programs`
pub(crate) fn programs(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<ProgramSetting> {
    let mut settings = Vec::new();
    for program in &raw.programs {
        if sink.is_full() || !is_there(context, sink, &program.name) {
            continue;
        }
        settings.push(ProgramSetting {
            name: program.name.value.clone(),
            enabled: program.enabled.as_ref().map(|enabled| enabled.value),
            optional: program.optional,
            cgroup: program.attach.as_ref().and_then(|raw| cgroup(context, sink, program, raw)),
        });
    }
    settings
}

/// `attach: {cgroup: ...}`
fn cgroup(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    program: &RawProgram,
    raw: &RawCgroup,
) -> Option<String> {
    let name = &program.name.value;
    let section =
        context.object.programs.iter().find(|known| known.name == *name).map(|known| &known.section);
    if let Some(section) = section.filter(|section| !is_of_cgroups(section)) {
        let message = format!("`{name}` is of no kind that is attached to a control group");
        let problem = Problem::error("wrong-attachment", Place::default(), message)
            .expected("a section such as cgroup_skb/egress, cgroup/connect4 or sockops")
            .found(format!("SEC(\"{section}\")"))
            .help("remove `attach`: what the section says counts");
        sink.report(&raw.spot, problem);
        return None;
    }
    let Some(path) = &raw.path else { return Some("/".to_owned()) };
    let is_below = path.value.starts_with('/') && path.value.split('/').all(|part| part != "..");
    if !is_below {
        let message = format!("`{}` is no path of a control group", path.value);
        let problem = Problem::error("wrong-attachment", Place::default(), message)
            .expected(
                "a path below the root of cgroup2 that begins with / and has no `..`, such as /system.slice",
            )
            .found(format!("{:?}", path.value))
            .help("leave it out for all of the machine");
        sink.report(&path.spot, problem);
        return None;
    }
    Some(path.value.clone())
}

/// Kinds that libbpf would attach to a control group, if only it were told which one.
fn is_of_cgroups(section: &str) -> bool {
    let section = section.trim_start_matches('?');
    section == "sockops" || section.starts_with("cgroup/") || section.starts_with("cgroup_skb/")
}

/// `choose`
pub(crate) fn choices(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<Vec<String>> {
    let mut chosen: HashMap<&str, &str> = HashMap::new();
    for choice in &raw.choices {
        if choice.programs.len() < 2 {
            short(sink, choice);
        }
        for program in &choice.programs {
            if sink.is_full() || !is_there(context, sink, program) {
                continue;
            }
            if let Some(before) = chosen.insert(&program.value, &program.spot.path) {
                let message = format!("`{}` is among two alternatives", program.value);
                let problem = Problem::error("chosen-twice", Place::default(), message)
                    .expected("each program once below `choose`")
                    .found(format!("it stands at {before} already"));
                sink.report(&program.spot, problem);
            }
        }
    }
    let names = |choice: &RawChoice| choice.programs.iter().map(|program| program.value.clone()).collect();
    raw.choices.iter().map(names).collect()
}

fn short(sink: &mut Sink<'_>, choice: &RawChoice) {
    let problem = Problem::error("short-choice", Place::default(), "a choice has nothing to choose from")
        .expected("two programs or more, the best one first")
        .found(choice.programs.len().to_string())
        .help("a program that the config is whole without is `programs: {name: {optional: true}}`");
    sink.report(&choice.spot, problem);
}

fn is_there(context: &Context<'_>, sink: &mut Sink<'_>, name: &Found<String>) -> bool {
    let programs = &context.object.programs;
    if programs.iter().any(|program| program.name == name.value) {
        return true;
    }
    let message = format!("the object has no program `{}`", name.value);
    let mut problem = Problem::error("missing-program", Place::default(), message);
    let names = programs.iter().map(|program| program.name.as_str());
    problem.help = suggest::help("programs there are", &name.value, names);
    // Whoever writes a section's name means the program in it.
    if let Some(program) = programs.iter().find(|program| program.section == name.value) {
        problem = problem.help(format!("it is a section: its program is called `{}`", program.name));
    }
    let problem = problem.expected("the name of a function with SEC(...) in the object's source");
    sink.report(&name.spot, problem);
    false
}
