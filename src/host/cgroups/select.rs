//! Cgroups by their paths: those that a program is to be attached to.
//!
//! A program at a cgroup runs for all cgroups below it as well. So of two that match, the one above is
//! enough: at both it would run twice for what happens below.

use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::hierarchy::{self, Hierarchy, Kind};
use super::walk::{BUFFER, DEEPEST, children};
use crate::host::{Pattern, Roots};

/// Directories that are looked into for one pattern.
const MOST_VISITED: usize = 65_536;

/// A cgroup of the hierarchy that programs are attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedCgroup {
    /// Where it can be opened.
    pub path: PathBuf,
    /// Its path within its hierarchy, such as `/system.slice`.
    pub name: String,
    /// Its id.
    pub id: u64,
}

/// Paths of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPattern {
    text: String,
    /// Its names from the root on; none stands for any number of them.
    parts: Vec<Option<Pattern>>,
}

impl CgroupPattern {
    /// What a path stands for: `*` and `?` within a name, `**` for any number of names.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let part = |part: &str| if part == "**" { None } else { Some(Pattern::new(part)) };
        let parts = text.split('/').filter(|part| !part.is_empty()).map(part).collect();
        Self { text: text.to_owned(), parts }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one cgroup alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| part.as_ref().is_some_and(Pattern::is_exact))
    }

    /// The same within a hierarchy, whose own path may stand before it as decoders print it.
    fn within(&self, hierarchy: &Hierarchy) -> Self {
        let root = hierarchy.root.to_string_lossy();
        let rest = [root.as_ref(), hierarchy.printed.as_str()].into_iter().find_map(|prefix| {
            let rest = self.text.strip_prefix(prefix.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        });
        rest.map_or_else(|| self.clone(), Self::new)
    }
}

/// The cgroups that match, the upper ones first; none below another one.
pub(in crate::host) fn select(roots: &Roots, patterns: &[CgroupPattern]) -> Option<Vec<SelectedCgroup>> {
    let hierarchy = unified(roots)?;
    let mut found: Vec<SelectedCgroup> = Vec::new();
    for pattern in patterns {
        let pattern = pattern.within(&hierarchy);
        find(&hierarchy, &pattern.parts, &mut found);
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<String> = found.iter().map(|cgroup| cgroup.name.clone()).collect();
    let is_below = |name: &str, above: &String| {
        above == "/" && name != "/"
            || name.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    found.retain(|cgroup| !names.iter().any(|above| is_below(&cgroup.name, above)));
    found.dedup();
    Some(found)
}

/// The names in the last directory of a path that is there: one of them may have been meant.
pub(in crate::host) fn siblings(roots: &Roots, pattern: &CgroupPattern) -> Vec<String> {
    let Some(hierarchy) = unified(roots) else { return Vec::new() };
    let mut path = String::new();
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    for part in pattern.within(&hierarchy).parts.iter().flatten() {
        let next = format!("{path}/{part}");
        if cgroup(&hierarchy, &next).is_none() {
            let names = children(&hierarchy, &path, &mut buffer).into_iter();
            return names.map(|(_, name)| format!("{path}/{name}")).collect();
        }
        path = next;
    }
    Vec::new()
}

fn unified(roots: &Roots) -> Option<Hierarchy> {
    hierarchy::find(roots).into_iter().find(|found| found.kind == Kind::Unified)
}

fn cgroup(hierarchy: &Hierarchy, name: &str) -> Option<SelectedCgroup> {
    let path = hierarchy.root.join(name.trim_start_matches('/'));
    let found = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_dir)?;
    let name = if name.is_empty() { "/" } else { name };
    Some(SelectedCgroup { path, name: name.to_owned(), id: found.ino() })
}

/// Follows a pattern from the root on, without looking into what has matched whole.
fn find(hierarchy: &Hierarchy, parts: &[Option<Pattern>], found: &mut Vec<SelectedCgroup>) {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut open = vec![(String::new(), parts, 0)];
    let mut visited = 0;
    while let Some((path, parts, depth)) = open.pop() {
        let Some((first, rest)) = parts.split_first() else {
            found.extend(cgroup(hierarchy, &path));
            continue;
        };
        visited += 1;
        if visited > MOST_VISITED {
            return;
        }
        match first {
            // One name needs no list of all.
            Some(name) if name.is_exact() => open.push((format!("{path}/{name}"), rest, depth + 1)),
            Some(name) => {
                let names = children(hierarchy, &path, &mut buffer).into_iter();
                let matching = names.filter(|(_, child)| name.matches(child));
                open.extend(matching.map(|(_, child)| (format!("{path}/{child}"), rest, depth + 1)));
            }
            None => {
                if !rest.is_empty() {
                    open.push((path.clone(), rest, depth));
                }
                if depth < DEEPEST {
                    // At the end it stands for whatever is below, of which the uppermost are enough.
                    let rest = if rest.is_empty() { rest } else { parts };
                    let names = children(hierarchy, &path, &mut buffer).into_iter();
                    open.extend(names.map(|(_, child)| (format!("{path}/{child}"), rest, depth + 1)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, folders: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for name in folders {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let hierarchy =
            Hierarchy { root: folder.path().into(), printed: "/sys/fs/cgroup".into(), kind: Kind::Plain };
        let mut found = Vec::new();
        find(&hierarchy, &CgroupPattern::new(text).within(&hierarchy).parts, &mut found);
        let mut names: Vec<String> = found.into_iter().map(|cgroup| cgroup.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let folders = ["a/x/leaf", "a/y", "ab/x", "b/c/x/leaf"];
        assert_eq!(names(text, &folders), expected, "{text}");
    }

    #[test]
    fn paths_are_followed_name_by_name() {
        check("/", &["/"]);
        check("", &["/"]);
        check("/a", &["/a"]);
        check("a/x/", &["/a/x"]);
        check("/a/z", &[]);
        check("/*", &["/a", "/ab", "/b"]);
        check("/a*/x", &["/a/x", "/ab/x"]);
        check("/a/**", &["/a/x", "/a/y"]);
        check("/**/x", &["/a/x", "/ab/x", "/b/c/x"]);
        check("/**/leaf", &["/a/x/leaf", "/b/c/x/leaf"]);
        check("/sys/fs/cgroup/ab", &["/ab"]);
        check("/sys/fs/cgroup", &["/"]);
        check("/sys/fs/cgroups", &[]);
    }

    #[test]
    fn one_cgroup_is_told_from_many() {
        for (text, expected) in [("/", true), ("/a/b", true), ("/a/*", false), ("/**", false), ("/a?", false)]
        {
            assert_eq!(CgroupPattern::new(text).is_exact(), expected, "{text}");
        }
    }
}
