//! Completes the host's static libelf, which some distributions ship with parts missing.
//!
//! From Debian 13 and Ubuntu 24.04 on it compresses with zstd, which has to be linked
//! then (libelf-dev brings it). That of elfutils 0.192, as in Debian 13, calls
//! functions of its own that were left out of the archive. The archive itself says
//! what it calls.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// What was left out, after elfutils' header: a search tree, which begins with its root. Weak,
/// so that an archive that has these functions after all may bring them.
const SEARCH_TREE: &str = r#"
#define _GNU_SOURCE
#include <search.h>
#include <stddef.h>

struct search_tree {
    void *root;
};

typedef int compare(const void *, const void *);

#define WEAK __attribute__((weak))

WEAK void eu_search_tree_init(struct search_tree *tree) { tree->root = NULL; }
WEAK void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *)) { tdestroy(tree->root, free_node); }
WEAK void *eu_tsearch(const void *key, struct search_tree *tree, compare *by) { return tsearch(key, &tree->root, by); }
WEAK void *eu_tfind(const void *key, struct search_tree *tree, compare *by) { return tfind(key, &tree->root, by); }
WEAK void *eu_tdelete(const void *key, struct search_tree *tree, compare *by) { return tdelete(key, &tree->root, by); }
"#;

/// Adds what is missing behind libelf.
pub fn complete() {
    println!("cargo::rerun-if-changed=build");
    let Some(archive) = archive() else { return };
    println!("cargo::rerun-if-changed={}", archive.display());
    let Ok(libelf) = fs::read(&archive) else { return };
    // As arguments, because they have to stand behind libelf, which a dependency links.
    if contains(&libelf, b"ZSTD_decompress") {
        println!("cargo::rustc-link-arg=-l:libzstd.a");
    }
    if contains(&libelf, b"eu_search_tree_init") {
        for object in compile(SEARCH_TREE) {
            println!("cargo::rustc-link-arg={}", object.display());
        }
    }
}

/// The libelf.a that libbpf-sys links: the first in the folders that it looks into.
fn archive() -> Option<PathBuf> {
    let target = env::var("TARGET").unwrap_or_default().replace('-', "_");
    let variables = [format!("LIBBPF_SYS_LIBRARY_PATH_{target}"), "LIBBPF_SYS_LIBRARY_PATH".into()];
    for variable in &variables {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let folders = variables.iter().find_map(|variable| env::var(variable).ok())?;
    folders.split(':').map(|folder| Path::new(folder).join("libelf.a")).find(|archive| archive.exists())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn compile(text: &str) -> Vec<PathBuf> {
    let source = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("search_tree.c");
    fs::write(&source, text).expect("the build folder can be written");
    cc::Build::new().file(source).compile_intermediates()
}
