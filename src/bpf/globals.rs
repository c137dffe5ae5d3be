//! Initial values of an object's global variables: `kaddr_<symbol>`.

use libbpf_rs::OpenObject;

use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::LoadSpec;

use super::raw::{GlobalVariable, global_variables};

const PREFIX: &str = "kaddr_";

/// Sets `kaddr_<symbol>` to the symbol's address for each of the config's `kaddrs`.
///
/// # Errors
/// All that is wrong with any of them.
pub(super) fn set_addresses(
    object: &mut OpenObject,
    spec: &LoadSpec,
    host: &Host,
) -> Result<(), Vec<Problem>> {
    if spec.kaddrs.is_empty() {
        return Ok(());
    }
    let variables = global_variables(object, PREFIX).map_err(|error| {
        let place = Place { config: Some(spec.name.clone()), path: "kaddrs".into(), ..Place::default() };
        vec![Problem::error(
            "kaddr-variable",
            place,
            format!("the object's variables cannot be read: {error}"),
        )]
    })?;
    let mut problems = Vec::new();
    for (index, symbol) in spec.kaddrs.iter().enumerate() {
        let place =
            Place { config: Some(spec.name.clone()), path: format!("kaddrs[{index}]"), ..Place::default() };
        let outcome = address(symbol, host, &place)
            .and_then(|address| set(object, &variables, symbol, address, &place));
        problems.extend(outcome.err().map(|problem| *problem));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn address(symbol: &str, host: &Host, place: &Place) -> Result<u64, Box<Problem>> {
    let kallsyms = host.roots.procfs.join("kallsyms");
    let problem = |code, message| Problem::error(code, place.clone(), message);
    match host.symbol_address(symbol) {
        Ok(Some(0)) => {
            Err(hidden(problem("kaddr-hidden", format!("the address of `{symbol}` is hidden"))).into())
        }
        Ok(Some(address)) => Ok(address),
        Ok(None) => {
            let problem = problem("kaddr-symbol", format!("the running kernel has no symbol `{symbol}`"));
            Err(problem
                .expected(format!("a symbol of {}", kallsyms.display()))
                .help(
                    "look for its name on this kernel there: a module's symbols are listed while it is loaded, \
                     variables only with CONFIG_KALLSYMS_ALL",
                )
                .into())
        }
        Err(error) => {
            let message = format!("the address of `{symbol}` cannot be read");
            Err(hidden(problem("kaddr-hidden", message).found(format!("{}: {error}", kallsyms.display())))
                .into())
        }
    }
}

fn hidden(problem: Problem) -> Problem {
    problem.help("keep CAP_SYSLOG while starting, and set the sysctl kernel.kptr_restrict below 2")
}

fn set(
    object: &mut OpenObject,
    variables: &[GlobalVariable],
    symbol: &str,
    address: u64,
    place: &Place,
) -> Result<(), Box<Problem>> {
    let name = format!("{PREFIX}{symbol}");
    let declaration = format!("const volatile u64 {name};");
    let problem = |code, message| Problem::error(code, place.clone(), message).expected(&declaration);
    let Some(variable) = variables.iter().find(|variable| variable.name == name) else {
        let message = format!("the object has no variable `{name}` to put the symbol's address into");
        let help = "declare it in the C source and rebuild the object, or take the symbol off `kaddrs`";
        return Err(problem("kaddr-variable", message).help(help).into());
    };
    let bytes = address.to_ne_bytes();
    if variable.size != bytes.len() {
        let message = format!("the variable `{name}` cannot hold an address");
        return Err(problem("kaddr-size", message).found(format!("{} bytes", variable.size)).into());
    }
    let range = variable.offset..variable.offset.saturating_add(variable.size);
    let written = section_of(object, &variable.section).and_then(|mut map| {
        let room = map.initial_value_mut()?.get_mut(range)?;
        room.copy_from_slice(&bytes);
        Some(())
    });
    written.ok_or_else(|| {
        let message = format!("the variable `{name}` has no initial value that could be set");
        problem("kaddr-variable", message).found(format!("section {}", variable.section)).into()
    })
}

/// The map that libbpf makes of a data section. It puts the object's name before the standard
/// ones; a map of C has no dot in its name.
fn section_of<'a>(object: &'a mut OpenObject, section: &str) -> Option<libbpf_rs::OpenMapMut<'a>> {
    object.maps_mut().find(|map| map.name().to_str().is_some_and(|name| name.ends_with(section)))
}
