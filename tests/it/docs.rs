//! The documentation: what its examples say is so.
//!
//! A block of YAML is a whole config. Its object is compiled from the block of C above it, or it is
//! the shipped one that it names. The lines that all C begins with stand in a block of their own.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bpftally::elf::ObjectInfo;

use crate::common::folder::Folder;
use crate::common::objects;
use crate::pins::Owner;

/// Dashboards and alerts.
mod boards;

/// Each example passes `bpftally check`.
mod checked;

/// Every key, decoder and kind of source is in an example and in a table.
mod complete;

/// Kernels, and what works on them.
mod kernels;

/// The shipped probes: their page, and the table in README.
mod probes;

/// Each example is served.
mod served;

/// A config of the documentation.
pub struct Example {
    /// Its page and line.
    pub place: String,
    /// Its text.
    pub yaml: String,
    /// The C above it; none where the object is a shipped one.
    pub c: Option<String>,
}

/// What the lines begin with that stand before all other C.
const FIRST: &str = "#include \"kernel_types.bpf.h\"";

/// One fenced block of a page.
struct Block {
    line: usize,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    pages.extend(entries.map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

fn reference() -> String {
    std::fs::read_to_string(root().join("docs/config.md")).unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(language) => {
                inside = !inside;
                if inside {
                    let language = language.to_owned();
                    blocks.push(Block { line: index + 2, language, text: String::new() });
                }
            }
            None if inside => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    assert!(!inside, "a block without an end");
    blocks
}

/// The lines that all C of the documentation begins with.
fn beginning() -> &'static str {
    static BEGINNING: OnceLock<String> = OnceLock::new();
    BEGINNING.get_or_init(|| {
        let is_beginning = |block: &Block| block.language == "c" && block.text.contains(FIRST);
        let mut found = blocks(&reference()).into_iter().filter(is_beginning).map(|block| block.text);
        let text = found.next().expect("docs/config.md shows the lines that C begins with");
        assert_eq!(found.next(), None, "they stand there once");
        text
    })
}

/// All configs of the documentation.
pub fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for page in pages() {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let mut c = None;
        for block in blocks(&std::fs::read_to_string(&page).unwrap()) {
            match block.language.as_str() {
                "c" if !block.text.contains(FIRST) => c = Some(block.text),
                "yaml" => {
                    let place = format!("{name}:{}", block.line);
                    examples.push(Example { place, yaml: block.text, c: c.clone() });
                }
                _ => {}
            }
        }
    }
    assert!(examples.len() > 15, "{} examples", examples.len());
    examples
}

impl Example {
    /// The config as a value, with its merges done.
    fn value(&self) -> serde_yaml::Value {
        let mut value: serde_yaml::Value = serde_yaml::from_str(&self.yaml).unwrap();
        value.apply_merge().unwrap();
        value
    }

    /// The file that `object` names.
    fn object_name(&self) -> Option<String> {
        Some(self.value().get("object")?.as_str()?.to_owned())
    }

    /// Its object, as the page has it.
    #[track_caller]
    fn object(&self) -> PathBuf {
        self.compiled("")
    }

    /// Its object; where the page shows no programs, with one that puts an entry into each map.
    #[track_caller]
    fn filled_object(&self) -> PathBuf {
        let info = info(self.object());
        if !info.programs.is_empty() {
            return self.object();
        }
        let mut programs =
            String::from("SEC(\"raw_tp/sys_enter\") int nothing(void *context) { return 0; }\n");
        for map in info.maps.iter().filter(|map| map.kind.is_scannable() && !map.kind.is_array()) {
            let name = &map.name;
            programs.push_str(&format!(
                "SEC(\"raw_tp/sys_enter\") int fill_{name}(void *context)\n{{\n\
                 \x20   __typeof__(*{name}.key) key;\n    __typeof__(*{name}.value) value;\n\n\
                 \x20   __builtin_memset(&key, 0, sizeof(key));\n    __builtin_memset(&value, 0, sizeof(value));\n\
                 \x20   bpf_map_update_elem(&{name}, &key, &value, BPF_NOEXIST);\n    return 0;\n}}\n"
            ));
        }
        self.compiled(&programs)
    }

    #[track_caller]
    fn compiled(&self, more: &str) -> PathBuf {
        if let Some(shipped) = self.object_name().map(|name| root().join("bpf-objects").join(name))
            && shipped.exists()
        {
            return shipped;
        }
        let c = self.c.as_ref().unwrap_or_else(|| panic!("{}: there is no C above it", self.place));
        let include = format!("-I{}", root().join("bpf-objects/include").display());
        objects::compile_whole(
            &format!("{}\n{c}\n{more}", beginning()),
            &["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Werror", &include],
        )
    }

    /// The pins of maps that others loaded, by what the config calls the maps.
    fn pins_of_others(&self) -> Vec<(String, PathBuf)> {
        let config = self.value();
        let maps = config.get("maps").and_then(|maps| maps.as_mapping()).into_iter().flatten();
        let pin = |(name, map): (&serde_yaml::Value, &serde_yaml::Value)| {
            Some((name.as_str()?.to_owned(), map.get("from_pin")?.as_str()?.into()))
        };
        maps.filter_map(pin).collect()
    }

    /// Loads what others loaded, with an entry in each map, and pins it.
    #[track_caller]
    fn others(&self) -> Option<Owner> {
        let pins = self.pins_of_others();
        let mut owner = (!pins.is_empty()).then(|| Owner::of(&self.object()))?;
        for (map, path) in pins {
            owner.fill(&map);
            owner.pin(&map, &path);
        }
        Some(owner)
    }

    /// A folder with the config `example` and an object, unless it is somebody else's.
    fn folder(&self, object: &Path) -> Folder {
        let folder = Folder::new();
        if !self.pins_of_others().is_empty() {
            folder.file("example.yaml", &self.yaml);
            return folder;
        }
        folder.pair("example", &self.yaml, object);
        if let Some(name) = self.object_name() {
            std::fs::rename(folder.path().join("example.bpf.o"), folder.path().join(name)).unwrap();
        }
        folder
    }
}

fn info(object: PathBuf) -> ObjectInfo {
    objects::Object::read(object).info
}
