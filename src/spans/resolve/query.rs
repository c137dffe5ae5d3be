//! Asking name servers: over UDP, and over TCP what does not fit there.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::conf::Conf;
use super::message::{self, Answer, Kind, Read};

/// What fits into a datagram without an agreement.
const DATAGRAM: usize = 512;

/// Asks one server after another until one knows; who it was. The error is the last one's.
pub(super) fn ask(
    conf: &Conf,
    port: u16,
    name: &str,
    kind: Kind,
    deadline: Instant,
) -> Result<(IpAddr, Answer), String> {
    let mut why = "the time is over".to_owned();
    for _ in 0..conf.attempts {
        for server in &conf.servers {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else { return Err(why) };
            let until = Instant::now() + rest.min(conf.timeout);
            let address = SocketAddr::new(*server, port);
            match ask_one(address, name, kind, until) {
                Ok(Read::Answer(answer)) => return Ok((*server, answer)),
                Ok(Read::Failed(code)) => why = format!("{address} answers with the code {code}"),
                Ok(Read::Truncated | Read::Foreign) => why = format!("{address} answers nonsense"),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
    }
    Err(why)
}

fn ask_one(server: SocketAddr, name: &str, kind: Kind, until: Instant) -> io::Result<Read> {
    let mut id = [0; 2];
    crate::spans::export::random(&mut id);
    let Some(question) = message::question(u16::from_be_bytes(id), name, kind) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no question can hold the name"));
    };
    match datagrams(server, &question, kind, until)? {
        Read::Truncated => stream(server, &question, kind, until),
        read => Ok(read),
    }
}

/// The socket is connected, so that only the server's datagrams come in; of those that answer
/// something else the next one is waited for.
fn datagrams(server: SocketAddr, question: &[u8], kind: Kind, until: Instant) -> io::Result<Read> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(question)?;
    loop {
        let mut buffer = [0; DATAGRAM];
        socket.set_read_timeout(Some(rest(until)?))?;
        let length = socket.recv(&mut buffer)?;
        match message::read(buffer.get(..length).unwrap_or_default(), question, kind) {
            Read::Foreign => {}
            read => return Ok(read),
        }
    }
}

fn stream(server: SocketAddr, question: &[u8], kind: Kind, until: Instant) -> io::Result<Read> {
    let mut stream = TcpStream::connect_timeout(&server, rest(until)?)?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.set_write_timeout(Some(rest(until)?))?;
    stream.write_all(&[length.to_be_bytes().as_slice(), question].concat())?;
    let mut length = [0; 2];
    fill(&mut stream, &mut length, until)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    fill(&mut stream, &mut answer, until)?;
    Ok(message::read(&answer, question, kind))
}

fn fill(stream: &mut TcpStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(rest(until)?))?;
        match stream.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer = buffer.get_mut(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

fn rest(until: Instant) -> io::Result<Duration> {
    let rest = until.saturating_duration_since(Instant::now());
    if rest < Duration::from_millis(1) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(rest) }
}
