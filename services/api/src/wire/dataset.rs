//! Datasets: the catalog, its import, and where the data lies.

use honk_protocol::dataset::Consumer;
use honk_protocol::name::{DatasetName, WorkflowName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Fault, LocationView, Problem, RunView};

/// Answer to `POST /api/catalog/import` (200): every document is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportAnswer {
    /// What became of each document, in the order of the text.
    pub documents: Vec<ImportedDocument>,
}

/// Answer to `POST /api/catalog/import` (422): some documents are refused; the others are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Problem,
    /// What became of each document, in the order of the text; so [`ImportAnswer`] reads this too.
    #[serde(default)]
    pub documents: Vec<ImportedDocument>,
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedDocument {
    /// Its place in the text, from 0.
    pub index: usize,
    /// The entity, such as `component:default/my-dataset`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What became of it.
    pub status: ImportStatus,
    /// Why it is refused: all of its faults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Fault>,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportStatus {
    /// The catalog did not have it.
    Created,
    /// The catalog had another version of it.
    Updated,
    /// The catalog has it as it is.
    Unchanged,
    /// It is not stored.
    Refused,
}

/// Query of `GET /api/datasets`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetQuery {
    /// Only those that this picks ([`honk_protocol::selector`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many at most, up to [`super::MAX_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Answer to `GET /api/datasets`: by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetPage {
    /// The datasets, each without its `entity` and its `metadata`.
    pub datasets: Vec<DatasetView>,
    /// The cursor of the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A dataset. Answer to `GET /api/datasets/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetView {
    /// Its name.
    pub name: DatasetName,
    /// Its entity, such as `component:default/my-dataset`.
    pub reference: String,
    /// Its owner, such as `group:default/data-team`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The workflow that its annotation `honk/workflow` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowName>,
    /// Whether its annotation `honk/do-not-migrate` forbids to migrate it.
    #[serde(default)]
    pub do_not_migrate: bool,
    /// The entity as it was imported; pages leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Value>,
    /// What programs and people have written down about it; pages leave it out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationView>,
    /// Who is known to read it, and who of them may still read an old place; pages leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<Consumer>,
    /// Its newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Box<RunView>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_an_import_that_failed_in_part_reads_like_one_that_did_not() {
        let document = ImportedDocument { index: 1, reference: None, status: ImportStatus::Refused, problems: vec![] };
        let problem = Problem { title: "Refused".into(), status: 422, ..Problem::default() };
        let refused = ImportProblem { problem, documents: vec![document.clone()] };
        let json = serde_json::to_string(&refused).unwrap();
        let answer: ImportAnswer = serde_json::from_str(&json).unwrap();
        assert_eq!(answer.documents, [document]);
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap().status, 422);
    }
}
