//! Errors as RFC 9457 problem details with a stable code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error (`application/problem+json`, RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:honk:problem:<code>`.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The kind of problem in words; the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, such as `dataset-unknown`; what programs should look at.
    #[serde(default)]
    pub code: String,
    /// What is wrong this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What the caller can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The single faults, where there can be several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// One fault of what was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The stable name of the kind of fault, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `error` or `warning`, where both occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The field, such as `metadata.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line of the text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl fmt::Display for Problem {
    /// The detail, else the title; faults and help are for the caller to lay out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(&self.title))
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column, &self.path) {
            (Some(line), Some(column), _) => write!(f, "{line}:{column}: {}", self.message),
            (_, _, Some(path)) => write!(f, "{path}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_a_proxy_reads_although_it_has_no_code() {
        let problem: Problem = serde_json::from_str(r#"{"title":"Bad Gateway","status":502}"#).unwrap();
        assert_eq!((problem.kind.as_str(), problem.code.as_str()), ("about:blank", ""));
        assert_eq!(problem.to_string(), "Bad Gateway");
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = Fault { message: "unknown key".into(), line: Some(2), column: Some(3), ..Fault::default() };
        assert_eq!(fault.to_string(), "2:3: unknown key");
        let fault = Fault { message: "is missing".into(), path: Some("spec.owner".into()), ..Fault::default() };
        assert_eq!(fault.to_string(), "spec.owner: is missing");
    }
}
