//! Serves pools whose jobs are programs: what they do is in the workflow's `run:` steps, not in the agent. Every agent runs programs;
//! this one has no actions of its own, so it is what the pool `default` gets, and any pool that exists only to run on certain machines.

pub mod config;

use futures_util::future::try_join_all;
use honk_agent::start;
use honk_service::{Context, Failure};

use crate::config::RunnerConfig;

/// Serves all its pools until the lifecycle's soft stop.
pub async fn serve(context: Context<RunnerConfig>) -> Result<(), Failure> {
    let bus = start::connect(&context).await?;
    let section = &context.config.runner;
    let pools = section.pools.iter().map(|pool| {
        let (context, bus) = (&context, bus.clone());
        async move { start::serve(context, bus, (pool.as_str(), section.slots), Vec::new()).await }
    });
    try_join_all(pools).await.map(drop)
}
