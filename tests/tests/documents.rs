//! Maps must not go stale: every path that the documents name exists.

#![expect(clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::{Path, PathBuf};

/// The documents that name paths of this repository; every page of decisions is one too.
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/FAILURES.md",
    "docs/LINT.md",
    "docs/MESSAGES.md",
    "docs/STORES.md",
    "docs/TRANSFORM.md",
    "docs/VALIDATE.md",
    "docs/MIGRATE.md",
    "docs/WORKFLOWS.md",
    "deploy/README.md",
];

/// The folders whose paths are checked.
const FOLDERS: [&str; 8] = ["shared/", "services/", "tests/", "docs/", "deploy/", "examples/", "nats/", "workflows/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents() -> Vec<String> {
    let pages = std::fs::read_dir(root().join("docs/decisions")).expect("the decisions");
    let name = |page: std::fs::DirEntry| page.file_name().to_string_lossy().into_owned();
    let decisions = pages.map(|page| format!("docs/decisions/{}", name(page.expect("a page"))));
    decisions.chain(DOCUMENTS.map(ToOwned::to_owned)).collect()
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).expect(document)
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
    for document in documents() {
        let text = read(&document);
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
fn every_link_between_documents_leads_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let path = root().join(&document);
        let folder = path.parent().expect("a folder");
        let text = read(&document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && target.contains(".md")) {
            let file = target.split('#').next().expect("a file");
            assert!(folder.join(file).exists(), "{document} leads to {target}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} links were found");
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
