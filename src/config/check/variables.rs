//! Global variables by their names: for those that are set, and for those that are read.

use super::{Context, Sink};
use crate::config::raw::Found;
use crate::config::suggest;
use crate::elf::{ExternKind, Variable};
use crate::problem::{Place, Problem};

/// What a variable is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// To get a value by `globals`.
    Set,
    /// To be shown by a metric.
    Read,
}

/// The variable that a name begins with, and the path that leads on from there.
pub(super) fn find<'o, 'n>(
    context: &Context<'o>,
    sink: &mut Sink<'_>,
    name: &'n Found<String>,
    wanted_for: Use,
) -> Option<(&'o Variable, &'n str)> {
    let variables = &context.object.variables;
    // Names of variables inside of functions have dots: the longest name that fits is meant.
    let rest = |variable: &Variable| {
        let rest = name.value.strip_prefix(variable.name.as_str())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    };
    let fitting = || variables.iter().filter_map(|variable| Some((variable, rest(variable)?)));
    let Some((variable, path)) = fitting().max_by_key(|(variable, _)| variable.name.len()) else {
        missing(context, sink, name, wanted_for);
        return None;
    };
    let same: Vec<&Variable> = variables.iter().filter(|other| other.name == variable.name).collect();
    if same.len() > 1 {
        let places: Vec<String> =
            same.iter().map(|variable| format!("{}+{}", variable.section, variable.offset)).collect();
        let message = format!("the object has {} variables `{}`", same.len(), variable.name);
        let problem = Problem::error("ambiguous-variable", Place::default(), message)
            .expected("a name that one variable has")
            .found(places.join(", "))
            .help("static variables of several files or functions share it: rename one in the source");
        sink.report(&name.spot, problem);
        return None;
    }
    Some((variable, path.strip_prefix('.').unwrap_or(path)))
}

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, name: &Found<String>, wanted_for: Use) {
    let object = context.object;
    let first = name.value.split(['.', '[']).next().unwrap_or_default();
    let is_wanted = |names: &str| names == name.value || names == first;
    if let Some(wanted) = object.externs.iter().find(|wanted| is_wanted(&wanted.name)) {
        let what = match wanted.kind {
            ExternKind::Kconfig => "an option of the kernel's configuration",
            _ => "something of the kernel's",
        };
        let help = match (wanted_for, wanted.kind) {
            (Use::Read, _) => "have a program copy it into a variable of the object's own",
            (Use::Set, ExternKind::Kconfig) => {
                "`kconfig` sets it in place of what the running kernel's configuration says"
            }
            (Use::Set, _) => "only the kernel knows its address",
        };
        let verb = if wanted_for == Use::Set { "set" } else { "read" };
        let message = format!("`{}` cannot be {verb}: it is {what}", wanted.name);
        let problem = Problem::error("global-extern", Place::default(), message);
        sink.report(&name.spot, problem.expected("a variable of the object's own").help(help));
        return;
    }
    let mut problem = Problem::error(
        "missing-variable",
        Place::default(),
        format!("the object has no global variable `{first}`"),
    );
    if object.map(first).is_some() {
        problem = problem.found("a map of this name").help(match wanted_for {
            Use::Set => "`maps` sets options of maps",
            Use::Read => "`map` names the map that a metric is read from",
        });
    } else {
        let names = object.variables.iter().map(|variable| variable.name.as_str());
        problem.help = suggest::help("variables there are", first, names).or_else(|| {
            let example = match wanted_for {
                Use::Set => "const volatile u64 name = 0;",
                Use::Read => "u64 name;",
            };
            Some(format!(
                "declare `{example}` in the object's source; what no program uses the compiler leaves out"
            ))
        });
    }
    sink.report(&name.spot, problem);
}
