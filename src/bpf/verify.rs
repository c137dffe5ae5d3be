//! What the kernel's verifier says of an object, of which nothing stays.

use std::os::fd::AsFd;

use libbpf_rs::OpenObject;

use crate::host::Host;
use crate::problem::Problem;
use crate::spec::LoadSpec;

use super::load::into_kernel;
use super::{Options, raw};

/// A program that the verifier let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The program's name.
    pub program: String,
    /// Instructions that the verifier went through, every path counted; none before Linux 5.16.
    pub instructions: Option<u32>,
}

/// Loads a config's object, attaches nothing, pins nothing, and lets go of it.
///
/// # Errors
/// Why the kernel does not take it.
pub fn verify(spec: &LoadSpec, host: &Host, options: &Options) -> Result<Vec<Verified>, Vec<Problem>> {
    if !spec.has_object() {
        return Ok(Vec::new());
    }
    let adapt = |object: &mut OpenObject| {
        raw::forget_pins(object);
        Ok(())
    };
    let (object, _) = into_kernel(spec, host, options, None, &adapt)?;
    let verified = object.progs().filter_map(|program| {
        let facts = raw::program_facts(raw::program_fd(&program)?.as_fd()).ok();
        let instructions = facts.map(|facts| facts.verified_instructions).filter(|count| *count > 0);
        Some(Verified { program: program.name().to_string_lossy().into_owned(), instructions })
    });
    Ok(verified.collect())
}
