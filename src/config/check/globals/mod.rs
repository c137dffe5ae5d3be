//! Initial values of global variables: `globals`, typed by the object's BTF.

mod scalar;
mod twice;
mod write;

pub(super) use scalar::range;

use super::{Context, Sink};
use crate::btf::{Btf, Kind, TypeId};
use crate::config::raw::{Found, RawConfig, RawGlobal};
use crate::config::suggest;
use crate::elf::{ExternKind, Variable};
use crate::problem::{Place, Problem};
use crate::spec::GlobalPatch;

/// What is to be written before the load.
pub(crate) fn globals(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<GlobalPatch> {
    let mut writes = Vec::new();
    for global in &raw.globals {
        if sink.is_full() {
            break;
        }
        if let Some((variable, path)) = find(context, sink, &global.name) {
            fits_its_place(context, sink, raw, global, variable);
            write::write(&context.object.btf, sink, variable, path, global, &mut writes);
        }
    }
    twice::check(sink, &writes);
    writes.into_iter().map(|write| write.patch).collect()
}

/// The variable that a name begins with, and the path that leads on from there.
fn find<'o, 'n>(
    context: &Context<'o>,
    sink: &mut Sink<'_>,
    name: &'n Found<String>,
) -> Option<(&'o Variable, &'n str)> {
    let variables = &context.object.variables;
    // Names of variables inside of functions have dots: the longest name that fits is meant.
    let rest = |variable: &Variable| {
        let rest = name.value.strip_prefix(variable.name.as_str())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    };
    let fitting = || variables.iter().filter_map(|variable| Some((variable, rest(variable)?)));
    let Some((variable, path)) = fitting().max_by_key(|(variable, _)| variable.name.len()) else {
        missing(context, sink, name);
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

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, name: &Found<String>) {
    let object = context.object;
    let first = name.value.split(['.', '[']).next().unwrap_or_default();
    let is_wanted = |names: &str| names == name.value || names == first;
    if let Some(wanted) = object.externs.iter().find(|wanted| is_wanted(&wanted.name)) {
        let (what, help) = match wanted.kind {
            ExternKind::Kconfig => (
                "an option of the kernel's configuration",
                "libbpf reads it from /proc/config.gz or /boot/config-<release>; declare a `const volatile` \
                 variable to set a value of your own",
            ),
            _ => ("something of the kernel's", "only the kernel knows its address"),
        };
        let message = format!("`{}` cannot be set: it is {what}", wanted.name);
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
        problem = problem.found("a map of this name").help("`maps` sets options of maps");
    } else {
        let names = object.variables.iter().map(|variable| variable.name.as_str());
        problem.help = suggest::help("variables there are", first, names).or_else(|| {
            let example = "declare `const volatile u64 name = 0;` in the object's source; what no program uses \
                           the compiler leaves out";
            Some(example.to_owned())
        });
    }
    sink.report(&name.spot, problem);
}

/// What is no mistake of the value but of what it is written to.
fn fits_its_place(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawConfig,
    global: &RawGlobal,
    variable: &Variable,
) {
    let name = &variable.name;
    if raw.kaddrs.iter().any(|symbol| name.strip_prefix("kaddr_") == Some(symbol.value.as_str())) {
        let message = format!("`{name}` is set by `kaddrs` already");
        let problem = Problem::error("global-twice", Place::default(), message);
        sink.report(&global.name.spot, problem.help("remove it from one of them"));
    }
    if is_folded(&context.object.btf, variable) {
        let message = format!("setting `{name}` may have no effect: it is constant but not volatile");
        let problem = Problem::warning("global-folded", Place::default(), message).help(format!(
            "declare it `const volatile` in the source: without, the compiler puts its value into the \
             instructions that use `{name}`"
        ));
        sink.report(&global.name.spot, problem);
    }
}

/// Whether the compiler was free to use a constant's value in place of the constant.
fn is_folded(btf: &Btf, variable: &Variable) -> bool {
    if !variable.section.starts_with(".rodata") {
        return false;
    }
    let mut current: TypeId = variable.type_id;
    // Qualifiers, typedefs and the dimensions of arrays: no real type has more of them.
    for _ in 0..32 {
        let Ok(found) = btf.type_by_id(current) else { return false };
        match found.kind() {
            Kind::Volatile => return false,
            // Arrays are not folded when they are indexed by what only the kernel knows.
            Kind::Array => return false,
            kind if kind.is_modifier() || kind == Kind::Var => current = found.target(),
            _ => return true,
        }
    }
    false
}
