//! Which version of a workflow is current, which ones were, and what each was registered as. The versions themselves are immutable and
//! kept by their hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{BundleHash, WorkflowHash, WorkflowName};

/// What [`crate::subject::workflow_name_key`] keeps: a workflow's current version, which
/// [`crate::subject::workflow_version_key`] has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPointer {
    /// The workflow.
    pub name: WorkflowName,
    /// Its current version.
    pub hash: WorkflowHash,
    /// Since when that is its current version.
    pub registered_at: Timestamp,
    /// The YAML as it was registered, with its comments; for people.
    pub source: String,
    /// Which versions were current, the oldest first, and last the current one; at most [`WorkflowPointer::MAX_HISTORY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<WorkflowTerm>,
}

/// The time for which a version was current: until the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowTerm {
    /// The version.
    pub hash: WorkflowHash,
    /// Since when.
    pub since: Timestamp,
    /// Whether somebody went back to it, instead of registering it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
}

/// What [`crate::subject::workflow_source_key`] keeps: a version as it was registered; for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowSource {
    /// The YAML with its comments.
    pub source: String,
    /// The files that came with it, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SourceFile>,
}

/// A file that came with a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path below the work directory, with `/` on every system.
    pub path: String,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub hash: BundleHash,
    /// Whether it may be started as a program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

impl WorkflowPointer {
    /// How many terms are remembered.
    pub const MAX_HISTORY: usize = 100;

    /// A workflow with its first version.
    pub fn new(name: WorkflowName, hash: WorkflowHash, since: Timestamp, source: String) -> Self {
        let term = WorkflowTerm { hash: hash.clone(), since, rollback: false };
        Self { name, hash, registered_at: since, source, history: vec![term] }
    }

    /// The same workflow from `term` on with the version that it says, and the versions that are forgotten by that.
    #[must_use]
    pub fn moved(&self, term: WorkflowTerm, source: String) -> (Self, Vec<WorkflowHash>) {
        let mut history = self.terms();
        history.push(term.clone());
        let forgotten: Vec<_> = history.drain(..history.len().saturating_sub(Self::MAX_HISTORY)).collect();
        let is_gone = |hash: &WorkflowHash| history.iter().all(|term| term.hash != *hash);
        let gone = forgotten.into_iter().map(|term| term.hash).filter(is_gone).collect();
        let WorkflowTerm { hash, since, .. } = term;
        (Self { name: self.name.clone(), hash, registered_at: since, source, history }, gone)
    }

    /// Which versions were current, the oldest first. A pointer that was written before there was a history has its current one alone.
    pub fn terms(&self) -> Vec<WorkflowTerm> {
        if self.history.is_empty() {
            let (hash, since) = (self.hash.clone(), self.registered_at);
            return vec![WorkflowTerm { hash, since, rollback: false }];
        }
        self.history.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> WorkflowHash {
        WorkflowHash::of(text.as_bytes())
    }

    fn term(text: &str, second: i64) -> WorkflowTerm {
        WorkflowTerm { hash: hash(text), since: Timestamp::from_second(second).expect("time"), rollback: false }
    }

    #[test]
    fn a_pointer_without_a_history_begins_one_with_its_current_version() {
        let old = r#"{"name":"w","hash":"HASH","registered_at":"1970-01-01T00:00:01Z","source":"a"}"#;
        let old = old.replace("HASH", hash("a").as_str());
        let pointer: WorkflowPointer = serde_json::from_str(&old).expect("an older form");
        let (moved, forgotten) = pointer.moved(term("b", 2), "b".into());
        assert_eq!((moved.hash.clone(), moved.source.as_str(), forgotten), (hash("b"), "b", vec![]));
        assert_eq!(moved.history, [term("a", 1), term("b", 2)]);
    }

    #[test]
    fn what_is_forgotten_is_what_no_term_names_any_more() {
        let name: WorkflowName = "w".parse().expect("name");
        let mut pointer = WorkflowPointer::new(name, hash("0"), Timestamp::UNIX_EPOCH, String::new());
        let mut forgotten = Vec::new();
        for second in 1..=150 {
            // Every third time, somebody goes back to the first version.
            let text = if second % 3 == 0 { "0".to_owned() } else { second.to_string() };
            let (moved, gone) = pointer.moved(term(&text, second), String::new());
            assert!(gone.iter().all(|gone| moved.history.iter().all(|term| term.hash != *gone)));
            forgotten.extend(gone);
            pointer = moved;
        }
        assert_eq!(pointer.history.len(), WorkflowPointer::MAX_HISTORY);
        assert!(!forgotten.contains(&hash("0")) && forgotten.contains(&hash("1")) && forgotten.len() == 34);
    }
}
