//! The bucket of wishes: what people wish of runs and workflows, and what services of one kind agree on before a run begins
//! ([`crate::gate`]).
//!
//! Every agent keeps a copy of the wishes about runs, and so knows without asking whether a job may be begun, and learns at once when one must
//! be stopped. The run record is what counts; this makes sure that it is looked at.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::name::{RunId, WorkflowName};

/// What is wished of a run, or of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// Nothing new may start in it.
    Hold,
    /// It is over: what runs of it is to be stopped.
    End,
}

impl Wish {
    /// As it is stored.
    pub fn to_json(self) -> &'static [u8] {
        match self {
            Self::Hold => br#""hold""#,
            Self::End => br#""end""#,
        }
    }
}

/// The wishes about runs, as a filter of keys.
pub const RUN_WISHES: &str = "run.*";

/// The wishes about workflows, as a filter of keys.
pub const WORKFLOW_WISHES: &str = "workflow.*";

/// What the key of a [`crate::gate::Ticket`] begins with.
pub const START_PREFIX: &str = "start.";

/// What the key of a group begins with.
pub const GROUP_PREFIX: &str = "group.";

/// What the key of a workflow's wish begins with.
pub const WORKFLOW_PREFIX: &str = "workflow.";

/// The key of a run's wish: `run.<run>`.
pub fn run_key(run: &RunId) -> String {
    format!("run.{run}")
}

/// The key of a workflow's wish: `workflow.<workflow>`. While [`Wish::Hold`] is there, no run of it begins.
pub fn workflow_key(workflow: &WorkflowName) -> String {
    format!("{WORKFLOW_PREFIX}{}", workflow.token())
}

/// The key of a run's [`crate::gate::Ticket`]: `start.<run>`.
pub fn start_key(run: &RunId) -> String {
    format!("{START_PREFIX}{run}")
}

/// The key of the [`crate::gate::Members`] of a group: `group.<SHA-256 of workflow and text>`. What is one group in one workflow is another in
/// another one.
pub fn group_key(workflow: &WorkflowName, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(workflow.as_str().as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    format!("{GROUP_PREFIX}{}", hex::encode(hash.finalize()))
}

/// The key of a workflow's [`crate::gate::Starts`]: `rate.<workflow>`.
pub fn rate_key(workflow: &WorkflowName) -> String {
    format!("rate.{}", workflow.token())
}

/// The key of the latest [`crate::gate::Tick`] of a workflow's schedule: `tick.<workflow>.<place in the list>`.
pub fn tick_key(workflow: &WorkflowName, entry: usize) -> String {
    format!("tick.{}.{entry}", workflow.token())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_reads_back_as_it_is_stored() {
        for wish in [Wish::Hold, Wish::End] {
            assert_eq!(serde_json::from_slice::<Wish>(wish.to_json()).expect("a wish"), wish);
        }
    }

    #[test]
    fn a_group_belongs_to_its_workflow_and_every_key_is_safe() {
        let (a, b): (WorkflowName, WorkflowName) = ("a.b".parse().expect("name"), "a".parse().expect("name"));
        assert_ne!(group_key(&a, "x"), group_key(&b, "x"));
        assert_ne!(group_key(&b, "bx"), group_key(&"ab".parse().expect("name"), "x"));
        assert_eq!(group_key(&a, "any *.> text").len(), GROUP_PREFIX.len() + 64);
        assert_eq!(
            (workflow_key(&a), rate_key(&a), tick_key(&a, 3)),
            ("workflow.a=b".into(), "rate.a=b".into(), "tick.a=b.3".into())
        );
    }
}
