//! How many runs of a workflow there may be at a time, and how many may begin.

pub use honk_protocol::gate::Rate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::{RenderError, Template};

/// Runs of which one at a time is done: those whose group becomes the same text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// A text with expressions over `input` and `dataset`.
    pub group: String,
    /// Whether a new run ends the one that is live, instead of waiting for it.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub cancel_in_progress: bool,
}

impl Concurrency {
    /// The group of a run.
    ///
    /// # Errors
    /// The first expression that has no value.
    pub fn group(&self, values: &Value) -> Result<String, RenderError> {
        Template::parse(&self.group)?.render(values)
    }
}
