//! What the machine does not tell by itself: the kernel's configuration, and its types.

use std::process::Command;
use std::time::{Duration, Instant};

use super::Workload;
use crate::common::exporter::{Exporter, value_of};
use crate::common::folder::Folder;
use crate::common::kernel::{run, without_kernel_btf};
use crate::common::objects::compile;

/// A program that shows what options are to it.
const OPTIONS: &str = r#"
extern int CONFIG_HZ __kconfig;
extern _Bool CONFIG_BPFTALLY_SWITCH __kconfig __weak;
extern char CONFIG_LOCALVERSION[8] __kconfig __weak;
u64 hertz, is_on, first, ran;
SEC("raw_tp/sys_enter") int tell(void *ctx)
{
    hertz = CONFIG_HZ;
    is_on = CONFIG_BPFTALLY_SWITCH;
    first = CONFIG_LOCALVERSION[1];
    ran = 1;
    return 0;
}
"#;

const GAUGES: &str = "metrics: {gauges: [{name: hertz, help: h, global: hertz}, {name: is_on, help: h, global: is_on}, \
                      {name: first, help: h, global: first}, {name: ran, help: h, global: ran}]}";

/// The values, as they are by the YAML's `kconfig` and these flags.
#[track_caller]
fn check(kconfig: &str, flags: &[&str], expected: [f64; 3]) {
    let folder = options(kconfig);
    let exporter = Exporter::start(&[&[folder.argument().as_str(), "--config.strict"], flags].concat());
    // The first call of anybody sets all of them.
    let deadline = Instant::now() + Duration::from_secs(60);
    while exporter.value("ebpf_exporter_ran") != Some(1.0) {
        assert!(Instant::now() < deadline, "{}", exporter.log());
    }
    let page = exporter.page();
    for (name, expected) in ["hertz", "is_on", "first"].iter().zip(expected) {
        let value = value_of(&page, &format!("ebpf_exporter_{name}"));
        assert_eq!(value, Some(expected), "{name} by {kconfig} {flags:?}: {page}");
    }
}

fn options(kconfig: &str) -> Folder {
    let folder = Folder::new();
    folder.pair("options", &format!("{kconfig}\n{GAUGES}"), &compile(OPTIONS));
    folder
}

#[track_caller]
fn refused(kconfig: &str, flags: &[&str], words: &[&str]) {
    let folder = options(kconfig);
    let exporter = Exporter::launch(&[&[folder.argument().as_str()], flags].concat());
    assert_eq!(
        exporter.value("ebpf_exporter_config_loaded{config=\"options\"}"),
        Some(0.0),
        "{}",
        exporter.log()
    );
    let log = exporter.log();
    assert!(words.iter().all(|word| log.contains(word)), "{words:?}: {log}");
}

#[test]
fn options_are_what_config_file_and_machine_say_in_this_order() {
    let files = Folder::new();
    let plain = files.file("plain", "# CONFIG_BPFTALLY_SWITCH is not set\nCONFIG_HZ=300\n");
    let packed =
        files.file("packed", "CONFIG_HZ=100\nCONFIG_BPFTALLY_SWITCH=y\nCONFIG_LOCALVERSION=\"-x\"\n");
    run("gzip", &[packed.to_str().unwrap()]);
    let [plain, packed] = [plain.display(), packed.display()].map(|path| format!("--bpf.kconfig={path}"));
    let packed = format!("{packed}.gz");
    check("", &[&plain], [300.0, 0.0, 0.0]);
    check("", &[&packed], [100.0, 1.0, f64::from(b'x')]);
    check(
        "kconfig: {CONFIG_HZ: 0x3e8, CONFIG_BPFTALLY_SWITCH: n}",
        &[&packed],
        [1000.0, 0.0, f64::from(b'x')],
    );
    // All of them are given: no file is looked for.
    let nowhere = ["--path.procfs=/nowhere", "--path.rootfs=/nowhere"];
    check(
        "kconfig: {CONFIG_HZ: -2, CONFIG_BPFTALLY_SWITCH: true, CONFIG_LOCALVERSION: -abc}",
        &nowhere,
        [u64::MAX as f64 - 1.0, 1.0, f64::from(b'a')],
    );
    // A container sees those of its host below its roots.
    let host = Folder::new();
    std::fs::create_dir(host.path().join("boot")).unwrap();
    let release = run("uname", &["-r"]);
    host.file(&format!("boot/config-{}", release.trim()), "CONFIG_HZ=333\n");
    let rootfs = format!("--path.rootfs={}", host.path().display());
    check("", &[&rootfs], [333.0, 0.0, 0.0]);
}

#[test]
fn without_a_configuration_it_is_said_what_to_do() {
    let nowhere = ["--path.procfs=/nowhere", "--path.rootfs=/nowhere"];
    refused(
        "kconfig: {CONFIG_BPFTALLY_SWITCH: y}",
        &nowhere,
        &[
            "kernel-configuration",
            "`CONFIG_HZ`, `CONFIG_LOCALVERSION`",
            "/nowhere/boot/config-",
            "/nowhere/config.gz",
            "--bpf.kconfig",
            "kconfig: {CONFIG_HZ: ...}",
        ],
    );
    let files = Folder::new();
    let other = files.file("other", "CONFIG_OTHER=y\n");
    let flag = format!("--bpf.kconfig={}", other.display());
    refused(
        "",
        &[&flag],
        &["kernel-option", "`CONFIG_HZ`", "does not set", &other.display().to_string(), "__weak"],
    );
    refused("", &["--bpf.kconfig=/nowhere/config"], &["kernel-configuration", "/nowhere/config"]);
}

/// `bpftool gen min_core_btf` leaves of a kernel's types those that an object asks for.
#[test]
fn tailored_types_serve_a_kernel_that_brings_none() {
    let calls = Workload::new();
    let object = calls.object(
        "struct task_struct { int tgid; } __attribute__((preserve_access_index)); u64 right, wrong;",
        "struct task_struct *task = (void *)bpf_get_current_task();
         int tgid = BPF_CORE_READ(task, tgid);
         if (tgid == bpf_get_current_pid_tgid() >> 32) right++; else wrong++;",
    );
    let folder = Folder::new();
    let yaml =
        "metrics: {counters: [{name: right, help: h, global: right}, {name: wrong, help: h, global: wrong}]}";
    folder.pair("tailored", yaml, &object);
    let tailored = folder.path().join("tailored.btf");
    let made = Command::new("bpftool")
        .args(["gen", "min_core_btf", "/sys/kernel/btf/vmlinux"])
        .args([&tailored, &object])
        .status()
        .unwrap();
    assert!(made.success());
    let (whole, part) = ("/sys/kernel/btf/vmlinux", &tailored);
    let bytes = |path: &std::path::Path| std::fs::read(path).unwrap().len();
    assert!(bytes(part) * 100 < bytes(whole.as_ref()), "it is small: {} bytes", bytes(part));
    let flag = format!("--btf.path={}", tailored.display());
    let serve = || {
        let exporter = Exporter::start(&[&folder.argument(), &flag, "--config.strict"]);
        calls.fire(9);
        assert_eq!(exporter.value("ebpf_exporter_right"), Some(9.0), "{}", exporter.page());
        assert_eq!(exporter.value("ebpf_exporter_wrong"), Some(0.0), "{}", exporter.page());
    };
    without_kernel_btf(|_| serve());
    serve();
}
