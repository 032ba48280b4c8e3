//! `POST /api/catalog/import`: entities into the catalog, from YAML (one document or many) or JSON (an object or a list),
//! whatever the content type says. Each document is answered for; a bad one does not keep the others out.

mod documents;
mod store;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use honk_protocol::entity::{Entity, EntityRef};

use crate::extract::Body;
use crate::problem::{ApiError, MEDIA_TYPE};
use crate::state::{Api, read_own_write};
use crate::wire::{Fault, ImportAnswer, ImportProblem, ImportStatus, ImportedDocument};

/// Writes that are under way at once.
const WRITES: usize = 16;

pub(super) async fn handle(State(api): State<Api>, body: Body) -> Result<Response, ApiError> {
    let documents = documents::read(body.text()?)?;
    let known = store::Known::of(&api.catalog);
    let (accepted, mut answers) = sort_out(documents, &known);
    let stored: Vec<(ImportedDocument, u64)> = stream::iter(accepted)
        .map(|(index, entity)| store::store(&api, &known, index, entity))
        .buffer_unordered(WRITES)
        .try_collect()
        .await?;
    let revision = stored.iter().map(|(_, revision)| *revision).max().unwrap_or_default();
    answers.extend(stored.into_iter().map(|(answer, _)| answer));
    answers.sort_by_key(|answer| answer.index);
    read_own_write(&api.catalog, revision).await;
    Ok(answer(answers))
}

/// What can be stored, and the answers to what cannot.
fn sort_out(
    documents: Vec<Result<Entity, Vec<Fault>>>,
    known: &store::Known,
) -> (Vec<(usize, Entity)>, Vec<ImportedDocument>) {
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    let mut seen = Seen::default();
    for (index, document) in documents.into_iter().enumerate() {
        match document {
            Ok(entity) => match known.conflict(&entity).or_else(|| seen.conflict(&entity, index)) {
                None => accepted.push((index, entity)),
                Some(fault) => refused.push(refusal(index, Some(&entity.reference()), vec![fault])),
            },
            Err(faults) => refused.push(refusal(index, None, faults)),
        }
    }
    (accepted, refused)
}

/// What earlier documents of the same text are.
#[derive(Default)]
struct Seen {
    entities: HashMap<EntityRef, usize>,
    datasets: HashMap<String, usize>,
}

impl Seen {
    fn conflict(&mut self, entity: &Entity, index: usize) -> Option<Fault> {
        let dataset = entity.dataset_name().map(|name| name.as_str().to_ascii_lowercase());
        let first = self.entities.get(&entity.reference());
        let first = first.or_else(|| self.datasets.get(dataset.as_ref()?));
        if let Some(first) = first {
            let message = format!("document {first} of this text is the same entity, or a dataset of the same name");
            return Some(at_name(message, "leave one of them out, or give it another name"));
        }
        self.entities.insert(entity.reference(), index);
        if let Some(name) = dataset {
            self.datasets.insert(name, index);
        }
        None
    }
}

fn at_name(message: String, help: &str) -> Fault {
    Fault { message, help: Some(help.to_owned()), path: Some("metadata.name".to_owned()), ..Fault::default() }
}

fn refusal(index: usize, reference: Option<&EntityRef>, problems: Vec<Fault>) -> ImportedDocument {
    let reference = reference.map(ToString::to_string);
    ImportedDocument { index, reference, status: ImportStatus::Refused, problems }
}

fn answer(documents: Vec<ImportedDocument>) -> Response {
    let refused = documents.iter().filter(|document| document.status == ImportStatus::Refused).count();
    if refused == 0 {
        return Json(ImportAnswer { documents }).into_response();
    }
    let title = "Some documents are refused; the others are stored";
    let mut problem = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "documents-refused", title)
        .detail(format!("{refused} of {} documents are refused", documents.len()))
        .into_problem();
    problem.instance = Some("/api/catalog/import".to_owned());
    let body = Json(ImportProblem { problem, documents });
    (StatusCode::UNPROCESSABLE_ENTITY, [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, name: &str) -> Entity {
        let document = serde_json::json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"type": "dataset", "lifecycle": "x", "owner": "o"},
        });
        Entity::check(document).unwrap()
    }

    #[test]
    fn a_name_is_taken_once_within_a_text_whatever_its_kind_or_case() {
        let known = store::Known::default();
        let documents = vec![
            Ok(entity("Component", "a")),
            Ok(entity("Component", "b")),
            Ok(entity("Resource", "A")),
            Err(vec![Fault::default()]),
            Ok(entity("Component", "B")),
        ];
        let (accepted, refused) = sort_out(documents, &known);
        assert_eq!(accepted.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(refused.iter().map(|document| document.index).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(refused[0].reference.as_deref(), Some("resource:default/a"));
        assert!(refused[0].problems[0].message.contains("document 0"));
    }

    #[test]
    fn one_refusal_makes_the_answer_a_problem_that_has_all_documents() {
        let fine = ImportedDocument { index: 0, reference: None, status: ImportStatus::Created, problems: vec![] };
        assert_eq!(answer(vec![fine.clone()]).status(), StatusCode::OK);
        let response = answer(vec![fine, refusal(1, None, vec![])]);
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    }
}
