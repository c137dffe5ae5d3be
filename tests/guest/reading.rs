use bpftally::bpf::Method;
use libbpf_rs::MapType;

use crate::common::kernel::{create_map, kernel_since, put, rows, source};
use crate::matrix;

/// How the exporter reads each kind of map: many entries with one call where the kernel can do that.
#[test]
fn maps_are_read_by_batches_where_the_kernel_has_them() {
    let kinds = [
        ("hash", MapType::Hash, None),
        ("lru_hash", MapType::LruHash, None),
        ("percpu_hash", MapType::PercpuHash, None),
        ("lru_percpu_hash", MapType::LruPercpuHash, None),
        ("array", MapType::Array, None),
        ("percpu_array", MapType::PercpuArray, Some((5, 13))),
        ("lpm_trie", MapType::LpmTrie, Some((5, 16))),
    ];
    for (name, kind, since) in kinds {
        let is_trie = kind == MapType::LpmTrie;
        let (key_size, flags) = if is_trie { (8, libbpf_sys::BPF_F_NO_PREALLOC) } else { (4, 0) };
        let map = create_map(kind, key_size, 8, 16, flags);
        if !name.ends_with("array") && !name.contains("percpu") {
            let key: &[u8] = if is_trie { &[32, 0, 0, 0, 10, 0, 0, 1] } else { &[1, 0, 0, 0] };
            put(&map, key, &7_u64.to_ne_bytes());
        }
        let source = source(&map, Method::Batch);
        rows(&source);
        let by_batches = since.is_none_or(|(major, minor)| kernel_since(major, minor));
        assert_eq!(source.method(), if by_batches { Method::Batch } else { Method::PerKey }, "{name}");
        matrix::record("reads", name, if by_batches { "by batches" } else { "key by key" });
    }
}
