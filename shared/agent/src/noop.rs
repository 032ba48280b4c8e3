//! `honk/noop`: does nothing, successfully. Every agent offers it, for trying out workflows and for measuring what a chain of jobs
//! costs by itself.

use async_trait::async_trait;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;

use crate::action::{Action, JobContext};

/// The action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noop;

#[async_trait]
impl Action for Noop {
    fn name(&self) -> &'static str {
        "honk/noop"
    }

    async fn run(&self, _job: &JobContext) -> Result<Outputs, Failed> {
        Ok(Outputs::new())
    }
}
