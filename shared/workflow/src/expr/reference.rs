//! The names that an expression uses, as paths like `jobs.validate.outputs.rows`.

use std::collections::BTreeMap;
use std::fmt;

use minijinja::value::Serde;
use minijinja::{Error, ErrorKind, Value as Dynamic};
use serde_json::Value;

use super::names::KEYWORDS;
use super::scan::Token;

/// A name with the fields that are taken of it, as far as the expression says them literally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The root and the fields below it.
    path: Vec<String>,
    /// Whether the expression asks if it is there, or says what it is if it is not.
    is_asked: bool,
}

impl Reference {
    /// Like `jobs`.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Like `validate`, `outputs`, `rows`.
    pub fn path(&self) -> &[String] {
        self.path.get(1..).unwrap_or_default()
    }

    /// Whether a value on its way lacks the next field.
    pub(super) fn is_missing(&self, values: &Value) -> bool {
        self.gap(values).is_some()
    }

    /// How many fields lead to the first one that is not there: its object lacks it, or it is taken of what has no fields. What lists
    /// lack is left to minijinja.
    fn gap(&self, values: &Value) -> Option<usize> {
        let mut value = values;
        for (depth, field) in self.path.iter().enumerate() {
            match value {
                Value::Array(_) => return None,
                Value::Object(fields) if fields.contains_key(field) => value = &fields[field],
                _ => return Some(depth),
            }
        }
        None
    }

    /// The path to the first field that is not there, if taking it is to be an error. Not if the same expression looks at what it is taken
    /// of, as in `dataset is not none and dataset.kind == 'Resource'`.
    fn error_at<'a>(&'a self, all: &[Self], values: &Value) -> Option<&'a [String]> {
        let gap = self.gap(values).filter(|_| !self.is_asked)?;
        let is_looked_at = gap > 0 && all.iter().any(|other| other.path == self.path[..gap]);
        (!is_looked_at).then(|| &self.path[..=gap])
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path.join("."))
    }
}

/// The references among these tokens, in their order.
pub(super) fn find(tokens: &[(usize, Token<'_>)]) -> Vec<Reference> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if let Some(root) = root(tokens, at) {
            found.push(follow(root, tokens, at + 1));
        }
    }
    // `input.x is defined and input.x > 1`: what is asked once is asked.
    let asked: Vec<Vec<String>> = found.iter().filter(|r| r.is_asked).map(|r| r.path.clone()).collect();
    for reference in &mut found {
        reference.is_asked |= asked.iter().any(|asked| reference.path.starts_with(asked));
    }
    found
}

/// The name at this place, if it is neither a field, filter, test, function, keyword nor the name of an argument.
fn root<'a>(tokens: &[(usize, Token<'a>)], at: usize) -> Option<&'a str> {
    let Token::Name(name) = tokens[at].1 else { return None };
    let before = |back: usize| at.checked_sub(back).map(|at| tokens[at].1);
    let is_tested = before(1) == Some(Token::Name("is"))
        || (before(1) == Some(Token::Name("not")) && before(2) == Some(Token::Name("is")));
    let is_part = matches!(before(1), Some(Token::Sign("." | "|")));
    let is_argument_or_call = matches!(tokens.get(at + 1), Some((_, Token::Sign("=" | "("))));
    let is_name = !KEYWORDS.contains(&name) && name != "None" && !is_tested && !is_part && !is_argument_or_call;
    is_name.then_some(name)
}

/// The reference that begins with `root` and goes on at `at`.
fn follow(root: &str, tokens: &[(usize, Token<'_>)], mut at: usize) -> Reference {
    let token = |at: usize| tokens.get(at).map(|(_, token)| *token);
    let mut path = vec![root.to_owned()];
    loop {
        match (token(at), token(at + 1), token(at + 2)) {
            (Some(Token::Sign(".")), Some(Token::Name(field) | Token::Number(field)), _) => {
                path.push(field.to_owned());
                at += 2;
            }
            (Some(Token::Sign("[")), Some(Token::Text(field)), Some(Token::Sign("]"))) => {
                path.push(field.to_owned());
                at += 3;
            }
            _ => break,
        }
    }
    let is_asked = match (token(at), token(at + 1), token(at + 2)) {
        (Some(Token::Sign("|")), Some(Token::Name("default")), _) => true,
        (Some(Token::Name("is")), Some(Token::Name(test)), then) => {
            let test = if test == "not" { then } else { Some(Token::Name(test)) };
            matches!(test, Some(Token::Name("defined" | "undefined")))
        }
        _ => false,
    };
    Reference { path, is_asked }
}

/// What the expression is evaluated with: the roots that it uses. Where it takes a field that is not there without asking first, that field
/// is an error that names it, so that a comparison with it is no silent `false`; but only if the evaluation comes to it.
pub(super) fn context(references: &[Reference], values: &Value, more: BTreeMap<String, Dynamic>) -> Dynamic {
    let gaps: Vec<&[String]> = references.iter().filter_map(|r| r.error_at(references, values)).collect();
    let mut roots = more;
    for reference in references {
        let root = reference.root();
        if !roots.contains_key(root) {
            let mut path = vec![root];
            let value = match values.get(root) {
                Some(value) => dynamic(value, &mut path, &gaps),
                None => gaps.iter().find(|gap| gap[0] == root).map_or(Dynamic::UNDEFINED, |gap| absent(gap)),
            };
            roots.insert(root.to_owned(), value);
        }
    }
    Dynamic::from_pairs(roots)
}

fn dynamic<'v>(value: &'v Value, path: &mut Vec<&'v str>, gaps: &[&'v [String]]) -> Dynamic {
    let leads_to = |path: &[&str], gap: &[String]| gap.len() > path.len() && path.iter().zip(gap).all(|(a, b)| a == b);
    if value.is_array() || !gaps.iter().any(|gap| leads_to(path, gap)) {
        return Dynamic::from(Serde(value));
    }
    let mut members: BTreeMap<&str, Dynamic> = BTreeMap::new();
    for (name, field) in value.as_object().into_iter().flatten() {
        path.push(name);
        members.insert(name, dynamic(field, path, gaps));
        path.pop();
    }
    for gap in gaps.iter().filter(|gap| gap.len() == path.len() + 1 && leads_to(path, gap)) {
        members.insert(&gap[path.len()], absent(gap));
    }
    Dynamic::from_pairs(members)
}

fn absent(path: &[String]) -> Dynamic {
    Dynamic::from(Error::new(ErrorKind::UndefinedError, path.join(".")))
}
