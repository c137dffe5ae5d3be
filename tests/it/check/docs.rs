use super::*;

/// Every block of YAML that is a whole config, with its file and line.
fn blocks() -> Vec<(String, usize, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let page = std::fs::read_to_string(file).unwrap();
        let mut rest = page.as_str();
        while let Some((before, after)) = rest.split_once("```yaml\n") {
            let line = page.len() - rest.len() + before.len();
            let line = page[..line].lines().count() + 2;
            let Some((block, tail)) = after.split_once("```") else { break };
            if block.lines().any(|line| line.starts_with("metrics:")) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                found.push((name, line, block.to_owned()));
            }
            rest = tail;
        }
    }
    found
}

/// The objects of most examples are nobody's: what can be said without them must be nothing.
#[test]
fn every_config_of_the_documentation_is_right() {
    let blocks = blocks();
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    for (file, line, block) in blocks {
        let folder = Folder::new(&[]);
        std::fs::write(folder.0.path().join("example.yaml"), &block).unwrap();
        let found = folder.brief(&["example.yaml"]);
        let wrong: Vec<&String> =
            found.iter().filter(|found| !found.starts_with("!missing-object ")).collect();
        assert!(wrong.is_empty(), "{file}:{line}: {wrong:?}\n{block}");
        assert_eq!(found.len(), 1, "{file}:{line}: it is read to its end");
    }
}

/// With an object that has no maps, names, decoders and buckets are looked at, too.
#[test]
fn names_and_decoders_of_the_documentation_are_right() {
    let object = "SEC(\"raw_tp/sched_switch\") int probe(void *ctx) { return 0; }\n\
                  const volatile u64 kaddr_bpf_jit_current = 0, kaddr_jiffies = 0;\n";
    for (file, line, block) in blocks() {
        let folder = Folder::new(&[]);
        folder.add("example", &block, object);
        let found = folder.brief(&["example.yaml"]);
        let of_the_object = ["!missing-map ", "!missing-object ", "!missing-program ", "!missing-variable "];
        let wrong: Vec<&String> =
            found.iter().filter(|found| !of_the_object.iter().any(|code| found.starts_with(code))).collect();
        assert!(wrong.is_empty(), "{file}:{line}: {wrong:?}\n{block}");
    }
}
