//! What the two probes answer: is the process alive (its loops still turn), is it ready (it can do its work now).
//!
//! Liveness fails only for what a restart repairs; an unreachable dependency is a matter of readiness.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// The health of one process; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    ready: BTreeMap<String, (bool, String)>,
    loops: BTreeMap<String, (Instant, Duration)>,
    draining: bool,
    was_ready: bool,
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check passes.
    pub ok: bool,
    /// The checks, sorted by name.
    pub checks: Vec<Check>,
}

/// One check of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked, e.g. `nats`.
    pub name: String,
    /// Whether it passes.
    pub ok: bool,
    /// One line for a person; empty when there is nothing to say.
    pub detail: String,
}

impl Health {
    /// Sets one readiness check, e.g. `set_ready("nats", false, "reconnecting")`. Until a first one is set the
    /// process is not ready; name a check that will pass later early, as not ready.
    pub fn set_ready(&self, name: &str, ok: bool, detail: impl Into<String>) {
        let mut state = self.state();
        state.ready.insert(name.to_owned(), (ok, detail.into()));
        state.was_ready |= state.ready.values().all(|(ok, _)| *ok);
    }

    /// Says that the loop `name` turns and will say so again within `within`, or is to be taken for stuck.
    pub fn beat(&self, name: &str, within: Duration) {
        self.state().loops.insert(name.to_owned(), (Instant::now(), within));
    }

    /// Says that the loop `name` has ended as it should.
    pub fn ended(&self, name: &str) {
        self.state().loops.remove(name);
    }

    /// From now on the process is not ready: it stops taking work.
    pub fn set_draining(&self) {
        self.state().draining = true;
    }

    /// Whether the process was ready at any time.
    pub fn was_ready(&self) -> bool {
        self.state().was_ready
    }

    /// Liveness: no loop has missed its beat.
    pub fn live(&self) -> Report {
        let now = Instant::now();
        let check = |(name, (at, within)): (&String, &(Instant, Duration))| {
            let silent = now.saturating_duration_since(*at);
            let ok = silent <= *within;
            let detail = if ok { String::new() } else { format!("no sign of life for {} s", silent.as_secs()) };
            Check { name: name.clone(), ok, detail }
        };
        Report::of(self.state().loops.iter().map(check).collect())
    }

    /// Readiness: at least one check is set, all pass, and the process is not draining.
    pub fn ready(&self) -> Report {
        let state = self.state();
        let check = |(name, (ok, detail)): (&String, &(bool, String))| Check {
            name: name.clone(),
            ok: *ok,
            detail: detail.clone(),
        };
        let mut checks: Vec<Check> = state.ready.iter().map(check).collect();
        let process = |detail: &str| Check { name: "process".to_owned(), ok: false, detail: detail.to_owned() };
        if state.draining {
            checks.push(process("draining"));
        } else if checks.is_empty() {
            checks.push(process("starting"));
        }
        Report::of(checks)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    fn of(checks: Vec<Check>) -> Self {
        Self { ok: checks.iter().all(|check| check.ok), checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_needs_a_first_check_all_passing_and_no_drain() {
        let health = Health::default();
        assert!(!health.ready().ok);
        health.set_ready("catalog", false, "loading");
        health.set_ready("nats", true, "");
        assert!(!health.ready().ok && !health.was_ready());
        health.set_ready("catalog", true, "");
        assert!(health.ready().ok && health.was_ready());
        health.set_draining();
        assert!(!health.ready().ok && health.was_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_misses_its_beat_is_not_alive_until_it_beats_again() {
        let health = Health::default();
        assert!(health.live().ok);
        health.beat("pull", Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(health.live().checks[0].detail, "no sign of life for 11 s");
        health.beat("pull", Duration::from_secs(10));
        assert!(health.live().ok);
        tokio::time::advance(Duration::from_secs(11)).await;
        health.ended("pull");
        assert!(health.live().ok);
    }
}
