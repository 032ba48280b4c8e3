//! One expression: compiled by minijinja, checked for names that do not exist, and evaluated with values that are known by then.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Serde, ValueKind};
use minijinja::{Error, ErrorKind, Value as Dynamic};
use serde_json::Value;

use super::error::{ExprError, RenderError};
use super::names::{
    ENVIRONMENT, FILTERS, JOB_FIELDS, KEYWORDS, MORE_TESTS, ROOTS, RUN_FIELDS, STATUS_FUNCTIONS, TESTS,
};
use super::scan::{self, Token};
use super::{MAX_LENGTH, MAX_RESULT, reference};
use crate::diagnostic::{list, quote, similar};

pub use super::reference::Reference;

/// An expression without its braces.
#[derive(Clone)]
pub struct Expression {
    source: String,
    references: Vec<Reference>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

/// How a job or a step may ask what became of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Functions {
    /// In an `if:`.
    Status,
    /// Nowhere else.
    None,
}

impl Expression {
    /// Reads and checks what stands between the braces.
    pub(super) fn parse(inside: &str, functions: Functions) -> Result<Self, ExprError> {
        let source = inside.trim();
        if source.is_empty() {
            return Err(ExprError::Empty);
        }
        if source.len() > MAX_LENGTH {
            return Err(ExprError::TooLong(source.to_owned()));
        }
        let tokens = scan::tokens(source);
        let references = reference::find(&tokens);
        check_operators(source, &tokens)?;
        check_words(source, &tokens, functions)?;
        for reference in &references {
            check_reference(source, reference)?;
        }
        let compiled = ENVIRONMENT.compile_expression_owned(scan::without_hyphens(source));
        let compiled =
            compiled.map_err(|error| ExprError::Syntax { expression: shown(source), reason: reason(&error) })?;
        Ok(Self { source: source.to_owned(), references, compiled: Arc::new(compiled) })
    }

    /// As it was written, without braces.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses, in its order.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Its value: JSON of any type.
    ///
    /// # Errors
    /// A name that is not there, an operation that cannot be done, or a result over [`MAX_RESULT`] bytes.
    pub fn evaluate(&self, values: &Value) -> Result<Value, RenderError> {
        self.value(values, BTreeMap::new())
    }

    /// The value, with more names known than the roots.
    pub(super) fn value(&self, values: &Value, more: BTreeMap<String, Dynamic>) -> Result<Value, RenderError> {
        let context = reference::context(&self.references, values, more);
        let value = self.compiled.eval(context).map_err(|error| self.failed(&error, values))?;
        if has_undefined(&value) {
            return Err(self.undefined(values));
        }
        let json = serde_json::to_value(&value);
        let json = json.map_err(|error| RenderError::Failed { expression: self.shown(), reason: error.to_string() })?;
        if json.to_string().len() > MAX_RESULT {
            return Err(RenderError::TooLong(self.shown()));
        }
        Ok(json)
    }

    /// Whether the value counts as true.
    pub(super) fn is_true(&self, values: &Value, more: BTreeMap<String, Dynamic>) -> Result<bool, RenderError> {
        self.value(values, more).map(|value| Dynamic::from(Serde(value)).is_true())
    }

    /// The value as part of a text.
    pub(super) fn text(&self, values: &Value) -> Result<String, RenderError> {
        match self.evaluate(values)? {
            Value::String(text) => Ok(text),
            Value::Null => Err(RenderError::Null(self.shown())),
            other => Ok(other.to_string()),
        }
    }

    /// As it is shown in messages.
    pub(crate) fn shown(&self) -> String {
        shown(&self.source)
    }

    fn failed(&self, error: &Error, values: &Value) -> RenderError {
        match error.kind() {
            ErrorKind::UndefinedError => self.undefined(values),
            _ => RenderError::Failed { expression: self.shown(), reason: reason(error) },
        }
    }

