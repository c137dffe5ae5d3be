//! Tells the exporter what it was built from, for its build information.

use std::path::Path;
use std::process::Command;

/// Sets the variables that the exporter is compiled with.
pub fn tell_all() {
    // A path that is not there would count as changed at every build.
    for path in [".git/HEAD", ".git/refs/heads"].into_iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    for name in ["BPFTALLY_REVISION", "BPFTALLY_BRANCH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // An image is built from files without a repository: its builder passes both.
    let revision = || said("git", &["rev-parse", "--short=12", "HEAD"]);
    let branch = || said("git", &["rev-parse", "--abbrev-ref", "HEAD"]);
    let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    tell("BPFTALLY_REVISION", given("BPFTALLY_REVISION").or_else(revision));
    tell("BPFTALLY_BRANCH", given("BPFTALLY_BRANCH").or_else(branch));
    tell("BPFTALLY_RUSTC", std::env::var("RUSTC").ok().and_then(|rustc| said(&rustc, &["--version"])));
}

fn tell(name: &str, value: Option<String>) {
    println!("cargo::rustc-env={name}={}", value.unwrap_or_default());
}

/// The first line that a command says; none when it cannot.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}
