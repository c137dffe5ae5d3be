//! What the kernel's configuration is to an object that asks: what the config says, then what the host's file says.
//!
//! libbpf gets all of it as text. So it reads no file itself, which in a container would be another's, and what is
//! missing is told with what to do about it.

use std::ffi::CString;
use std::fmt::Write;

use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::{KernelOption, LoadSpec};

/// Lines of a kernel's configuration, for every option that the object asks for; none where it asks for none.
///
/// # Errors
/// When one is to be had nowhere.
pub(super) fn text(spec: &LoadSpec, host: &Host) -> Result<Option<CString>, Box<Problem>> {
    if spec.kernel_options.is_empty() {
        return Ok(None);
    }
    let asked: Vec<&KernelOption> =
        spec.kernel_options.iter().filter(|option| option.given.is_none()).collect();
    let names: Vec<&str> = asked.iter().map(|option| option.name.as_str()).collect();
    let problem = |code, message| {
        let place =
            Place { config: Some(spec.name.clone()), file: Some(spec.object.clone()), ..Place::default() };
        Problem::error(code, place, message)
    };
    let found = match names.is_empty() {
        true => None,
        false => Some(host.kernel_configuration(&names).map_err(|error| {
            let places: Vec<String> =
                host.kernel_configuration_places().iter().map(|path| path.display().to_string()).collect();
            let message = format!(
                "the object asks for {}, and the kernel's configuration cannot be read",
                listed(&names)
            );
            problem("kernel-configuration", message)
                .expected(format!("the running kernel's configuration in {}", places.join(" or ")))
                .found(error.to_string())
                .help(format!(
                    "give a copy of it with --bpf.kconfig, or the values: `kconfig: {{{}: ...}}`",
                    names[0]
                ))
        })?),
    };
    let mut lines = String::new();
    for option in &spec.kernel_options {
        let set = found.as_ref().and_then(|found| found.options.get(&option.name));
        let value = match option.given.as_ref().or(set) {
            Some(value) => value,
            None if option.is_weak => option.kind.unset(),
            None => {
                let path = found.as_ref().map(|found| found.path.display().to_string()).unwrap_or_default();
                let name = &option.name;
                let message = format!(
                    "the object asks for `{name}`, which the running kernel's configuration does not set"
                );
                let problem = problem("kernel-option", message).expected(format!("`{name}=...` in {path}"));
                return Err(problem
                    .help(format!(
                        "say what it is: `kconfig: {{{name}: ...}}`, or declare it `__weak` in the C source: it is zero then"
                    ))
                    .into());
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{}={value}", option.name);
    }
    // Neither YAML's values nor lines of a file have a NUL.
    Ok(CString::new(lines).ok())
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
