//! The two ways in which an action of one's own fails. The place that fails says whether trying again can help.

use std::fmt::Display;

use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;

/// It may pass: tried again as often as the workflow's `retry_count` allows, after the workflow's delay or after [`Failed::after`]. For
/// `map_err`, too: it takes anything that can be shown.
pub fn retry(message: impl Display) -> Failed {
    Failed::retry(Reason::ActionFailed, message.to_string())
}

/// It will not pass: dead-lettered at once, until a person corrects the cause and replays it.
pub fn reject(message: impl Display) -> Failed {
    Failed::reject(Reason::ActionRejected, message.to_string())
}
