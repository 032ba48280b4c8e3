//! A body to checked entities, each document by itself.

use axum::http::StatusCode;
use honk_protocol::entity::{Entity, EntityProblem};
use serde_json::Value;

use crate::problem::ApiError;
use crate::text::{self, Document};
use crate::wire::Fault;

/// Every document, as an entity or as what is wrong with it. A list counts as the documents in it.
pub(super) fn read(text: &str) -> Result<Vec<Result<Entity, Vec<Fault>>>, ApiError> {
    text::check_line_breaks(text)?;
    let values = match serde_json::from_str::<Value>(text) {
        Ok(value) => vec![Ok(value)],
        // Not JSON; what is neither is told in terms of YAML, which JSON is a part of.
        Err(_) => text::documents(text).iter().map(yaml).collect(),
    };
    let documents: Vec<_> = values.into_iter().flat_map(entities).collect();
    if documents.is_empty() {
        let title = "There is no document in the body";
        let help = "Send the entity's YAML, for example with `curl --data-binary @my-dataset.yaml`.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "body-empty", title).help(help));
    }
    Ok(documents)
}

fn yaml(document: &Document) -> Result<Value, Box<Fault>> {
    serde_saphyr::from_str::<Value>(&document.text).map_err(|error| {
        let location = error.location();
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Box::new(Fault {
            message: first_line(&error.without_snippet().to_string()),
            code: Some("yaml-invalid".to_owned()),
            line: location.map(|location| number(location.line()).saturating_add(document.lines_before)),
            column: location.map(|location| number(location.column())),
            ..Fault::default()
        })
    })
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn entities(document: Result<Value, Box<Fault>>) -> Vec<Result<Entity, Vec<Fault>>> {
    match document {
        Err(fault) => vec![Err(vec![*fault])],
        Ok(Value::Array(documents)) => documents.into_iter().map(check).collect(),
        Ok(document) => vec![check(document)],
    }
}

fn check(document: Value) -> Result<Entity, Vec<Fault>> {
    Entity::check(document).map_err(|problems| problems.into_iter().map(fault).collect())
}

fn fault(problem: EntityProblem) -> Fault {
    let path = Some(problem.path).filter(|path| !path.is_empty());
    Fault { message: problem.message, help: problem.fix, path, ..Fault::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATASET: &str = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: my-dataset\n  annotations:\n    honk/workflow: w\nspec:\n  type: dataset\n  lifecycle: production\n  owner: data-team\n";

    fn names(text: &str) -> Vec<Result<String, Vec<Fault>>> {
        let documents = read(text).unwrap();
        let name = |entity: Entity| entity.metadata.name.to_string();
        documents.into_iter().map(|document| document.map(name)).collect()
    }

    #[test]
    fn yaml_and_json_are_read_as_one_document_or_many() {
        let json = serde_json::to_string(&serde_saphyr::from_str::<Value>(DATASET).unwrap()).unwrap();
        let one = vec![Ok("my-dataset".to_owned())];
        assert_eq!(names(DATASET), one);
        assert_eq!(names(&json), one);
        let two = vec![one[0].clone(), one[0].clone()];
        assert_eq!(names(&format!("---\n{DATASET}---\n# nothing\n---\n{DATASET}...\n")), two);
        assert_eq!(names(&format!("[{json},{json}]")), two);
    }

    #[test]
    fn a_document_that_is_no_yaml_is_told_with_its_line_in_the_whole_text_and_hides_no_other() {
        let read = names(&format!("{DATASET}---\na: [\n---\n{DATASET}"));
        assert_eq!((read.len(), read[0].is_ok(), read[2].is_ok()), (3, true, true));
        let fault = &read[1].as_ref().unwrap_err()[0];
        assert_eq!(fault.code.as_deref(), Some("yaml-invalid"));
        assert!(fault.line.is_some_and(|line| (11..=14).contains(&line)), "{fault:?}");
        let double = names("a: 1\na: 2\n");
        assert!(double[0].as_ref().unwrap_err()[0].message.contains("duplicate"), "{double:?}");
    }

    #[test]
    fn hostile_documents_end_in_a_fault_and_nothing_is_a_problem() {
        let lines: Vec<String> = (0..40).map(|n| format!("k{n}: &k{n} [*a, *a, *a]")).collect();
        let bomb = format!("a: &a [x]\n{}", lines.join("\n"));
        for text in ["[".repeat(10_000), bomb, "&a [*a]".into(), "!!binary x".into(), "null".into(), "\u{0}".into()] {
            assert!(names(&text).iter().all(Result::is_err), "{text:.40}");
        }
        for text in ["", "---\n", "# only this\n", "[]"] {
            assert_eq!(read(text).unwrap_err().into_problem().code, "body-empty", "{text}");
        }
    }

    #[test]
    fn text_without_its_line_breaks_is_told_what_happened() {
        let problem = read(&DATASET.replace('\n', "")).unwrap_err().into_problem();
        assert_eq!((problem.status, problem.code.as_str()), (400, "line-breaks-lost"));
    }
}
