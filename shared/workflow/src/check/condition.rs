//! `if` and `continue-on-error`.

use super::fields::Fields;
use super::values::{bad_expression, boolean, text_of};
use crate::diagnostic::Report;
use crate::expr::Condition;

/// The text of the `if` of a job or step.
pub(super) fn condition(fields: &Fields<'_>, report: &mut Report) -> Option<String> {
    let entry = fields.get("if")?;
    let text = text_of(entry, report)?;
    if let Err(error) = Condition::parse(text) {
        report.push(bad_expression(&error, entry.value.pos));
    }
    Some(text.to_owned())
}

/// Whether a failure is to be taken for success.
pub(super) fn continue_on_error(fields: &Fields<'_>, report: &mut Report) -> bool {
    fields.get("continue-on-error").and_then(|entry| boolean(entry, report)).unwrap_or_default()
}
