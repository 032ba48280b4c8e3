//! An agent of the `default` pool whose actions misbehave: one panics, one kills its own process as a defect or the kernel
//! would, one leaves as outputs what it was given.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use honk_agent::{Action, JobContext, start};
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_service::config::NoSettings;
use honk_service::{Context, Failure};
use rustix::process::{Signal, getpid, kill_process};

struct Panics;
struct Kills;
struct Echoes;

#[async_trait]
impl Action for Panics {
    fn name(&self) -> &'static str {
        "test/panic"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        panic!("asked for by {}", job.dataset());
    }
}

#[async_trait]
impl Action for Kills {
    fn name(&self) -> &'static str {
        "test/kill"
    }

    async fn run(&self, _job: &JobContext) -> Result<Outputs, Failed> {
        if let Err(error) = kill_process(getpid(), Signal::KILL) {
            panic!("still alive: {error}");
        }
        std::future::pending().await
    }
}

#[async_trait]
impl Action for Echoes {
    fn name(&self) -> &'static str {
        "test/echo"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        Ok(job.with.clone().into_iter().collect())
    }
}

async fn serve(context: Context<NoSettings>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let actions: Vec<Arc<dyn Action>> = vec![Arc::new(Panics), Arc::new(Kills), Arc::new(Echoes)];
    start::serve(&context, bus, ("default", 4), actions).await
}

fn main() -> ExitCode {
    honk_service::main("honk-test-agent", serve)
}
