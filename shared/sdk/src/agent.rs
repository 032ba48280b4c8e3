//! An agent of one's own, from the list of its actions to a process. It is a front of [`honk_agent::Agent`], which does the work.

use std::process::ExitCode;
use std::sync::Arc;

use honk_agent::{Action, start};
use honk_protocol::name::PoolName;
use honk_service::{Context, Failure, Hint};
use honk_workflow::StepAction;
use serde::{Deserialize, Serialize};

use crate::function::{Function, action};

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSettings {
    /// How this agent works.
    pub agent: AgentSection,
}

/// How this agent works (`HONK_AGENT__SLOTS`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSection {
    /// Jobs at a time.
    pub slots: usize,
}

impl Default for AgentSection {
    fn default() -> Self {
        Self { slots: 4 }
    }
}

/// A pool and the actions that its agents bring.
pub struct Agent {
    pool: &'static str,
    actions: Vec<Arc<dyn Action>>,
}

impl Agent {
    /// An agent of this pool, which workflows name with `runs-on:`. It runs programs (`run:`) as every agent does, and offers `honk/noop`.
    pub fn new(pool: &'static str) -> Self {
        Self { pool, actions: Vec::new() }
    }

    /// With one more action, which workflows call with `uses: OWNER/NAME`.
    #[must_use]
    pub fn action<A: Send + Sync + 'static>(mut self, name: &'static str, function: impl Function<A>) -> Self {
        self.actions.push(action(name, function));
        self
    }

    /// The whole process: reads settings from the environment, serves the pool until SIGTERM, then finishes or hands back what is in
    /// flight. The exit code is 0 after an orderly end; else the reason is on standard error. To logs and traces, the service is called as
    /// its pool is.
    pub fn serve(self) -> ExitCode {
        honk_service::main(self.pool, |context| self.run(context))
    }

    /// The same without the process around it, for programs that compose services.
    ///
    /// # Errors
    /// A name that cannot be one, a server that cannot be reached, or a pool that does not exist; each says what to do.
    pub async fn run(self, context: Context<AgentSettings>) -> Result<(), Failure> {
        let pool = self.check()?;
        let bus = start::connect(&context).await;
        let bus = bus.or_hint("HONK_NATS__URL says where the NATS server is; is it running?")?;
        let slots = context.config.agent.slots;
        start::serve(&context, bus, (pool.as_str(), slots), self.actions).await
    }

    /// What the author of the agent can have mistaken.
    fn check(&self) -> Result<PoolName, Failure> {
        let pool = PoolName::new(self.pool)?;
        for (number, action) in self.actions.iter().enumerate() {
            let name = action.name();
            let Some((owner, _)) = StepAction::split_name(name) else {
                let failure = Failure::new(format!("`{name}` is no action's name"));
                return Err(failure.with_hint("an action is `OWNER/NAME` in lower case, like `acme/row-count`"));
            };
            if owner == "honk" {
                let failure = Failure::new(format!("the action `{name}` would be one of Honk's own"));
                return Err(failure.with_hint("put your own name before the `/`"));
            }
            if self.actions[..number].iter().any(|other| other.name() == name) {
                return Err(Failure::new(format!("the action `{name}` is there twice")));
            }
        }
        Ok(pool)
    }
}

#[cfg(test)]
mod tests {
    use honk_agent::JobContext;

    use super::*;

    fn refusal(pool: &'static str, actions: &[&'static str]) -> Option<String> {
        let agent = actions.iter().fold(Agent::new(pool), |agent, name| {
            agent.action(name, |_: JobContext| async { Ok::<(), honk_protocol::settle::Failed>(()) })
        });
        agent.check().err().map(|failure| format!("{failure}: {}", failure.hint().unwrap_or_default()))
    }

    #[test]
    fn names_that_cannot_be_are_refused_with_what_is_wrong() {
        assert_eq!(refusal("checks", &["acme/row-count", "acme/rows_2"]), None);
        for (pool, actions, says) in [
            ("Checks", &["acme/a"][..], "lower-case"),
            ("checks", &["row-count"], "OWNER/NAME"),
            ("checks", &["honk/mine"], "Honk's own"),
            ("checks", &["acme/a", "acme/b", "acme/a"], "twice"),
        ] {
            let refused = refusal(pool, actions).unwrap_or_else(|| panic!("{actions:?} of {pool} were accepted"));
            assert!(refused.contains(says), "{refused}");
        }
    }
}
