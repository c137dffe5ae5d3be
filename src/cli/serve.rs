//! The flags of `serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{
    CONFIG_DIR, ConfigOptions, Keep, Listen, LogFormat, LogLevel, LogOptions, Options, Require, WebOptions,
    address, capabilities, duration,
};
use crate::host::Roots;
use crate::reload::{WatchMode, WatchTiming};
use crate::server::Limits;

/// What `--bpf.stats` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Stats {
    /// The exporter has the kernel measure programs as long as it runs.
    On,
    /// Programs are measured when the sysctl kernel.bpf_stats_enabled says so.
    Off,
}

/// What `--config.watch` can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Watch {
    /// By events, with a slow re-check; by looking again and again where there are none.
    Auto,
    /// By looking again and again.
    Poll,
    /// Only when a reload is asked for.
    Off,
}

impl From<Watch> for WatchMode {
    fn from(watch: Watch) -> Self {
        match watch {
            Watch::Auto => Self::Auto,
            Watch::Poll => Self::Poll,
            Watch::Off => Self::Off,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of configs (*.yaml) and their objects.
    #[arg(long = "config.dir", value_name = "DIR", default_value = CONFIG_DIR, help_heading = "Configs")]
    config_dir: PathBuf,

    /// Names of configs, separated by commas [default: every *.yaml in the folder].
    #[arg(long = "config.names", value_name = "NAMES", value_parser = names, help_heading = "Configs")]
    config_names: Option<Names>,

    /// Load and attach everything, say what is wrong, and exit (2 when something is).
    #[arg(long = "config.check", help_heading = "Configs", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    config_check: bool,

    /// Exit with 2 when a config has any problem or a program cannot be attached.
    #[arg(long = "config.strict", help_heading = "Configs", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    config_strict: bool,

    /// Serve objects (*.bpf.o) that have no config beside them by the one that `bpftally init` writes.
    #[arg(long = "config.auto", help_heading = "Configs", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    config_auto: bool,

    /// How many skipped label sets are remembered [0: none].
    #[arg(
        long = "config.skip-cache-size",
        value_name = "COUNT",
        default_value_t = 0,
        help_heading = "Configs"
    )]
    config_skip_cache_size: usize,

