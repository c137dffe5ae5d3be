use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A resolver with these files, and a name server on a port.
fn resolver(folder: &std::path::Path, hosts: &str, conf: &str, port: u16) -> Resolver {
    std::fs::write(folder.join("hosts"), hosts).unwrap();
    std::fs::write(folder.join("resolv.conf"), conf).unwrap();
    Resolver { hosts: folder.join("hosts"), conf: folder.join("resolv.conf"), port }
}

fn texts(found: Result<Vec<IpAddr>, ResolveError>) -> Vec<String> {
    found.unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn addresses_and_localhost_need_no_files() {
    let nowhere = Resolver { hosts: "/nowhere".into(), conf: "/nowhere".into(), port: 1 };
    assert_eq!(texts(nowhere.resolve("10.1.2.3", soon())), ["10.1.2.3"]);
    assert_eq!(texts(nowhere.resolve("fe80::1", soon())), ["fe80::1"]);
    for name in ["localhost", "LOCALHOST", "localhost.", "otel.localhost"] {
        assert_eq!(texts(nowhere.resolve(name, soon())), ["127.0.0.1", "::1"], "{name}");
    }
}

#[test]
fn the_hosts_file_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let resolver = resolver(folder.path(), "10.0.0.7 Collector\n", "", 1);
    assert_eq!(texts(resolver.resolve("collector.", soon())), ["10.0.0.7"]);
}

/// The name that a question holds, and its type.
fn asked(question: &[u8]) -> (String, u8) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    (labels.join("."), question[at + 2])
}

/// A response of a name server to a question: its code, and an address of IPv4 if any.
fn answer(question: &[u8], flags: u16, address: Option<[u8; 4]>) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    if let Some(address) = address {
        message[7] = 1;
        message.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(address);
    }
    message
}

/// A name server for so many questions; says what it was asked.
fn serve(
    questions: usize,
    respond: impl Fn(&str, u8, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (u16, thread::JoinHandle<Vec<String>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut names = Vec::new();
        for _ in 0..questions {
            let mut buffer = [0; 512];
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let (name, kind) = asked(&buffer[..length]);
            for message in respond(&name, kind, &buffer[..length]) {
                socket.send_to(&message, from).unwrap();
            }
            names.push(format!("{name} {kind}"));
        }
        names
    });
    (port, server)
}

#[test]
fn names_are_searched_for_until_one_is_known() {
    let (port, server) = serve(3, |name, kind, question| {
        let is_known = name == "otel.ns" && kind == 1;
        // A message that answers another question comes first, and is not believed.
        let mut foreign = answer(question, 0, Some([6, 6, 6, 6]));
        foreign[0] ^= 0xff;
        vec![foreign, answer(question, if is_known { 0 } else { 3 }, is_known.then_some([10, 0, 0, 9]))]
    });
    let folder = tempfile::tempdir().unwrap();
    let conf = "nameserver 127.0.0.1\nsearch a.local b.local\noptions ndots:2\n";
    let resolver = resolver(folder.path(), "", conf, port);
    assert_eq!(texts(resolver.resolve("otel.ns", soon())), ["10.0.0.9"]);
    assert_eq!(server.join().unwrap(), ["otel.ns.a.local 1", "otel.ns.b.local 1", "otel.ns 1"]);
}

#[test]
fn a_name_without_the_one_kind_of_address_may_have_the_other() {
    let (port, server) = serve(2, |_, _, question| vec![answer(question, 0, None)]);
    let folder = tempfile::tempdir().unwrap();
    let resolver = resolver(folder.path(), "", "nameserver 127.0.0.1\n", port);
    let error = resolver.resolve("otel.example.", soon()).unwrap_err();
    assert_eq!(error.to_string(), r#"the host "otel.example" is not known to the name server 127.0.0.1"#);
    assert_eq!(server.join().unwrap(), ["otel.example 1", "otel.example 28"]);
}

#[test]
fn what_does_not_fit_into_a_datagram_is_asked_for_over_tcp() {
    // One port for both.
    let (listener, socket, port) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", port)) {
            break (listener, socket, port);
        }
    };
    let server = thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        socket.send_to(&answer(&buffer[..length], 0x0200, None), from).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = vec![0; length + 2];
        stream.read_exact(&mut question).unwrap();
        let message = answer(&question[2..], 0, Some([10, 0, 0, 8]));
        let whole = [(message.len() as u16).to_be_bytes().as_slice(), &message].concat();
        // In two parts, as a network may bring it.
        stream.write_all(&whole[..5]).unwrap();
        stream.flush().unwrap();
        stream.write_all(&whole[5..]).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let resolver = resolver(folder.path(), "", "nameserver 127.0.0.1\n", port);
    assert_eq!(texts(resolver.resolve("otel.example", soon())), ["10.0.0.8"]);
    server.join().unwrap();
}

#[test]
fn servers_that_cannot_say_are_named() {
    let (port, server) = serve(2, |_, _, question| vec![answer(question, 2, None)]);
    let folder = tempfile::tempdir().unwrap();
    let resolver = resolver(folder.path(), "", "nameserver 127.0.0.1\n", port);
    let error = resolver.resolve("otel.example", soon()).unwrap_err();
    let expected = format!(
        r#"no name server says where the host "otel.example" is: 127.0.0.1:{port} answers with the code 2"#
    );
    assert_eq!(error.to_string(), expected);
    server.join().unwrap();
}

#[test]
fn a_server_that_is_silent_costs_no_more_than_the_deadline() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = silent.local_addr().unwrap().port();
    let resolver = resolver(folder.path(), "", "nameserver 127.0.0.1\n", port);
    let error = resolver.resolve("otel.example", Instant::now() + Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, ResolveError::Failed { .. }), "{error}");
}
