//! The exporter under test, with filled maps, and the bare program beside it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, ObjectBuilder};

use crate::client::Client;
use crate::{Case, process};

/// The binary that is measured.
pub const EXPORTER: &str = env!("CARGO_BIN_EXE_bpftally");

/// Scrapes over which system calls are counted.
const COUNTED: u64 = 20;

/// A running process that is scraped.
pub struct Process {
    child: Child,
    log: Option<ChildStderr>,
    pub address: String,
}

impl Process {
    fn exporter(folder: &Path) -> Self {
        let mut child = Command::new(EXPORTER)
            .arg("--config.dir")
            .arg(folder)
            .args(["--web.listen-address=127.0.0.1:0", "--config.strict"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { log: child.stderr.take(), child, address: String::new() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

pub struct Subject {
    exporter: Process,
    pub address: String,
    folder: tempfile::TempDir,
    maps: Vec<u32>,
}

impl Subject {
    /// Starts the exporter and fills its maps.
    pub fn start(case: &Case) -> Self {
        let folder = folder(case);
        let mut exporter = Process::exporter(folder.path());
        let log = exporter.log.take().unwrap();
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        exporter.address =
            lines.by_ref().find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned())).unwrap();
        let serves = lines.by_ref().any(|line| line.contains("msg=serving"));
        assert!(serves, "the exporter does not serve: BPF needs root");
        // What it says from now on is nobody's, but must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let address = exporter.address.clone();
        let maps = process::map_ids(exporter.child.id());
        let maps: Vec<u32> = maps.into_iter().filter(|id| is_named(*id, case.content.map())).collect();
        assert_eq!(maps.len(), case.configs);
        for map in &maps {
            case.content.fill(&MapHandle::from_map_id(*map).unwrap());
        }
        Self { exporter, address, folder, maps }
    }

    pub fn pid(&self) -> u32 {
        self.exporter.child.id()
    }

    /// The bare program over the same map; it reads one.
    pub fn bare(&self) -> Option<Process> {
        let [map] = self.maps.as_slice() else { return None };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["bare", &map.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Process { child, log: None, address: address.trim().to_owned() })
    }

    /// System calls of the exporter for one scrape, on average.
    pub fn system_calls(&self, client: &mut Client) -> u64 {
        let path = compile("calls", self.folder.path());
        let mut object = ObjectBuilder::default().open_file(path).unwrap();
        for mut map in object.maps_mut().filter(|map| map.name().to_string_lossy().ends_with(".rodata")) {
            map.initial_value_mut().unwrap()[..4].copy_from_slice(&self.pid().to_ne_bytes());
        }
        let object = object.load().unwrap();
        let links: Vec<Link> = object.progs_mut().map(|program| program.attach().unwrap()).collect();
        let count = || {
            let map = object.maps().find(|map| map.name() == "system_calls_total").unwrap();
            let bytes = map.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).unwrap().unwrap();
            u64::from_ne_bytes(bytes.try_into().unwrap())
        };
        let before = count();
        for _ in 0..COUNTED {
            client.get();
        }
        let calls = (count() - before) / COUNTED;
        drop(links);
        calls
    }
}

/// How long it takes from the launch of the exporter, with one config, until its first page was read whole; and the
/// memory that is resident then.
pub fn launch(case: &Case) -> (Duration, f64) {
    let folder = folder(case);
    let began = Instant::now();
    let mut exporter = Process::exporter(folder.path());
    let mut log = BufReader::new(exporter.log.take().unwrap()).lines().map_while(Result::ok);
    let address =
        log.by_ref().find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned())).unwrap();
    assert!(log.by_ref().any(|line| line.contains("msg=serving")), "the exporter does not serve");
    Client::new(&address, "/metrics", "identity").get();
    (began.elapsed(), process::memory(exporter.pid()).resident)
}

/// A folder of configs with their object.
fn folder(case: &Case) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    compile("maps", folder.path());
    for number in 0..case.configs {
        let path = folder.path().join(format!("bench_{number}.yaml"));
        std::fs::write(path, case.content.yaml(number)).unwrap();
    }
    folder
}

fn is_named(map: u32, name: &str) -> bool {
    MapHandle::from_map_id(map).is_ok_and(|map| map.name() == name)
}

/// Compiles one of the objects beside this file.
fn compile(name: &str, folder: &Path) -> std::path::PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/scrape/{name}.bpf.c"));
    let object = folder.join(format!("{name}.bpf.o"));
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let status = Command::new("clang")
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v3", &include, "-c", "-o"])
        .args([&object, &source])
        .status()
        .unwrap();
    assert!(status.success(), "clang compiles {}", source.display());
    object
}
