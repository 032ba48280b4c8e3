//! Expressions in texts: `{{ input.NAME }}` is a value of the event's payload, `{{ 'TEXT' }}` is that text (to write two braces). A value is
//! filled in once and never read again, so a value that looks like an expression stays text. What an expression may be is Jinja's
//! expression language without anything that loops or repeats (`docs/decisions/expressions.md`).

mod condition;
mod error;
mod expression;
pub(crate) mod names;
mod reference;
mod scan;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use honk_protocol::run::Status;

pub use self::condition::Condition;
pub use self::error::{ExprError, RenderError};
use self::expression::Functions;
pub use self::expression::{Expression, Reference};
pub use self::names::{FILTERS, TESTS};

/// Bytes of one expression.
pub const MAX_LENGTH: usize = 1_000;
/// Bytes of what one expression, or one text with all its expressions, may become.
pub const MAX_RESULT: usize = 256 * 1024;

/// A text with its expressions read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Reads the expressions of `text`; the first one that cannot be read is the error.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once("{{") {
            template.push_text(before);
            rest = template.push_expression(inside)?;
        }
        template.push_text(rest);
        Ok(template)
    }

    /// The text, if it has no expressions.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression, if there is nothing else but space around it.
    pub fn lone(&self) -> Option<&Expression> {
        let is_space = |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
        let mut parts = self.parts.iter().filter(|part| !is_space(part));
        match (parts.next(), parts.next()) {
            (Some(Part::Expression(expression)), None) => Some(expression),
            _ => None,
        }
    }

    /// The expressions of the text, in its order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expression(expression) => Some(expression),
            Part::Text(_) => None,
        })
    }

    /// The text with every expression replaced by its value: a text as it is, anything else as JSON. `values` is an object of the roots
    /// (`input`, `dataset`, …).
    ///
    /// # Errors
    /// The first expression that has no value, or whose value is null, or that makes the text longer than [`MAX_RESULT`] bytes.
    pub fn render(&self, values: &Value) -> Result<String, RenderError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Expression(expression) => {
                    text.push_str(&expression.text(values)?);
                    if text.len() > MAX_RESULT {
                        return Err(RenderError::TooLong(expression.shown()));
                    }
                }
            }
        }
        Ok(text)
    }

    /// As [`Template::render`], but one expression alone keeps its type, and may be null.
    pub fn value(&self, values: &Value) -> Result<Value, RenderError> {
        match self.lone() {
            Some(expression) => expression.evaluate(values),
            None => self.render(values).map(Value::from),
        }
    }

    pub(crate) fn push_char(&mut self, c: char) {
        self.push_text(c.encode_utf8(&mut [0; 4]));
    }

    fn push_text(&mut self, more: &str) {
        match self.parts.last_mut() {
            _ if more.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.parts.push(Part::Text(more.to_owned())),
        }
    }

    /// Reads the expression whose braces were opened before `inside`, and answers what follows its closing ones.
    pub(crate) fn push_expression<'a>(&mut self, inside: &'a str) -> Result<&'a str, ExprError> {
        if matches!(self.parts.last(), Some(Part::Text(text)) if text.ends_with('$')) {
            return Err(ExprError::Dollar);
        }
        let end = scan::end(inside).ok_or_else(|| {
            ExprError::Unclosed(format!("{{{{{}", inside.lines().next().unwrap_or_default().trim_end()))
        })?;
        let expression = Expression::parse(&inside[..end], Functions::None)?;
        match expression.constant() {
            Some(Value::String(text)) => self.push_text(&text),
            _ => self.parts.push(Part::Expression(expression)),
        }
        Ok(&inside[end + 2..])
    }
}

impl Expression {
    /// Its value, if it is the same whatever the values are.
    pub(crate) fn constant(&self) -> Option<Value> {
        if self.references().is_empty() { self.evaluate(&Value::Null).ok() } else { None }
    }
}

/// The inputs of an action with their expressions replaced: in every text at every level, where one expression alone keeps its type.
///
/// # Errors
/// The first expression that has no value.
pub fn fill(with: &BTreeMap<String, Value>, values: &Value) -> Result<BTreeMap<String, Value>, RenderError> {
    with.iter().map(|(name, value)| Ok((name.clone(), fill_value(value, values)?))).collect()
}

/// One value as [`fill`] fills it.
pub fn fill_value(value: &Value, values: &Value) -> Result<Value, RenderError> {
    match value {
        Value::String(text) => Template::parse(text)?.value(values),
        Value::Array(items) => items.iter().map(|item| fill_value(item, values)).collect(),
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, value)| Ok((name.clone(), fill_value(value, values)?)));
            filled.collect::<Result<Map<_, _>, RenderError>>().map(Value::Object)
        }
        other => Ok(other.clone()),
    }
}
