//! Maps must not go stale: every path that the documents name exists.

use std::path::{Path, PathBuf};

/// The documents that name paths of this repository.
const DOCUMENTS: [&str; 4] = ["README.md", "docs/ARCHITECTURE.md", "docs/FAILURES.md", "deploy/README.md"];

/// The folders whose paths are checked.
const FOLDERS: [&str; 7] = ["shared/", "services/", "tests/", "docs/", "deploy/", "nats/", "workflows/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands between backticks or in a link's parentheses and begins like a path of this repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(['`', '(', ')', ' ', '\n', '|']);
    words
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .map(|word| word.trim_end_matches([',', '.', ':']))
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root().join(document)).expect(document);
        for path in paths(&text) {
            let (folder, pattern) = path.split_once('*').map_or((path, false), |(before, _)| (before, true));
            let exists = if pattern {
                root().join(Path::new(folder).parent().unwrap_or(Path::new(""))).is_dir()
            } else {
                root().join(folder).exists()
            };
            assert!(exists, "{document} names {path}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} paths were found: are they still written as paths?");
}

#[test]
fn every_crate_map_entry_names_a_file_to_read_first() {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the map");
    let rows = text.lines().filter(|line| line.starts_with("| `shared/") || line.starts_with("| `services/"));
    let mut checked = 0;
    for row in rows {
        let mut quoted = row.split('`').skip(1).step_by(2);
        let folder = quoted.next().expect("a crate");
        for file in quoted.filter(|word| word.starts_with("src/")) {
            assert!(root().join(folder).join(file).exists(), "{folder}/{file} does not exist");
            checked += 1;
        }
    }
    assert!(checked >= 13, "only {checked} files were found in the map");
}
