//! `if:` of a job or a step: one expression, with or without braces, that may ask what became of those before it.

use std::collections::BTreeMap;

use honk_protocol::run::Status;
use minijinja::Value as Dynamic;
use serde_json::Value;

use super::error::{ExprError, RenderError};
use super::expression::{Expression, Functions};
use super::names::STATUS_FUNCTIONS;
use super::scan::{self, Token};

/// When a job is started, or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    expression: Expression,
    asks: Asks,
}

/// Which functions a condition calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// None, so that success is a condition too.
    Nothing,
    /// `success()` alone.
    Success,
    /// `always()`, `failure()` or `cancelled()`.
    Others,
}

impl Condition {
    /// Reads a condition like `input.rows > 3` or `{{ always() }}`.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let expression = Expression::parse(inside(text.trim())?, Functions::Status)?;
        let tokens = scan::tokens(expression.source());
        let called = tokens.windows(2).filter_map(|pair| match (pair[0].1, pair[1].1) {
            (Token::Name(name), Token::Sign("(")) if STATUS_FUNCTIONS.contains(&name) => Some(name),
            _ => None,
        });
        let asks = called.fold(Asks::Nothing, |asks, name| match (asks, name) {
            (Asks::Others, _) => Asks::Others,
            (_, "success") => Asks::Success,
            _ => Asks::Others,
        });
        Ok(Self { expression, asks })
    }

    /// Whether it holds. One that calls no status function holds only after success, as with GitHub.
    ///
    /// # Errors
    /// A name that is not there, or an operation that cannot be done.
    pub fn eval(&self, values: &Value, status: Status) -> Result<bool, RenderError> {
        if self.asks == Asks::Nothing && !status.is_success() {
            return Ok(false);
        }
        let answer = |answer: bool| Dynamic::from_function(move || answer);
        let functions = [
            ("success", answer(status.is_success())),
            ("failure", answer(status.failure)),
            ("cancelled", answer(status.cancelled)),
            ("always", answer(true)),
        ];
        let functions: BTreeMap<String, Dynamic> =
            functions.into_iter().map(|(name, function)| (name.to_owned(), function)).collect();
        self.expression.is_true(values, functions)
    }

    /// Whether it can hold although something before it failed or was cancelled.
    pub fn is_regardless(&self) -> bool {
        self.asks == Asks::Others
    }

    /// Its expression.
    pub const fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Whether it holds, if that is the same whatever happens.
    pub fn constant(&self) -> Option<bool> {
        if self.asks != Asks::Nothing || !self.expression.references().is_empty() {
            return None;
        }
        self.expression.is_true(&Value::Null, BTreeMap::new()).ok()
    }
}

/// What stands between the braces, or the whole text if there are none.
fn inside(text: &str) -> Result<&str, ExprError> {
    if text.starts_with("${{") {
        return Err(ExprError::Dollar);
    }
    let Some(inside) = text.strip_prefix("{{") else {
        return if text.contains("{{") { Err(ExprError::Mixed(text.to_owned())) } else { Ok(text) };
    };
    let end = scan::end(inside).ok_or_else(|| ExprError::Unclosed(text.to_owned()))?;
    if inside.len() == end + 2 { Ok(&inside[..end]) } else { Err(ExprError::Mixed(text.to_owned())) }
}