    /// How changes of configs and objects are noticed while the exporter runs.
    #[arg(
        long = "config.watch",
        value_name = "HOW",
        default_value = "auto",
        value_enum,
        help_heading = "Configs"
    )]
    config_watch: Watch,

    /// Files are read when they have not changed for so long.
    #[arg(long = "config.quiet-period", value_name = "DURATION", default_value = "100ms", value_parser = some_time,
          help_heading = "Configs")]
    config_quiet_period: Duration,

    /// Time between two looks at files whose changes are not told.
    #[arg(long = "config.poll-interval", value_name = "DURATION", default_value = "2s", value_parser = some_time,
          help_heading = "Configs")]
    config_poll_interval: Duration,

    /// Follow files, too, that others than root and the exporter's user can change.
    #[arg(long = "config.allow-insecure-permissions", help_heading = "Configs", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    config_allow_insecure_permissions: bool,

    /// Folder of objects that are not beside their config.
    #[arg(long = "object.dir", value_name = "DIR", help_heading = "Configs")]
    object_dir: Option<PathBuf>,

    /// First part of metric names, unless a config says otherwise.
    #[arg(long = "metrics.namespace", value_name = "NAME", default_value = "ebpf_exporter", value_parser = namespace,
          help_heading = "Configs")]
    metrics_namespace: String,

    /// How many label sets a metric may have, unless its config says otherwise [default: as many as there are].
    #[arg(long = "metrics.max-series", value_name = "COUNT", value_parser = max_series, help_heading = "Configs")]
    metrics_max_series: Option<usize>,

    /// Log what libbpf says while debugging, and serve /maps.
    #[arg(long, help_heading = "Log", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", hide_default_value = true, value_name = "BOOL",
          hide_possible_values = true)]
    debug: bool,

    /// Log nothing lighter than this.
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        default_value = "info",
        value_enum,
        help_heading = "Log"
    )]
    log_level: LogLevel,

    /// How a line looks.
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        value_enum,
        help_heading = "Log"
    )]
    log_format: LogFormat,

    /// Leave out the time (where journald adds its own).
    #[arg(long = "log.no-timestamps", help_heading = "Log", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    log_no_timestamps: bool,

    /// Where to listen. The help stands apart because its brackets would be a link here.
    #[arg(long = "web.listen-address", help = "Where to listen: :9435, 127.0.0.1:9435, [::1]:9435, localhost:9435, \
          or fd://N for the N-th socket that systemd hands over; can be repeated", value_name = "ADDRESS", default_value = ":9435", value_parser = address::parse,
          action = ArgAction::Append, help_heading = "Web")]
    web_listen_address: Vec<Listen>,

    /// Where the metrics are.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path,
          help_heading = "Web")]
    web_telemetry_path: String,

    /// Reload when /-/reload is asked for by POST.
    #[arg(long = "web.enable-lifecycle", help_heading = "Web", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true,
          value_name = "BOOL", hide_possible_values = true)]
    web_enable_lifecycle: bool,

    /// Connections at a time; when there are more, the client that holds the most loses one.
    #[arg(long = "web.max-connections", value_name = "COUNT", default_value_t = 256,
          value_parser = connections, help_heading = "Web")]
    web_max_connections: usize,

    /// Time for the head of a request [0: any].
    #[arg(long = "web.header-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration::parse,
          help_heading = "Web")]
    web_header_timeout: Duration,

    /// Time between two requests of a connection [0: any].
    #[arg(long = "web.idle-timeout", value_name = "DURATION", default_value = "5m", value_parser = duration::parse,
          help_heading = "Web")]
    web_idle_timeout: Duration,

    /// Time in which a client has to read the next 16 KiB of a response [0: any].
    #[arg(long = "web.write-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration::parse,
          help_heading = "Web")]
    web_write_timeout: Duration,

    /// Time for reading the maps of one scrape; less when the scraper says that it waits less.
    #[arg(long = "scrape.timeout", value_name = "DURATION", default_value = "10s", value_parser = some_time,
          help_heading = "Web")]
    scrape_timeout: Duration,

    /// How many configs have to serve before /-/ready says so.
    #[arg(
        long = "ready.require",
        value_name = "WHICH",
        default_value = "any",
        value_enum,
        help_heading = "Web"
    )]
    ready_require: Require,

    /// Capabilities that stay once all programs are attached: all, none, or a list such as cap_bpf,cap_syslog.
    #[arg(long = "capabilities.keep", value_name = "LIST", default_value = "all", value_parser = capabilities::parse,
          help_heading = "Kernel and host")]
    capabilities_keep: Keep,

    /// The kernel's types (BTF), when the kernel does not carry them itself.
    #[arg(long = "btf.path", value_name = "FILE", default_value = "", hide_default_value = true,
          value_parser = clap::value_parser!(std::ffi::OsString), help_heading = "Kernel and host")]
    btf_path: std::ffi::OsString,

    /// Where maps are pinned that their objects want pinned by their names (LIBBPF_PIN_BY_NAME).
    #[arg(
        long = "bpf.pin-root",
        value_name = "DIR",
        default_value = "/sys/fs/bpf",
        help_heading = "Kernel and host"
    )]
    bpf_pin_root: PathBuf,

    /// Folder below a BPF file system by which programs and maps stay at work while the exporter is away.
    #[arg(long = "bpf.pin-path", value_name = "DIR", help_heading = "Kernel and host")]
    bpf_pin_path: Option<PathBuf>,

    /// The running kernel's configuration, plain or packed by gzip [default: /boot/config-RELEASE, /proc/config.gz].
    #[arg(long = "bpf.kconfig", value_name = "FILE", help_heading = "Kernel and host")]
    bpf_kconfig: Option<PathBuf>,

    /// Have the kernel measure run time and run count of programs.
    #[arg(
        long = "bpf.stats",
        value_name = "WHEN",
        default_value = "off",
        value_enum,
        help_heading = "Kernel and host"
    )]
    bpf_stats: Stats,

    /// Where the host's /proc is mounted.
    #[arg(
        long = "path.procfs",
        value_name = "DIR",
        default_value = "/proc",
        help_heading = "Kernel and host"
    )]
    path_procfs: PathBuf,

    /// Where the host's /sys is mounted.
    #[arg(long = "path.sysfs", value_name = "DIR", default_value = "/sys", help_heading = "Kernel and host")]
    path_sysfs: PathBuf,

    /// Where the host's cgroups are mounted [default: fs/cgroup below --path.sysfs].
    #[arg(long = "path.cgroupfs", value_name = "DIR", help_heading = "Kernel and host")]
    path_cgroupfs: Option<PathBuf>,

    /// Where the host's root file system is mounted.
    #[arg(long = "path.rootfs", value_name = "DIR", default_value = "/", help_heading = "Kernel and host")]
    path_rootfs: PathBuf,
}

