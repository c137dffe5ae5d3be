//! The floor: a program that reads one map by batch, renders it hard-coded, and writes the bytes.
#![expect(
    unsafe_code,
    reason = "reading by batch without an allocation for each entry has no safe interface"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::{MapCore, MapHandle};

/// Entries in one call.
const ROWS: usize = 4096;

/// Histograms of `Content::Histograms`: buckets and the sum.
const SLOTS: usize = 28;

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
    let key_size = map.key_size() as usize;
    let lanes = if map.map_type().is_percpu() { libbpf_rs::num_possible_cpus().unwrap() } else { 1 };
    if key_size == 24 {
        return read(map, key_size, lanes, |key, values| plain(key, values.iter().sum(), page));
    }
    let mut histograms = Vec::new();
    read(map, key_size, lanes, |key, values| {
        let slot = u64::from_ne_bytes(*key.last_chunk().unwrap()) as usize;
        let place = (number(key, 0) as usize * 4 + usize::from(key[4])) * SLOTS + slot;
        if histograms.len() <= place {
            histograms.resize((place / SLOTS + 1) * SLOTS, 0);
        }
        histograms[place] += values[0];
    });
    for (nth, slots) in histograms.chunks_exact(SLOTS).enumerate() {
        histogram(nth, slots, page);
    }
}

fn read(map: &MapHandle, key_size: usize, lanes: usize, mut row: impl FnMut(&[u8], &[u64])) {
    let (mut keys, mut values) = (vec![0u8; ROWS * key_size], vec![0u64; ROWS * lanes]);
    let (mut token, mut next) = ([0u64; 24], [0u64; 24]);
    let options = libbpf_sys::bpf_map_batch_opts {
        sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
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
        let entries = keys.chunks_exact(key_size).zip(values.chunks_exact(lanes));
        entries.take(count as usize).for_each(|(key, values)| row(key, values));
        if result != 0 {
            return;
        }
        is_first = false;
        std::mem::swap(&mut token, &mut next);
    }
}

fn number(key: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]])
}

fn plain(key: &[u8], value: u64, page: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    page.extend_from_slice(b"ebpf_exporter_bench_0_total{a=\"");
    page.extend_from_slice(digits.format(number(key, 0)).as_bytes());
    page.extend_from_slice(b"\",b=\"");
    page.extend_from_slice(digits.format(number(key, 4)).as_bytes());
    page.extend_from_slice(b"\",comm=\"");
    let comm = &key[8..];
    page.extend_from_slice(&comm[..memchr::memchr(0, comm).unwrap_or(comm.len())]);
    page.extend_from_slice(b"\"} ");
    page.extend_from_slice(digits.format(value).as_bytes());
    page.push(b'\n');
}

fn histogram(nth: usize, slots: &[u64], page: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let labels = format!("{{device=\"{}\",operation=\"{}\"", nth / 4, nth % 4);
    let mut total = 0;
    for (exponent, count) in slots[..SLOTS - 1].iter().enumerate() {
        total += count;
        page.extend_from_slice(b"ebpf_exporter_bench_0_seconds_bucket");
        page.extend_from_slice(labels.as_bytes());
        page.extend_from_slice(b",le=\"");
        // Bounds have about six digits.
        page.extend_from_slice(digits.format(100_000 + (1u64 << exponent)).as_bytes());
        page.extend_from_slice(b"\"} ");
        page.extend_from_slice(digits.format(total).as_bytes());
        page.push(b'\n');
    }
    for (name, number) in [("bucket", total), ("sum", slots[SLOTS - 1]), ("count", total)] {
        page.extend_from_slice(b"ebpf_exporter_bench_0_seconds_");
        page.extend_from_slice(name.as_bytes());
        page.extend_from_slice(labels.as_bytes());
        page.extend_from_slice(b"} ");
        page.extend_from_slice(digits.format(number).as_bytes());
        page.push(b'\n');
    }
}
