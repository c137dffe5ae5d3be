//! The command line: from words to checked, plain options.
//!
//! The manners are the reference's (kingpin's): `--flag value` and `--flag=value`,
//! `--no-flag` for switches, `@file` for more words, a flag given twice is a mistake
//! unless it can be repeated. What comes out is parsed already: no later room meets
//! an address, a duration or a capability as text.

mod address;
mod capabilities;
mod check;
mod duration;
mod init;
mod inspect;
mod serve;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

pub use address::Listen;
pub use capabilities::{Keep, KeptCapability};
pub use check::{CheckOptions, Format};
pub use init::InitOptions;
pub use inspect::{InspectFormat, InspectOptions, Report};

use crate::host::Roots;
use crate::reload::{WatchMode, WatchTiming};
use crate::server::Limits;

/// The default of `--config.dir`.
pub const CONFIG_DIR: &str = "/etc/bpftally";

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To serve metrics.
    Serve(Box<Options>),
    /// To say what is wrong with configs and their objects.
    Check(CheckOptions),
    /// To say what an object holds.
    Inspect(InspectOptions),
    /// To write a config for an object.
    Init(InitOptions),
    /// To print the JSON Schema of configs.
    Schema,
}

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where configs and objects are, and which of them.
    pub config: ConfigOptions,
    /// `--metrics.namespace`: the default prefix of metric names.
    pub namespace: String,
    /// `--metrics.max-series`: how many label sets a metric may have that does not say it.
    pub max_series: Option<usize>,
    /// `--debug`: libbpf's debug output in the log, and `/maps`.
    pub debug: bool,
    /// How to log.
    pub log: LogOptions,
    /// What to serve, where.
    pub web: WebOptions,
    /// `--scrape.timeout`: how long one scrape may read maps.
    pub scrape_timeout: Duration,
    /// `--capabilities.keep`
    pub keep: Keep,
    /// `--btf.path`: types of the kernel, when it does not carry them itself.
    pub btf: Option<PathBuf>,
    /// `--bpf.pin-root`: where maps are pinned that their objects want pinned by their names.
    pub pin_root: PathBuf,
    /// `--bpf.pin-path`: where programs and maps are kept at work while the exporter is away.
    pub pin_path: Option<PathBuf>,
    /// `--bpf.kconfig`: the kernel's configuration, where the machine does not have it at one of the usual places.
    pub kconfig: Option<PathBuf>,
    /// `--bpf.stats`: have the kernel measure programs as long as the exporter runs.
    pub bpf_stats: bool,
    /// `--path.*`: where the host's file systems are.
    pub roots: Roots,
    /// `--ready.require`: what `/-/ready` asks for.
    pub ready: Require,
}

/// `--config.*` and `--object.dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigOptions {
    /// `--config.dir`
    pub dir: PathBuf,
    /// `--config.names`; every `*.yaml` of the folder when not given.
    pub names: Option<Vec<String>>,
    /// `--object.dir`: where objects are that are not beside their YAML.
    pub object_dir: Option<PathBuf>,
    /// `--config.check`: load and attach, then exit.
    pub check: bool,
    /// `--config.strict`: no problem is tolerated.
    pub strict: bool,
    /// `--config.auto`: objects without a config are served by a drafted one.
    pub auto: bool,
    /// `--config.skip-cache-size`
    pub skip_cache_size: usize,
    /// `--config.watch`: how changes of the files are noticed.
    pub watch: WatchMode,
    /// `--config.quiet-period`, `--config.poll-interval`: how long to wait for what.
    pub timing: WatchTiming,
    /// `--config.allow-insecure-permissions`: files that others can change are followed, too.
    pub allow_insecure: bool,
}

/// `--log.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// `--log.level`, raised by `--debug`.
    pub level: LogLevel,
    /// `--log.format`
    pub format: LogFormat,
    /// False with `--log.no-timestamps`.
    pub timestamps: bool,
}

/// The least weight of what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum LogLevel {
    /// Errors alone.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `key=value key="other value"`
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// How many configs have to serve before `/-/ready` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Require {
    /// At least one.
    Any,
    /// All of them.
    All,
}

/// `--web.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOptions {
    /// `--web.listen-address`, at least one.
    pub listen: Vec<Listen>,
    /// `--web.telemetry-path`
    pub telemetry_path: String,
    /// `--web.enable-lifecycle`: a reload can be asked for over HTTP.
    pub lifecycle: bool,
    /// What a client may cost.
    pub limits: Limits,
}

/// Words that ask for no run: help, the version, or a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What to print.
    pub text: String,
    /// Whether it is a mistake: then it goes to stderr, and the exit code is 2.
    pub is_mistake: bool,
}

#[derive(Debug, Parser)]
#[command(
    name = "bpftally",
    bin_name = "bpftally",
    version,
    about = "Turns eBPF maps into Prometheus metrics, from a folder of objects and YAML files.",
    after_help = "Without a command, bpftally serves. Switches can be negated (--no-debug); @file stands for the \
                  words in a file, one a line. Durations are written like 500ms, 10s, 1m30s.",
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Load the configs, attach their programs and serve metrics (the default).
    Serve(Box<serve::Arguments>),
    /// Say what is wrong with configs and their objects, as a compiler does, without loading anything.
    Check(check::Arguments),
    /// Say what a compiled object holds: programs, maps, types, variables, relocations.
    ///
    /// Takes neither privileges nor a kernel. Exits with 0 when the object can be used as it is, with 1 when
    /// libbpf or the kernel would refuse it, with 2 when there is no such file.
    Inspect(InspectOptions),
    /// Write a config to start with for a compiled object, from its types.
    ///
    /// Takes neither privileges nor a kernel. Exits with 1 when the file is no eBPF object, with 2 when there is
    /// no such file.
    Init(InitOptions),
    /// Print the JSON Schema of configs, for editors.
    Schema,
}

/// Reads the words after the program's name.
///
/// # Errors
/// When they ask for help or the version, or are mistaken.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, Refusal> {
    let words = words::expanded(words).map_err(|text| Refusal { text, is_mistake: true })?;
    let program = std::iter::once(OsString::from("bpftally"));
    let line = CommandLine::try_parse_from(program.chain(words))?;
    Ok(match line.command {
        Some(Command::Check(arguments)) => Request::Check(arguments.into_options()),
        Some(Command::Inspect(options)) => Request::Inspect(options),
        Some(Command::Init(options)) => Request::Init(options),
        Some(Command::Schema) => Request::Schema,
        Some(Command::Serve(arguments)) => Request::Serve(Box::new(arguments.into_options())),
        None => Request::Serve(Box::new(line.serve.into_options())),
    })
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Self {
        Self { text: error.render().to_string(), is_mistake: error.use_stderr() }
    }
}

#[cfg(test)]
mod tests;
