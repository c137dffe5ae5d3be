//! Initial values of an object's global variables: what the config sets, and `kaddr_<symbol>`.

use std::os::fd::AsFd;

use libbpf_rs::{MapCore, OpenObject};

use crate::elf::section_map;
use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::{GlobalPatch, LoadSpec};

use super::mapping::Desk;
use super::object::LoadedObject;
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

/// Writes what the config sets.
///
/// # Errors
/// All that do not fit: nothing was loaded yet.
pub(super) fn set_values(object: &mut OpenObject, spec: &LoadSpec) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    for patch in &spec.globals {
        let room = section_of(object, &patch.section).and_then(|mut map| {
            let room = map.initial_value_mut()?;
            apply(room, patch)
        });
        if room.is_none() {
            let path = format!("globals.{}", patch.name);
            let place = Place { config: Some(spec.name.clone()), path, ..Place::default() };
            let message = format!("`{}` has no initial value that could be set", patch.name);
            problems.push(Problem::error("global-place", place, message).expected(format!(
                "{} bytes at {}+{}",
                patch.bytes.len(),
                patch.section,
                patch.offset
            )));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Sets variables while programs run that use them. Nothing else of their sections is written: programs
/// may have changed it since the load.
///
/// # Errors
/// Why not; nothing was written then.
pub(super) fn set_in_place(object: &LoadedObject, changes: &[GlobalPatch]) -> Result<(), String> {
    let mut writes = Vec::new();
    for change in changes {
        let map = object.maps().find(|(name, _)| is_map_of(name, &change.section)).map(|(_, map)| map);
        let map = map.ok_or_else(|| format!("there is no section {}", change.section))?;
        let desk = Desk::open(map.as_fd(), map.value_size() as usize)
            .map_err(|error| format!("the memory of {} cannot be mapped: {error}", change.section))?;
        if !desk.has(change.offset, change.bytes.len()) {
            return Err(format!("`{}` lies outside of {}", change.name, change.section));
        }
        writes.push((desk, change));
    }
    for (desk, change) in writes {
        let all = vec![0xff; change.bytes.len()];
        desk.set(change.offset, &change.bytes, change.mask.as_deref().unwrap_or(&all));
    }
    Ok(())
}

/// Writes a patch into a section's bytes; none when they end before it.
fn apply(section: &mut [u8], patch: &GlobalPatch) -> Option<()> {
    let end = patch.offset.checked_add(patch.bytes.len())?;
    let room = section.get_mut(patch.offset..end)?;
    match &patch.mask {
        None => room.copy_from_slice(&patch.bytes),
        Some(mask) => {
            for ((byte, new), mask) in room.iter_mut().zip(&patch.bytes).zip(mask) {
                *byte = (*byte & !mask) | (new & mask);
            }
        }
    }
    Some(())
}

/// The map that libbpf makes of a data section.
fn section_of<'a>(object: &'a mut OpenObject, section: &str) -> Option<libbpf_rs::OpenMapMut<'a>> {
    object.maps_mut().find(|map| map.name().to_str().is_some_and(|name| is_map_of(name, section)))
}

/// Whether a map's name is the one that libbpf gives a data section.
fn is_map_of(map: &str, section: &str) -> bool {
    section_of_map(map) == Some(section_map(section))
}

/// The name of the section that libbpf made a map of, as far as the map's name tells it; none of a map of C,
/// whose name has no dot. libbpf puts the object's name before the standard ones.
pub(super) fn section_of_map(map: &str) -> Option<&str> {
    // What begins with a dot is a section of the object's own, by its whole name.
    if map.starts_with('.') {
        return Some(map);
    }
    let standard = [".data", ".rodata", ".bss", ".kconfig"];
    standard.into_iter().find(|section| map.ends_with(section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(map: &str, section: &str, expected: bool) {
        assert_eq!(is_map_of(map, section), expected, "{map} for {section}");
    }

    #[test]
    fn maps_of_sections_are_told_apart() {
        check("tcp.rodata", ".rodata", true);
        check("odd.name.data", ".data", true);
        check(".bss", ".bss", true);
        check(".data.mine", ".data.mine", true);
        check(".rodata.data", ".rodata.data", true);
        check(".bss.longer_tha", ".bss.longer_than_that", true);
        check("tcp.rodata", ".data", false);
        check(".rodata.data", ".data", false);
        check("tcp.bss", ".data", false);
        check("data", ".data", false);
    }

    #[test]
    fn patches_touch_their_bits_alone() {
        let patch = |offset: usize, bytes: &[u8], mask: Option<&[u8]>| GlobalPatch {
            name: "x".into(),
            section: ".data".into(),
            offset,
            bytes: bytes.to_vec(),
            mask: mask.map(<[u8]>::to_vec),
            initial: vec![0; bytes.len()],
        };
        let mut section = [0xff; 4];
        assert_eq!(apply(&mut section, &patch(1, &[1, 2], None)), Some(()));
        assert_eq!(apply(&mut section, &patch(3, &[0b0100], Some(&[0b1100]))), Some(()));
        assert_eq!(section, [0xff, 1, 2, 0b1111_0111]);
        assert_eq!(apply(&mut section, &patch(3, &[1, 2], None)), None);
        assert_eq!(apply(&mut section, &patch(usize::MAX, &[1], None)), None);
    }
}
