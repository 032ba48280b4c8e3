//! Begins the runs that had to wait for more than their dataset: for the end of a pause, for their turn in a group, for the time at which their
//! workflow's rate lets the next one begin.
//!
//! It follows the bucket of wishes, in which every such run has a ticket, and looks at a run when its ticket is written (anew), when its group
//! or its workflow's wish changes, and when the time has come; at nothing in between. Now and then it looks at all of them, in case somebody
//! was killed who should have told. Any number of copies may run: whether a run may begin is decided by compare-and-set
//! ([`Ledger::try_begin`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use honk_agent::Ledger;
use honk_agent::ledger::Turn;
use honk_bus::{BusError, Message, Watch, WatchEvent};
use honk_protocol::control::{GROUP_PREFIX, START_PREFIX, WORKFLOW_PREFIX, start_key, workflow_key};
use honk_protocol::gate::Ticket;
use honk_protocol::name::{RunId, WorkflowName};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pause before a workflow's runs are looked at again if the server did not answer.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs of a workflow in the order of their creation.
type Queue = BTreeMap<(Timestamp, RunId), Waiting>;

/// Begins runs when they may.
pub struct Starter {
    ledger: Ledger,
    watch: Watch,
    every: Duration,
    queues: BTreeMap<WorkflowName, Queue>,
    /// Workflows of which a run may be able to begin now.
    due: BTreeSet<WorkflowName>,
    /// Workflows of which none can begin before.
    later: BTreeMap<WorkflowName, Instant>,
}

struct Waiting {
    ticket: Ticket,
    /// Another run comes first, and its end will be told.
    behind: bool,
}

impl Starter {
    /// A starter that looks at everything `every` so often.
    pub async fn start(ledger: Ledger, every: Duration) -> Result<Self, BusError> {
        let watch = ledger.bus().control().watch(">").await?;
        let (queues, due, later) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Ok(Self { ledger, watch, every, queues, due, later })
    }

    /// Begins runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut look_at_all = tokio::time::interval(self.every);
        look_at_all.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = self.later.values().min().copied();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = self.watch.next() => self.see(event),
                _ = look_at_all.tick() => self.look_again(|_| true),
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.wake(),
                () = std::future::ready(()), if !self.due.is_empty() => self.step().await,
            }
        }
    }

    fn see(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Changed(message) => self.see_value(&message),
            WatchEvent::Removed { subject, .. } => self.see_removal(&subject),
            // What is still there is shown again.
            WatchEvent::Restarted => self.queues.clear(),
            WatchEvent::CaughtUp => {}
        }
    }

    fn see_value(&mut self, message: &Message) {
        let Some(key) = self.key(&message.subject) else { return };
        if key.starts_with(GROUP_PREFIX) {
            self.look_again(|ticket| ticket.group.as_deref() == Some(key.as_str()));
        } else if key.starts_with(START_PREFIX) {
            match serde_json::from_slice::<Ticket>(&message.payload) {
                Ok(ticket) => self.put(ticket),
                Err(error) => tracing::warn!(key, %error, "a ticket cannot be read"),
            }
        }
    }

    fn see_removal(&mut self, subject: &str) {
        let Some(key) = self.key(subject) else { return };
        if key.starts_with(GROUP_PREFIX) {
            self.look_again(|ticket| ticket.group.as_deref() == Some(key.as_str()));
        } else if key.starts_with(WORKFLOW_PREFIX) {
            self.look_again(|ticket| workflow_key(&ticket.workflow) == key);
        } else if key.starts_with(START_PREFIX) {
            for queue in self.queues.values_mut() {
                queue.retain(|(_, run), _| start_key(run) != key);
            }
        }
    }

    fn key(&self, subject: &str) -> Option<String> {
        self.ledger.bus().control().key(subject).map(ToOwned::to_owned)
    }

    fn put(&mut self, ticket: Ticket) {
        let key = (ticket.created_at, ticket.run.clone());
        self.due.insert(ticket.workflow.clone());
        let queue = self.queues.entry(ticket.workflow.clone()).or_default();
        queue.insert(key, Waiting { ticket, behind: false });
    }

    /// Has those looked at that a change concerns.
    fn look_again(&mut self, concerns: impl Fn(&Ticket) -> bool) {
        for (workflow, queue) in &mut self.queues {
            for waiting in queue.values_mut().filter(|waiting| concerns(&waiting.ticket)) {
                waiting.behind = false;
                self.due.insert(workflow.clone());
            }
        }
    }

    /// Has those looked at whose time has come.
    fn wake(&mut self) {
        let now = Instant::now();
        let come: Vec<WorkflowName> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
        for workflow in come {
            self.later.remove(&workflow);
            self.due.insert(workflow);
        }
    }

    /// Looks at the first run of one workflow that may be able to begin.
    async fn step(&mut self) {
        let Some(workflow) = self.due.pop_first() else { return };
        let Some(queue) = self.queues.get_mut(&workflow) else { return };
        let Some((key, waiting)) = queue.iter_mut().find(|(_, waiting)| !waiting.behind) else {
            if queue.is_empty() {
                self.queues.remove(&workflow);
            }
            return;
        };
        let key = key.clone();
        match self.ledger.try_begin(&waiting.ticket).await {
            Ok(Turn::Held) => return,
            Ok(Turn::NotBefore(time)) => return self.come_back(workflow, time),
            Ok(Turn::Behind) => waiting.behind = true,
            Ok(Turn::Over) => drop(queue.remove(&key)),
            Err(error) => {
                tracing::warn!(%error, run = %key.1, "cannot begin a run now");
                self.later.insert(workflow, Instant::now() + PAUSE);
                return;
            }
        }
        self.due.insert(workflow);
    }

    /// Those that were created later begin later.
    fn come_back(&mut self, workflow: WorkflowName, time: Timestamp) {
        let wait = time.duration_since(self.ledger.clock().now());
        self.later.insert(workflow, Instant::now() + Duration::try_from(wait).unwrap_or_default());
    }
}
