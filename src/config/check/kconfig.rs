//! Options of the kernel's configuration: which of them the object wants to know, and what `kconfig` says that they are.

use super::globals::range;
use super::{Context, Sink};
use crate::btf::{Member, MemberKind, ScalarKind};
use crate::config::raw::{RawConfig, RawGlobal, ValueShape};
use crate::config::suggest;
use crate::config::yaml::Scalar;
use crate::config::yaml::scalar::{Resolved, resolve};
use crate::elf::{Extern, ExternKind};
use crate::problem::{Place, Problem};
use crate::spec::{KernelOption, OptionKind};

const PREFIX: &str = "CONFIG_";

/// What an object may call the values of an option that can be a module.
const TRISTATE: &str = "libbpf_tristate";

/// The options, each with what the config says of it.
pub(crate) fn kernel_options(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawConfig,
) -> Vec<KernelOption> {
    let wanted: Vec<(&Extern, Option<Member>)> = context
        .object
        .externs
        .iter()
        .filter(|wanted| wanted.kind == ExternKind::Kconfig && wanted.name.starts_with(PREFIX))
        .map(|wanted| (wanted, context.object.btf.member(wanted.type_id, "").ok()))
        .collect();
    for given in
        raw.kconfig.iter().filter(|given| !wanted.iter().any(|(wanted, _)| wanted.name == given.name.value))
    {
        if sink.is_full() {
            break;
        }
        unknown(context, sink, given, &wanted);
    }
    let option = |(wanted, member): &(&Extern, Option<Member>)| {
        // What libbpf knows no such type for it refuses itself.
        let member = member.as_ref()?;
        let kind = kind(context, member)?;
        let given = raw.kconfig.iter().find(|given| given.name.value == wanted.name);
        let given = given.and_then(|given| value(sink, given, member, kind));
        Some(KernelOption { name: wanted.name.clone(), kind, is_weak: wanted.weak, given })
    };
    wanted.iter().filter_map(option).collect()
}

/// What libbpf takes a variable of this type for.
fn kind(context: &Context<'_>, member: &Member) -> Option<OptionKind> {
    match member.kind {
        MemberKind::Scalar(ScalarKind::Bool) => Some(OptionKind::Boolean),
        MemberKind::Scalar(ScalarKind::Float) => None,
        MemberKind::Scalar(_) if member.size == 1 => Some(OptionKind::Character),
        MemberKind::Scalar(_) if member.size <= 8 => Some(OptionKind::Integer),
        MemberKind::Enum { .. } => {
            let found = context.object.btf.resolve(member.type_id).ok()?;
            (found.name() == TRISTATE).then_some(OptionKind::Tristate)
        }
        MemberKind::Text => Some(OptionKind::Text),
        _ => None,
    }
}

fn unknown(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    given: &RawGlobal,
    wanted: &[(&Extern, Option<Member>)],
) {
    let name = &given.name.value;
    let message = format!("the object does not ask for the option `{name}` of the kernel's configuration");
    let mut problem = Problem::error("unknown-option", Place::default(), message);
    let externs = &context.object.externs;
    problem.help = if externs.iter().any(|found| found.name == *name && found.kind == ExternKind::Kconfig) {
        Some("libbpf makes this one up from the running kernel: it cannot be set".to_owned())
    } else if context.object.variables.iter().any(|variable| variable.name == *name) {
        Some("it is a variable of the object's own: `globals` sets it".to_owned())
    } else {
        let prefixed = format!("{PREFIX}{name}");
        let names: Vec<&str> = wanted.iter().map(|(wanted, _)| wanted.name.as_str()).collect();
        let close = names.iter().find(|known| **known == prefixed);
        close.map(|known| format!("did you mean `{known}`?")).or_else(|| {
            let example = format!("it asks by `extern int {PREFIX}HZ __kconfig;` in its C source");
            suggest::help("options it asks for", name, names).or(Some(example))
        })
    };
    sink.report(&given.name.spot, problem);
}

/// A value as the kernel's configuration would write it.
fn value(sink: &mut Sink<'_>, given: &RawGlobal, member: &Member, kind: OptionKind) -> Option<String> {
    let written = match &given.value.shape {
        ValueShape::Scalar(scalar) => written(scalar, member, kind),
        ValueShape::List(_) | ValueShape::Members(_) => None,
    };
    if written.is_none() {
        let message = format!("`{}` cannot be this", given.name.value);
        let problem = Problem::error("option-value", Place::default(), message);
        sink.report(
            &given.value.spot,
            problem.expected(expected(member, kind)).found(given.value.found.clone()),
        );
    }
    written
}

fn expected(member: &Member, kind: OptionKind) -> String {
    let (lowest, highest) = bounds(member);
    match kind {
        OptionKind::Boolean => "y or n".to_owned(),
        OptionKind::Tristate => "y, m or n".to_owned(),
        OptionKind::Character => format!("y, m or n, or a whole number from {lowest} to {highest}"),
        OptionKind::Integer => format!("a whole number from {lowest} to {highest}"),
        OptionKind::Text => {
            format!(
                "a text of at most {} bytes without quotes and line breaks",
                member.size.saturating_sub(1)
            )
        }
    }
}

fn bounds(member: &Member) -> (i128, i128) {
    range(member, matches!(member.kind, MemberKind::Scalar(ScalarKind::Signed)))
}

fn written(scalar: &Scalar, member: &Member, kind: OptionKind) -> Option<String> {
    let letter = || match resolve(scalar) {
        Resolved::Bool(true) => Some("y"),
        Resolved::Bool(false) => Some("n"),
        _ => ["y", "m", "n"].into_iter().find(|letter| scalar.text == *letter),
    };
    let number = || match resolve(scalar) {
        Resolved::Int(value) => {
            let (lowest, highest) = bounds(member);
            // libbpf reads 64 bits without a sign; a negative number is its complement there.
            (lowest <= value && value <= highest).then(|| value.to_string())
        }
        _ => None,
    };
    match kind {
        OptionKind::Boolean => letter().filter(|letter| *letter != "m").map(str::to_owned),
        OptionKind::Tristate => letter().map(str::to_owned),
        OptionKind::Character => letter().map(str::to_owned).or_else(number),
        OptionKind::Integer => number(),
        OptionKind::Text => {
            let fits = scalar.text.len() < member.size;
            let is_plain = !scalar.text.contains(['"', '\n', '\r', '\0']);
            (fits && is_plain && !scalar.is_null()).then(|| format!("\"{}\"", scalar.text))
        }
    }
}
