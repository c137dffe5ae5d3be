//! Programs that are switched off or on, optional, or alternatives of one another.

use std::collections::HashMap;

use super::{Context, Sink, attach};
use crate::config::raw::{Found, RawChoice, RawConfig, RawProgram};
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::spec::ProgramSetting;

/// `programs`
pub(crate) fn programs(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<ProgramSetting> {
    let mut settings = Vec::new();
    for program in &raw.programs {
        if !sink.is_full() && is_there(context, sink, &program.name) {
            settings.push(setting(context, sink, program));
        }
    }
    settings
}

fn setting(context: &Context<'_>, sink: &mut Sink<'_>, program: &RawProgram) -> ProgramSetting {
    let info = context.object.programs.iter().find(|info| info.name == program.name.value);
    ProgramSetting {
        name: program.name.value.clone(),
        enabled: program.enabled.as_ref().map(|enabled| enabled.value),
        optional: program.optional,
        attach: info
            .zip(program.attach.as_ref())
            .and_then(|(info, raw)| attach::attach(sink, context.object, info, raw)),
    }
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
