//! The shipped pair for TCP connections: each attempt has one result, under the name of the thread that made it.

use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::common::exporter::Exporter;
use crate::common::kernel::{run, with_network};

#[track_caller]
fn start() -> Exporter {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (configs, objects) = (root.join("configs"), root.join("bpf-objects"));
    Exporter::start(&[
        "--config.dir",
        configs.to_str().unwrap(),
        "--object.dir",
        objects.to_str().unwrap(),
        "--config.names=tcpconnect",
    ])
}

/// Does something on a thread that the kernel knows by a name.
fn named(name: &str, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

#[track_caller]
fn attempts(exporter: &Exporter, process: &str, result: &str) -> f64 {
    let series =
        format!("ebpf_exporter_tcp_connects_by_process_total{{process=\"{process}\",result=\"{result}\"}}");
    exporter.value(&series).unwrap_or_default()
}

/// An address where nobody listens.
fn nobody(address: &str) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn each_attempt_has_one_result() {
    let exporter = start();
    let all = |result: &str| {
        exporter
            .value(&format!("ebpf_exporter_tcp_connects_total{{result=\"{result}\"}}"))
            .unwrap_or_default()
    };
    let (established, refused) = (all("established"), all("ECONNREFUSED"));
    for (process, address) in [("connects-v4", "127.0.0.1"), ("connects-v6", "::1")] {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let (there, nowhere) = (listener.local_addr().unwrap(), nobody(address));
        named(process, || {
            for _ in 0..40 {
                drop(TcpStream::connect(there).unwrap());
            }
            for _ in 0..25 {
                TcpStream::connect(nowhere).unwrap_err();
            }
        });
        assert_eq!(attempts(&exporter, process, "established"), 40.0);
        assert_eq!(attempts(&exporter, process, "ECONNREFUSED"), 25.0);
        let latency = |part: &str| {
            let name = format!("ebpf_exporter_tcp_connect_latency_by_process_seconds_{part}");
            exporter.value(&format!("{name}{{process=\"{process}\"}}")).unwrap()
        };
        assert_eq!(latency("count"), 40.0);
        assert!(latency("sum") > 0.0);
    }
    // Others may connect meanwhile, and the scrapes do.
    assert!(all("established") >= established + 80.0);
    assert!(all("ECONNREFUSED") >= refused + 50.0);
}

/// Nobody has the address, so that nobody answers until the socket is closed.
#[test]
fn a_socket_that_is_closed_before_an_answer_is_cancelled() {
    let exporter = start();
    with_network(|| {
        run("ip", &["link", "add", "hole", "type", "veth", "peer", "name", "bottom"]);
        run("ip", &["link", "set", "bottom", "up"]);
        run("ip", &["address", "add", "192.0.2.1/24", "dev", "hole"]);
        run("ip", &["link", "set", "hole", "up"]);
        for _ in 0..10 {
            let socket =
                socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
            let address: SocketAddrV4 = "192.0.2.9:9".parse().unwrap();
            // The kernel takes the name that a thread has when it connects.
            named("cancels", || assert_eq!(connect(&socket, &address), Err(rustix::io::Errno::INPROGRESS)));
            drop(socket);
        }
    });
    assert_eq!(attempts(&exporter, "cancels", "ECANCELED"), 10.0);
}