impl Arguments {
    pub(super) fn into_options(self) -> Options {
        let level = if self.debug { self.log_level.max(LogLevel::Debug) } else { self.log_level };
        let cgroupfs = self.path_cgroupfs.unwrap_or_else(|| self.path_sysfs.join("fs/cgroup"));
        Options {
            config: ConfigOptions {
                dir: self.config_dir,
                names: self.config_names.map(|names| names.0),
                object_dir: self.object_dir,
                check: self.config_check,
                strict: self.config_strict,
                auto: self.config_auto,
                skip_cache_size: self.config_skip_cache_size,
                watch: self.config_watch.into(),
                timing: timing(self.config_quiet_period, self.config_poll_interval),
                allow_insecure: self.config_allow_insecure_permissions,
            },
            namespace: self.metrics_namespace,
            max_series: self.metrics_max_series.filter(|max| *max > 0),
            debug: self.debug,
            log: LogOptions { level, format: self.log_format, timestamps: !self.log_no_timestamps },
            web: WebOptions {
                listen: self.web_listen_address,
                telemetry_path: self.web_telemetry_path,
                lifecycle: self.web_enable_lifecycle,
                limits: Limits {
                    max_connections: self.web_max_connections,
                    header_timeout: bounded(self.web_header_timeout),
                    idle_timeout: bounded(self.web_idle_timeout),
                    write_timeout: bounded(self.web_write_timeout),
                    queue_timeout: self.scrape_timeout,
                    ..Limits::default()
                },
            },
            scrape_timeout: self.scrape_timeout,
            keep: self.capabilities_keep,
            btf: Some(self.btf_path).filter(|path| !path.is_empty()).map(PathBuf::from),
            pin_root: self.bpf_pin_root,
            pin_path: self.bpf_pin_path,
            kconfig: self.bpf_kconfig,
            bpf_stats: self.bpf_stats == Stats::On,
            roots: Roots {
                procfs: self.path_procfs,
                sysfs: self.path_sysfs,
                cgroupfs,
                rootfs: self.path_rootfs,
            },
            ready: self.ready_require,
        }
    }
}

/// A wait for quiet ends in any case after some times the quiet period.
fn timing(quiet: Duration, poll: Duration) -> WatchTiming {
    let usual = WatchTiming::default();
    WatchTiming { quiet, poll, bound: usual.bound.max(quiet * 4), ..usual }
}

/// Go's servers take 0 for "not bounded".
fn bounded(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then_some(timeout)
}

/// A list in one word; a type of its own, because clap takes a `Vec` for a flag that is repeated.
#[derive(Clone, Debug)]
struct Names(Vec<String>);

fn names(text: &str) -> Result<Names, String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err("a name between the commas is missing".into());
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("{name:?} is named twice"));
        }
        names.push(name.into());
    }
    Ok(Names(names))
}

pub(super) fn namespace(text: &str) -> Result<String, String> {
    let good = |(index, byte): (usize, u8)| {
        byte.is_ascii_alphabetic() || byte == b'_' || (index > 0 && byte.is_ascii_digit())
    };
    if !text.is_empty() && text.bytes().enumerate().all(good) {
        return Ok(text.into());
    }
    Err("letters, digits and underscores are expected, and no digit first".into())
}

pub(super) fn max_series(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a number of label sets is expected; 0 is as many as there are".into())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("a path begins with a slash: /{text}"));
    }
    if text.contains(['?', '#']) || text.contains(char::is_control) {
        return Err("a path without ?, # and control characters is expected".into());
    }
    Ok(text.into())
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "a number from 1 is expected".into())
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    if time.is_zero() { Err("a scrape needs some time".into()) } else { Ok(time) }
}