    fn undefined(&self, values: &Value) -> RenderError {
        let missing = self.references.iter().find(|reference| reference.is_missing(values));
        let name = missing.map_or_else(|| self.source.clone(), ToString::to_string);
        RenderError::Undefined { expression: self.shown(), name }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

fn shown(source: &str) -> String {
    format!("{{{{ {source} }}}}")
}

/// What minijinja says, without the place, which is that in a text that nobody sees.
fn reason(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn has_undefined(value: &Dynamic) -> bool {
    match value.kind() {
        ValueKind::Undefined => true,
        ValueKind::Map => value
            .try_iter()
            .is_ok_and(|mut keys| keys.any(|key| value.get_item(&key).is_ok_and(|item| has_undefined(&item)))),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().is_ok_and(|mut items| items.any(|item| has_undefined(&item)))
        }
        _ => false,
    }
}

/// Refuses what other languages write, and repetition, which makes long texts out of short ones.
fn check_operators(source: &str, tokens: &[(usize, Token<'_>)]) -> Result<(), ExprError> {
    for (_, token) in tokens {
        let Token::Sign(sign) = token else { continue };
        let instead = match *sign {
            "&&" => "write `and`",
            "||" => "write `or`; for a default write `| default('…')`",
            "!" => "write `not`",
            "*" | "**" => "compute the value in a step, and use that step's output",
            "=~" => "write a test, like `is startingwith('…')`",
            _ => continue,
        };
        return Err(ExprError::Operator { expression: shown(source), sign: (*sign).to_owned(), instead });
    }
    Ok(())
}

/// Refuses filters, tests and functions that do not exist.
fn check_words(source: &str, tokens: &[(usize, Token<'_>)], functions: Functions) -> Result<(), ExprError> {
    for (at, (_, token)) in tokens.iter().enumerate() {
        let Token::Name(name) = *token else { continue };
        let before = at.checked_sub(1).map(|before| tokens[before].1);
        let negated = before == Some(Token::Name("not")) && at >= 2 && tokens[at - 2].1 == Token::Name("is");
        let next = tokens.get(at + 1).map(|(_, token)| *token);
        if before == Some(Token::Sign("|")) {
            known(source, "filter", name, &FILTERS, FILTERS.contains(&name))?;
        } else if (before == Some(Token::Name("is")) && name != "not") || negated {
            known(source, "test", name, &TESTS, TESTS.contains(&name) || MORE_TESTS.contains(&name))?;
        } else if next == Some(Token::Sign("(")) && !KEYWORDS.contains(&name) {
            let is_alone = before != Some(Token::Sign("."));
            check_function(source, name, is_alone && functions == Functions::Status)?;
        }
    }
    Ok(())
}

fn check_function(source: &str, name: &str, are_allowed: bool) -> Result<(), ExprError> {
    if are_allowed {
        return known(source, "function", name, &STATUS_FUNCTIONS, STATUS_FUNCTIONS.contains(&name));
    }
    let help = if STATUS_FUNCTIONS.contains(&name) {
        format!("`{name}()` can only be asked in an `if:`")
    } else {
        "there are no functions; filters are written after `|`, like `{{ input.name | lower }}`".to_owned()
    };
    Err(ExprError::Unknown { expression: shown(source), what: "function", name: name.to_owned(), help })
}

fn check_reference(source: &str, reference: &Reference) -> Result<(), ExprError> {
    let root = reference.root();
    if STATUS_FUNCTIONS.contains(&root) {
        let help = format!("write `{root}()`");
        return Err(ExprError::Unknown { expression: shown(source), what: "name", name: root.to_owned(), help });
    }
    known(source, "name", root, &ROOTS, ROOTS.contains(&root))?;
    let (above, field, fields) = match (root, reference.path()) {
        ("run", [field, ..]) => ("run".to_owned(), field, &RUN_FIELDS[..]),
        ("jobs", [job, field, ..]) => (format!("jobs.{job}"), field, &JOB_FIELDS[..]),
        _ => return Ok(()),
    };
    if fields.contains(&field.as_str()) {
        return Ok(());
    }
    let help = match similar(field, fields.iter().copied()) {
        Some(similar) => format!("did you mean {}?", quote(&format!("{above}.{similar}"))),
        None => format!("{} has {}", quote(&above), list(fields.iter().copied())),
    };
    Err(ExprError::Unknown { expression: shown(source), what: "name", name: format!("{above}.{field}"), help })
}

fn known(source: &str, what: &'static str, name: &str, all: &[&str], is_known: bool) -> Result<(), ExprError> {
    if is_known {
        return Ok(());
    }
    let help = match similar(name, all.iter().copied()) {
        Some(similar) => format!("did you mean {}?", quote(similar)),
        None if what == "name" => {
            format!(
                "the names are {}, like `{{{{ input.dataset_name }}}}`; a text is put in quotes",
                list(all.iter().copied())
            )
        }
        None => format!("there are {}", list(all.iter().copied())),
    };
    Err(ExprError::Unknown { expression: shown(source), what, name: name.to_owned(), help })
}
