use std::path::Path;

use super::*;

fn parsed(words: &[&str]) -> Options {
    match parse(words.iter().map(OsString::from)) {
        Ok(Request::Serve(options)) => *options,
        Ok(other) => panic!("{words:?}: {other:?}"),
        Err(refusal) => panic!("{words:?}: {}", refusal.text),
    }
}

/// The words stand for the defaults but for what `change` does to them.
#[track_caller]
fn check(words: &[&str], change: impl Fn(&mut Options)) {
    let mut expected = parsed(&[]);
    change(&mut expected);
    assert_eq!(parsed(words), expected, "{words:?}");
}

#[track_caller]
fn check_refused(words: &[&str], part: &str) {
    let refusal = parse(words.iter().map(OsString::from)).expect_err("these words are mistaken");
    assert!(refusal.is_mistake, "{words:?}");
    assert!(refusal.text.contains(part), "{words:?} should say {part:?}:\n{}", refusal.text);
}

#[test]
fn the_defaults_are_the_references() {
    let options = parsed(&[]);
    assert_eq!(options.config.dir, Path::new("/etc/bpftally"));
    assert_eq!(options.config.names, None);
    assert_eq!(options.namespace, "ebpf_exporter");
    assert_eq!(options.web.listen, [Listen::Everywhere { port: 9435 }]);
    assert_eq!(options.web.telemetry_path, "/metrics");
    assert_eq!(options.web.limits.max_connections, Limits::default().max_connections);
    assert_eq!(options.web.limits.write_timeout, Limits::default().write_timeout);
    assert_eq!(options.keep, Keep::All);
    assert_eq!(options.btf, None);
    assert_eq!(options.pin_root, Path::new("/sys/fs/bpf"));
    assert_eq!(
        options.log,
        LogOptions { level: LogLevel::Info, format: LogFormat::Logfmt, timestamps: true }
    );
    assert_eq!(options.roots.cgroupfs, Path::new("/sys/fs/cgroup"));
    assert_eq!(options.ready, Require::Any);
    assert!(!options.debug && !options.config.check && !options.config.strict && !options.bpf_stats);
}

#[test]
fn every_flag_of_the_reference_is_known() {
    check(&["--config.dir=/a", "--config.names=b,c"], |options| {
        options.config.dir = "/a".into();
        options.config.names = Some(vec!["b".into(), "c".into()]);
    });
    check(&["--config.dir", "/a", "--config.names", " b , c"], |options| {
        options.config.dir = "/a".into();
        options.config.names = Some(vec!["b".into(), "c".into()]);
    });
    check(&["--config.check"], |options| options.config.check = true);
    check(&["--config.strict"], |options| options.config.strict = true);
    check(&["--config.skip-cache-size=100"], |options| options.config.skip_cache_size = 100);
    check(&["--log.no-timestamps"], |options| options.log.timestamps = false);
    check(&["--web.telemetry-path=/probe"], |options| options.web.telemetry_path = "/probe".into());
    check(&["--capabilities.keep=none"], |options| options.keep = Keep::Only([].into()));
    check(&["--btf.path", "/boot/btf"], |options| options.btf = Some("/boot/btf".into()));
    check(&["--btf.path="], |_| {});
    check(&["--bpf.pin-root=/run/pins"], |options| options.pin_root = "/run/pins".into());
    check(&["--bpf.pin-path=/run/kept"], |options| options.pin_path = Some("/run/kept".into()));
    check(&["--debug"], |options| {
        options.debug = true;
        options.log.level = LogLevel::Debug;
    });
    check(&["--web.listen-address=fd://1"], |options| options.web.listen = vec![Listen::Descriptor(1)]);
}

#[test]
fn our_own_flags_are_known() {
    check(&["--web.listen-address=:1", "--web.listen-address", "localhost:2"], |options| {
        options.web.listen = vec![Listen::Everywhere { port: 1 }, Listen::Localhost { port: 2 }];
    });
    check(&["--object.dir=/o", "--metrics.namespace=mine"], |options| {
        options.config.object_dir = Some("/o".into());
        options.namespace = "mine".into();
    });
    for (count, expected) in [("0", None), ("5000", Some(5000))] {
        check(&["--metrics.max-series", count], |options| options.max_series = expected);
    }
    check_refused(&["--metrics.max-series=-1"], "label sets");
    check(&["--bpf.kconfig=/c.gz"], |options| options.kconfig = Some("/c.gz".into()));
    check(&["--log.level=warn", "--log.format=json"], |options| {
        options.log.level = LogLevel::Warn;
        options.log.format = LogFormat::Json;
    });
    check(&["--path.sysfs=/host/sys"], |options| {
        options.roots.sysfs = "/host/sys".into();
        options.roots.cgroupfs = "/host/sys/fs/cgroup".into();
    });
    check(&["--web.idle-timeout=0", "--web.header-timeout=1m30s"], |options| {
        options.web.limits.idle_timeout = None;
        options.web.limits.header_timeout = Some(Duration::from_secs(90));
    });
    check(&["--scrape.timeout=2s", "--ready.require=all", "--bpf.stats=on"], |options| {
        options.scrape_timeout = Duration::from_secs(2);
        options.web.limits.queue_timeout = Duration::from_secs(2);
        options.ready = Require::All;
        options.bpf_stats = true;
    });
}

