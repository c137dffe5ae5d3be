//! Enums by name: in the running kernel's types, else in the object's.

use std::collections::HashSet;

use super::{Context, Sink};
use crate::btf::{Btf, Enumerator, Kind, TypeId};
use crate::config::findings::Spot;
use crate::config::raw::RawDecoder;
use crate::config::suggest;
use crate::decode::Params;
use crate::problem::{Place, Problem};

/// Suggestions for one file: each compares a name with some ten thousand.
const MAX_SUGGESTIONS: usize = 10;

/// The parameters of a decoder with what the types know; none when they lack it, which is said.
pub(super) fn params(context: &Context<'_>, sink: &mut Sink<'_>, decoder: &RawDecoder) -> Option<Params> {
    let mut params = decoder.params.clone();
    let is_enum = decoder.name.as_ref().is_some_and(|name| name.value == "enum");
    let Some(name) = params.type_name.clone().filter(|name| is_enum && !name.is_empty()) else {
        return Some(params);
    };
    let spot = |param| decoder.spots.iter().rev().find(|(name, _)| *name == param).map(|(_, spot)| spot);
    let Some(enumerators) = find(context, &name) else {
        missing(context, sink, spot("type").unwrap_or(&decoder.spot), &name);
        return None;
    };
    for (param, affix, fits) in [
        (
            "strip_prefix",
            &params.strip_prefix,
            (|name, affix| name.starts_with(affix)) as fn(&str, &str) -> bool,
        ),
        ("strip_suffix", &params.strip_suffix, |name, affix| name.ends_with(affix)),
    ] {
        if !affix.is_empty() && !enumerators.iter().any(|(_, name)| fits(name, affix)) {
            useless(sink, spot(param).unwrap_or(&decoder.spot), (param, affix), &name, &enumerators);
        }
    }
    params.enumerators = Some(enumerators);
    Some(params)
}

/// The values of an enum. The kernel's count; but an enum of the object that has the name of one of the
/// kernel's and not one value in common with it is another enum, and is what its programs count by.
fn find(context: &Context<'_>, name: &str) -> Option<Vec<(i128, String)>> {
    let own = context.own_enums().find(name).into_iter().next();
    of_both(context, name, own)
}

/// The decoder of a member that is an enum: by its name as [`find`] does it, an enum without any by the
/// object's types. None when nothing is known of its values.
pub(super) fn of_type(context: &Context<'_>, id: TypeId) -> Option<(String, Params)> {
    let btf = &context.object.btf;
    let target = btf.resolve(id).ok().filter(|target| target.kind().is_enum())?;
    // Older compilers keep the lower halves of values only, and name wrong numbers.
    if target.kind() == Kind::Enum && btf.layout(target.id()).is_ok_and(|layout| layout.size > 4) {
        return None;
    }
    let own: Vec<Enumerator<'_>> = target.enumerators().collect();
    if own.is_empty() && target.name().is_empty() {
        return None;
    }
    let name = own_name(btf, id);
    let enumerators = match name {
        Some(name) => of_both(context, name, Some(own).filter(|own| !own.is_empty()))?,
        None => copied(own),
    };
    let type_name = Some(name.unwrap_or("enum").to_owned());
    Some(("enum".to_owned(), Params { type_name, enumerators: Some(enumerators), ..Params::default() }))
}

/// What an enum is called: its own name, else that of the typedef next to it, without what objects put
/// behind `___` to tell their declaration from the kernel's.
fn own_name(btf: &Btf, id: TypeId) -> Option<&str> {
    let (mut name, mut current) = (None, btf.type_by_id(id).ok()?);
    loop {
        if matches!(current.kind(), Kind::Typedef | Kind::Enum | Kind::Enum64) && !current.name().is_empty() {
            name = Some(current.name());
        }
        // `resolve` was there before, so that this ends.
        if !current.kind().is_modifier() {
            break;
        }
        current = btf.type_by_id(current.target()).ok()?;
    }
    let name = name?;
    match name.split_once("___") {
        Some((essential, _)) if !essential.is_empty() => Some(essential),
        _ => Some(name),
    }
}

/// The kernel's values for an enum, or the object's own.
fn of_both(
    context: &Context<'_>,
    name: &str,
    own: Option<Vec<Enumerator<'_>>>,
) -> Option<Vec<(i128, String)>> {
    let kernel = context.host.kernel_types().ok();
    let mut found = kernel.iter().flat_map(|kernel| kernel.enums().find(name)).collect::<Vec<_>>();
    if found.is_empty() {
        let modules = kernel.iter().flat_map(|kernel| kernel.enums_of_modules());
        found = modules.flat_map(|module| module.find(name)).collect();
    }
    let Some(own) = own else { return found.into_iter().next().map(copied) };
    let names: HashSet<&str> = own.iter().map(|value| value.name).collect();
    let same = |values: &Vec<Enumerator<'_>>| values.iter().any(|value| names.contains(value.name));
    Some(copied(found.into_iter().find(same).unwrap_or(own)))
}

fn copied(values: Vec<Enumerator<'_>>) -> Vec<(i128, String)> {
    values.iter().map(|value| (value.value, value.name.to_owned())).collect()
}

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, spot: &Spot, name: &str) {
    let mut problem = Problem::error("unknown-enum", Place::default(), format!("there is no enum `{name}`"));
    problem = problem
        .expected("an enum of the running kernel or of the object, by its name or by one of its values'");
    problem = match context.host.kernel_types() {
        Ok(_) => {
            let file = context.host.kernel_types_file();
            problem.found(format!("none in {}, none in the object", file.display()))
        }
        Err(error) => {
            problem.found(format!("the kernel's types cannot be read ({error}), and the object has none"))
        }
    };
    if sink.suggestions < MAX_SUGGESTIONS {
        sink.suggestions += 1;
        if let Some(close) = closest(context, name) {
            problem = problem.help(format!("did you mean `{close}`?"));
        }
    }
    if problem.help.is_none() {
        problem = problem
            .help("an enum without a name of its own is found by the name of any of its values, such as TCP_ESTABLISHED");
    }
    sink.report(spot, problem);
}

/// The enum, or else the value, that was probably meant.
fn closest(context: &Context<'_>, name: &str) -> Option<String> {
    let (own, types) = (context.own_enums(), context.host.kernel_types().ok());
    let kernel = types.as_ref().map(|types| types.enums());
    let mut enums: Vec<&str> =
        own.names().chain(kernel.into_iter().flat_map(|kernel| kernel.names())).collect();
    enums.sort_unstable();
    let found = suggest::closest(name, enums).or_else(|| {
        // Names of values come in families whose members differ little: only those of nearly the same length.
        let near = |value: &&str| value.len().abs_diff(name.len()) <= 2;
        let values = own.values().chain(kernel.into_iter().flat_map(|kernel| kernel.values()));
        let mut values: Vec<&str> = values.filter(near).collect();
        values.sort_unstable();
        suggest::closest(name, values)
    });
    found.map(str::to_owned)
}

fn useless(
    sink: &mut Sink<'_>,
    spot: &Spot,
    (param, affix): (&str, &str),
    name: &str,
    enumerators: &[(i128, String)],
) {
    let message = format!("`{param}: {affix}` fits no value of the enum `{name}`");
    let shown: Vec<&str> = enumerators.iter().take(4).map(|(_, name)| name.as_str()).collect();
    let more = if enumerators.len() > shown.len() { ", ..." } else { "" };
    sink.report(
        spot,
        Problem::warning("strip-without-effect", Place::default(), message)
            .found(format!("{}{more}", shown.join(", ")))
            .help("correct it, or remove it"),
    );
}
