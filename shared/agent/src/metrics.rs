//! What an agent counts. Labels are of few values: never a dataset, a run or a message.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use honk_service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    pool: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    pool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunResult {
    result: &'static str,
}

/// The counters of one pool's agent.
#[derive(Debug, Clone)]
pub(crate) struct AgentMetrics {
    pool: String,
    attempts: Family<Outcome, Counter>,
    runs: Family<RunResult, Counter>,
    queue_wait: Histogram,
    duration: Histogram,
    backlog: Gauge<u64, AtomicU64>,
}

impl AgentMetrics {
    pub(crate) fn new(registry: &Metrics, pool: &str) -> Self {
        // 1 ms to about 18 hours.
        let seconds = || Histogram::new(exponential_buckets(0.001, 4.0, 14));
        let seconds =
            |name, help| registry.register(name, help, Family::new_with_constructor(seconds as fn() -> Histogram));
        let queue_wait = seconds("queue_wait_seconds", "From a job's dispatch to its first delivery");
        let duration = seconds("attempt_duration_seconds", "From an attempt's begin to its end");
        let backlog: Family<Pool, Gauge<u64, AtomicU64>> =
            registry.register("backlog_jobs", "Jobs that waited behind the latest delivery", Family::default());
        let label = Pool { pool: pool.to_owned() };
        Self {
            pool: pool.to_owned(),
            attempts: registry.register("attempts", "Attempts by how they were settled", Family::default()),
            runs: registry.register("runs", "Runs that came to their end", Family::default()),
            queue_wait: queue_wait.get_or_create(&label).clone(),
            duration: duration.get_or_create(&label).clone(),
            backlog: backlog.get_or_create(&label).clone(),
        }
    }

    /// An attempt was settled: `ok`, `retry`, `dead`, `fenced`, `handed-back` or `repeat`.
    pub(crate) fn settled(&self, outcome: &'static str) {
        self.attempts.get_or_create(&Outcome { pool: self.pool.clone(), outcome }).inc();
    }

    pub(crate) fn run_finished(&self, result: &'static str) {
        self.runs.get_or_create(&RunResult { result }).inc();
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.queue_wait.observe(time.as_secs_f64());
    }

    pub(crate) fn worked(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    pub(crate) fn pulled(&self, backlog: u64) {
        self.backlog.set(backlog);
    }
}
