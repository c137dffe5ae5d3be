//! Initial values of global variables: `globals`, typed by the object's BTF.

mod scalar;
mod twice;
mod write;

pub(super) use scalar::range;

use super::variables::{self, Use};
use super::{Context, Sink};
use crate::btf::{Btf, Kind, TypeId};
use crate::config::raw::{RawConfig, RawGlobal};
use crate::elf::Variable;
use crate::problem::{Place, Problem};
use crate::spec::GlobalPatch;

/// What is to be written before the load.
pub(crate) fn globals(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawConfig) -> Vec<GlobalPatch> {
    let mut writes = Vec::new();
    for global in &raw.globals {
        if sink.is_full() {
            break;
        }
        if let Some((variable, path)) = variables::find(context, sink, &global.name, Use::Set) {
            fits_its_place(context, sink, raw, global, variable);
            write::write(context.object, sink, variable, path, global, &mut writes);
        }
    }
    twice::check(sink, &writes);
    writes.into_iter().map(|write| write.patch).collect()
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