#[test]
fn serve_is_the_default_command() {
    check(&["serve"], |_| {});
    check(&["serve", "--config.strict"], |options| options.config.strict = true);
}

#[test]
fn check_takes_paths() {
    #[track_caller]
    fn check_words(words: &[&str], expected: CheckOptions) {
        let parsed =
            parse(words.iter().map(OsString::from)).unwrap_or_else(|refusal| panic!("{}", refusal.text));
        assert_eq!(parsed, Request::Check(expected));
    }
    let plain = CheckOptions {
        paths: vec!["a.yaml".into(), "b".into()],
        format: Format::Human,
        strict: false,
        load: false,
        object_dir: None,
        namespace: "ebpf_exporter".into(),
        max_series: None,
        btf: None,
        kconfig: None,
    };
    check_words(&["check", "a.yaml", "b"], plain.clone());
    let all = ["check", "--format=json", "a.yaml", "--load", "--btf", "x", "--object.dir=o", "--strict", "b"];
    check_words(
        &all,
        CheckOptions {
            format: Format::Json,
            strict: true,
            load: true,
            object_dir: Some("o".into()),
            btf: Some("x".into()),
            ..plain
        },
    );
    check_refused(&["check"], "PATH");
    check_refused(&["check", "--format=xml", "a"], "github");
    check_refused(&["check", "--strct", "a"], "--strict");
    check_refused(&["check", "--metrics.namespace=9", "a"], "no digit first");
}

#[test]
fn switches_are_negated_as_kingpin_does() {
    check(&["--no-debug"], |_| {});
    check(&["--no-config.strict", "--no-log.no-timestamps"], |_| {});
    check(&["--debug=false"], |_| {});
    check(&["--config.check=true"], |options| options.config.check = true);
    check_refused(&["--no-config.dir"], "--no-config.dir");
    check_refused(&["--debug", "--no-debug"], "cannot be used multiple times");
    check_refused(&["--debug", "true"], "true");
}

#[test]
fn files_hold_words() {
    let folder = tempfile::tempdir().unwrap();
    let (outer, inner) = (folder.path().join("outer"), folder.path().join("inner"));
    std::fs::write(&inner, "--config.names\na b,c").unwrap();
    std::fs::write(&outer, format!("# flags\n--no-debug\n\n@{}\n--config.dir=/a b\n", inner.display()))
        .unwrap();
    check(&[&format!("@{}", outer.display()), "--config.strict"], |options| {
        options.config.dir = "/a b".into();
        options.config.names = Some(vec!["a b".into(), "c".into()]);
        options.config.strict = true;
    });
    std::fs::write(&inner, format!("@{}", inner.display())).unwrap();
    check_refused(&[&format!("@{}", inner.display())], "deep");
    check_refused(&["@/nonexistent/flags"], "/nonexistent/flags");
}

#[test]
fn mistakes_are_explained() {
    check_refused(&["--config.dri=/a"], "--config.dir");
    check_refused(&["--config.dir=/a", "--config.dir=/b"], "cannot be used multiple times");
    check_refused(&["surplus"], "surplus");
    check_refused(&["--config.dir"], "--config.dir");
    check_refused(&["--config.names=a,,b"], "missing");
    check_refused(&["--config.names=a,b,a"], "named twice");
    check_refused(&["--config.skip-cache-size=-1"], "-1");
    check_refused(&["--web.listen-address=9435"], ":9435");
    check_refused(&["--web.telemetry-path=metrics"], "/metrics");
    check_refused(&["--web.telemetry-path=/a?b"], "without ?");
    check_refused(&["--web.max-connections=0"], "from 1");
    check_refused(&["--web.write-timeout=5"], "10s");
    check_refused(&["--scrape.timeout=0s"], "some time");
    check_refused(&["--capabilities.keep=cap_bfp"], "cap_bpf");
    check_refused(&["--metrics.namespace=9a"], "no digit first");
    check_refused(&["--metrics.namespace="], "letters");
    check_refused(&["--log.level=loud"], "info");
    check_refused(&["--ready.require=some"], "all");
    check_refused(&["--bpf.stats=maybe"], "off");
}

#[test]
fn help_and_version_are_no_mistakes() {
    for words in [["--help"], ["-h"], ["--version"]] {
        let refusal = parse(words.map(OsString::from)).expect_err("no run is asked for");
        assert!(!refusal.is_mistake, "{words:?}");
    }
    let help = parse(["--help".into()]).expect_err("no run is asked for").text;
    for flag in ["--config.dir", "--web.listen-address", "--capabilities.keep", "[default: :9435]"] {
        assert!(help.contains(flag), "{flag} is not in\n{help}");
    }
    let version = parse(["--version".into()]).expect_err("no run is asked for").text;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn the_schema_is_asked_for_without_flags() {
    assert_eq!(parse(["schema".into()]), Ok(Request::Schema));
    check_refused(&["schema", "--debug"], "--debug");
    check_refused(&["--debug", "schema"], "schema");
}

#[test]
fn the_command_line_is_sound() {
    use clap::CommandFactory;
    CommandLine::command().debug_assert();
}
