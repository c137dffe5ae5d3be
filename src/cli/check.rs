//! The flags of `check`.

use std::path::PathBuf;

use clap::Args;

use super::serve;

/// What is to be checked, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Configs, and folders of them.
    pub paths: Vec<PathBuf>,
    /// `--format`
    pub format: Format,
    /// `--strict`: warnings are errors.
    pub strict: bool,
    /// `--load`: have the kernel's verifier look at the programs.
    pub load: bool,
    /// `--object.dir`: where objects are that are not beside their config.
    pub object_dir: Option<PathBuf>,
    /// `--metrics.namespace`: the default prefix of metric names.
    pub namespace: String,
    /// `--metrics.max-series`: how many label sets a metric may have that does not say it.
    pub max_series: Option<usize>,
    /// `--btf`: types of the kernel that the objects are meant for.
    pub btf: Option<PathBuf>,
    /// `--kconfig`: how that kernel was built.
    pub kconfig: Option<PathBuf>,
}

/// How problems are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As a compiler does: the line of the file with a caret, then a summary.
    Human,
    /// One array of objects.
    Json,
    /// Workflow commands, which GitHub shows beside the lines.
    Github,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exits with 0 when nothing is wrong, with 1 on errors (with --strict on warnings, too), and \
                        with 2 when it is called wrongly. Needs no privileges and no BPF, but for --load."
)]
pub(super) struct Arguments {
    /// Configs (*.yaml), and folders of them.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// How problems are told.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_enum)]
    format: Format,

    /// Exit with 1 on warnings, too.
    #[arg(long)]
    strict: bool,

    /// Load every object without attaching it: the kernel's verifier has the last word. Takes privileges.
    #[arg(long)]
    load: bool,

    /// Folder of objects that are not beside their config.
    #[arg(long = "object.dir", value_name = "DIR")]
    object_dir: Option<PathBuf>,

    /// First part of metric names, unless a config says otherwise.
    #[arg(long = "metrics.namespace", value_name = "NAME", default_value = "ebpf_exporter",
          value_parser = serve::namespace)]
    metrics_namespace: String,

    /// How many label sets a metric may have, unless its config says otherwise [default: as many as there are].
    #[arg(long = "metrics.max-series", value_name = "COUNT", value_parser = serve::max_series)]
    metrics_max_series: Option<usize>,

    /// Types (BTF) of the kernel that the objects are meant for [default: the running kernel's, where it has them].
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,

    /// How that kernel was built: its configuration, plain or packed by gzip [default: the running kernel's, where
    /// there is no --btf].
    #[arg(long, value_name = "FILE")]
    kconfig: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn into_options(self) -> CheckOptions {
        CheckOptions {
            paths: self.paths,
            format: self.format,
            strict: self.strict,
            load: self.load,
            object_dir: self.object_dir,
            namespace: self.metrics_namespace,
            max_series: self.metrics_max_series.filter(|max| *max > 0),
            btf: self.btf,
            kconfig: self.kconfig,
        }
    }
}
