//! The floor: a program that reads one map by batch, renders it hard-coded, and writes the bytes.
#![expect(
    unsafe_code,
    reason = "reading by batch without an allocation for each entry has no safe interface"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::MapHandle;

/// Entries in one call.
const ROWS: usize = 4096;
const KEY: usize = 24;

/// Serves one client after another, for ever.
pub fn serve(map: u32) {
    let map = MapHandle::from_map_id(map).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut page = Vec::new();
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        stream.get_ref().set_nodelay(true).unwrap();
        loop {
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap_or(0) > 0 && line != "\r\n" {
                line.clear();
            }
            if line.is_empty() {
                break;
            }
            page.clear();
            render(&map, &mut page);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
            let out = stream.get_mut();
            if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&page)).is_err() {
                break;
            }
        }
    }
}

fn render(map: &MapHandle, page: &mut Vec<u8>) {
    let (mut keys, mut values) = (vec![0u8; ROWS * KEY], vec![0u64; ROWS]);
    let (mut token, mut next) = ([0u64; KEY], [0u64; KEY]);
    let options = libbpf_sys::bpf_map_batch_opts {
        sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let mut number = itoa::Buffer::new();
    let mut is_first = true;
    loop {
        let mut count = ROWS as u32;
        // SAFETY: keys and values have room for `ROWS` entries of the map's sizes, the tokens are longer than a key.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_batch(
                map.as_fd().as_raw_fd(),
                if is_first { std::ptr::null_mut() } else { token.as_mut_ptr().cast() },
                next.as_mut_ptr().cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                &raw const options,
            )
        };
        assert!(result == 0 || result == -libc::ENOENT, "{result}");
        for (key, value) in keys.chunks_exact(KEY).zip(&values).take(count as usize) {
            let part = |at: usize| u32::from_ne_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
            page.extend_from_slice(b"ebpf_exporter_bench_0_total{a=\"");
            page.extend_from_slice(number.format(part(0)).as_bytes());
            page.extend_from_slice(b"\",b=\"");
            page.extend_from_slice(number.format(part(4)).as_bytes());
            page.extend_from_slice(b"\",comm=\"");
            let comm = &key[8..];
            page.extend_from_slice(&comm[..memchr::memchr(0, comm).unwrap_or(comm.len())]);
            page.extend_from_slice(b"\"} ");
            page.extend_from_slice(number.format(*value).as_bytes());
            page.push(b'\n');
        }
        if result != 0 {
            return;
        }
        is_first = false;
        std::mem::swap(&mut token, &mut next);
    }
}
