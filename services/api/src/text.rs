//! Bodies that people send with `curl`: several YAML documents in one text, and YAML whose line breaks were lost on the way.

use axum::http::StatusCode;

use crate::problem::ApiError;

/// A YAML document and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its text.
    pub(crate) text: String,
    /// Lines of the whole text before it.
    pub(crate) lines_before: usize,
}

/// The documents of a YAML stream, those without content left out. Each is read by itself, so that a fault in one does not
/// hide the others. A `---` at the start of a line is always a marker (YAML 1.2.2, rule 206), whatever is around it.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    let mut documents = vec![Document { text: String::new(), lines_before: 0 }];
    for (number, line) in text.lines().enumerate() {
        match marker(line) {
            Some(rest) => documents.push(Document { text: format!("   {rest}\n"), lines_before: number }),
            None => {
                if let Some(document) = documents.last_mut() {
                    document.text.push_str(line);
                    document.text.push('\n');
                }
            }
        }
    }
    documents.retain(|document| document.text.lines().any(has_content));
    documents
}

/// What follows a document's marker on its line.
fn marker(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

fn has_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}

/// `curl -d @FILE` removes line breaks. What is left of YAML is one line with several keys, which no YAML reader makes sense of.
pub(crate) fn check_line_breaks(text: &str) -> Result<(), ApiError> {
    let line = text.trim();
    let is_one_line = !line.contains('\n') && !line.starts_with(['{', '[']);
    if is_one_line && line.matches(": ").count() + line.matches(":  ").count() >= 2 {
        let title = "The text has lost its line breaks";
        let help = "`curl -d @FILE` removes line breaks; send it with `--data-binary @FILE`.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "line-breaks-lost", title).help(help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_are_split_at_their_markers_alone() {
        let text = "# head\n---\na: 1\nb: |\n  ---\n  x\n--- {c: 2}\n...\n---\n# nothing\n";
        let found = documents(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].text.as_str(), found[0].lines_before), ("   \na: 1\nb: |\n  ---\n  x\n", 1));
        assert_eq!((found[1].text.as_str(), found[1].lines_before), ("    {c: 2}\n", 6));
        assert_eq!(documents("a: 1")[0].text, "a: 1\n");
        assert!(documents("---\n\n").is_empty());
    }

    #[test]
    fn yaml_that_curl_robbed_of_its_line_breaks_is_recognised() {
        let yaml = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: my-dataset\n";
        assert!(check_line_breaks(yaml).is_ok());
        let problem = check_line_breaks(&yaml.replace('\n', "")).unwrap_err().into_problem();
        assert_eq!((problem.status, problem.code.as_str()), (400, "line-breaks-lost"));
        assert!(problem.help.unwrap().contains("--data-binary"));
        for fine in ["", "name: x", r#"{"a": 1, "b": 2, "c": 3}"#, "[{a: 1, b: 2, c: 3}]"] {
            assert!(check_line_breaks(fine).is_ok(), "{fine}");
        }
    }

    proptest! {
        #[test]
        fn no_line_gets_lost_and_each_knows_its_place(lines in prop::collection::vec("[a-c]: 1|---|# x|", 0..20)) {
            for document in documents(&lines.join("\n")) {
                for (at, line) in document.text.lines().enumerate() {
                    let original = &lines[document.lines_before + at];
                    prop_assert!(original == line || (original == "---" && line.trim().is_empty()));
                }
            }
        }
    }
}
