//! What is printed, held against what is kept in `tests/it/golden`.
//!
//! After a change that is meant, write it anew with `UPDATE_GOLDEN=1 cargo test --test it <module>::`
//! and read what `git diff` shows.

use std::path::{Path, PathBuf};

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(page)
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The names of the pages in a folder.
pub fn pages(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Compares a text with the page of this name, or writes that when asked to.
#[track_caller]
pub fn check(page: &str, text: &str) {
    let wrong = differs(page, text);
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// The same, saying how they differ.
pub fn differs(page: &str, text: &str) -> Option<String> {
    let path = path(page);
    if is_update() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return None;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let report = || format!("UPDATE_GOLDEN=1 writes {}\n{}", path.display(), difference(&kept, text));
    (kept != text).then(report)
}

/// The same for a page that is there only if it differs from what another one says.
pub fn differs_from(page: &str, other: &str, text: &str) -> Option<String> {
    let path = path(page);
    if !is_update() && text == other {
        return path
            .exists()
            .then(|| format!("{} is as the page beside it: UPDATE_GOLDEN=1 removes it", path.display()));
    }
    if text == other {
        let _ = std::fs::remove_file(&path);
        return None;
    }
    differs(page, text)
}

/// The first line that differs, and all that was found.
fn difference(kept: &str, found: &str) -> String {
    let same = kept.lines().zip(found.lines()).take_while(|(kept, found)| kept == found).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    format!(
        "line {}:\n  kept  {}\n  found {}\nall that was found:\n{found}",
        same + 1,
        line(kept),
        line(found)
    )
}
