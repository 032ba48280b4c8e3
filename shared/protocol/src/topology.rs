//! Everything that exists on the server, as plain values: streams, consumers and buckets, each with the limits it needs and
//! the reason for them. `nats/topology/*.json` is generated from here.
//!
//! All streams keep messages by *limits*: a work-queue stream can have no second reader, forgets what was dispatched once
//! it is acknowledged, and loses the body of a terminated message before it can be dead-lettered.

use std::time::Duration;

use crate::name::PoolName;
use crate::retry::RetryPolicy;
use crate::settle::DELIVERY_MARGIN;
use crate::subject;

/// Stream of onboarding events.
pub const EVENTS: &str = "HONK_EVENTS";
/// Stream of job messages.
pub const JOBS: &str = "HONK_JOBS";
/// Stream of dead letters.
pub const DEAD: &str = "HONK_DEAD";
/// Stream of notices.
pub const NOTICES: &str = "HONK_NOTICES";
/// Stream of the server's advisories about jobs and events that it gave up.
pub const ADVISORIES: &str = "HONK_ADVISORIES";
/// Stream of what steps print.
pub const LOGS: &str = "HONK_LOGS";
/// Bucket of run records.
pub const RUNS: &str = "honk_runs";
/// Bucket of workflows.
pub const WORKFLOWS: &str = "honk_workflows";
/// Bucket of catalog entities.
pub const CATALOG: &str = "honk_catalog";
/// Bucket of dataset locations.
pub const LOCATIONS: &str = "honk_locations";
/// Bucket of what each receiver of a notice has been told.
pub const DELIVERIES: &str = "honk_deliveries";
/// Bucket of what people wish of runs.
pub const CONTROL: &str = "honk_control";
/// Bucket of what programs and people have written down about datasets.
pub const METADATA: &str = "honk_metadata";
/// Bucket of which consumers have seen which epoch of a dataset's location.
pub const CONSUMERS: &str = "honk_consumers";
/// Object store of what retirements remove, listed before they do.
pub const LISTS: &str = "honk_lists";
/// Object store of the files that workflows were registered with.
pub const BUNDLES: &str = "honk_bundles";
/// Object store of what migrations have planned.
pub const PLANS: &str = "honk_plans";
/// Bucket of what copies must remember to be taken up by another agent.
pub const JOURNAL: &str = "honk_journal";
/// Durable consumer of events.
pub const INTAKE: &str = "intake";
/// Durable consumer of advisories.
pub const WATCHER: &str = "watcher";

const DAY: Duration = Duration::from_hours(24);

/// How long finished runs are remembered if they succeeded; a repeat of their event within it is recognised.
pub const KEEP_SUCCESS: Duration = DAY.saturating_mul(30);
/// How long other finished runs, and dead letters, are kept.
pub const KEEP_DEAD: Duration = DAY.saturating_mul(90);

/// How long it is remembered which receivers were reached; longer than any schedule of retries.
pub const KEEP_DELIVERY: Duration = DAY.saturating_mul(30);

/// How long it is remembered where a copy stood; longer than any run is retried.
pub const KEEP_JOURNAL: Duration = DAY.saturating_mul(30);

/// How long a list of what a retirement removes is kept: as long as the dead letter of one that did not come to its end.
pub const KEEP_LISTS: Duration = KEEP_DEAD;

/// How long the lines that steps printed are kept.
pub const KEEP_LOGS: Duration = DAY.saturating_mul(14);

/// The most that all lines together may take on disk, in bytes, compressed; the oldest go first. The server sets this much aside when it
/// makes the stream, and refuses a stream that its disk cannot hold, so this is what a small disk can bear: an operator who has more raises
/// it, and it stays raised.
pub const MAX_LOG_BYTES: i64 = 2 * 1024 * 1024 * 1024;

/// The most a message may have, in bytes: the default `max_payload` of a server, less room for headers.
pub const MAX_MESSAGE_BYTES: i32 = 1_000_000;

/// What differs between installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Copies of every stream: 1, or 3 in a cluster.
    pub replicas: usize,
    /// How long a delivery may go without a sign of life before it is delivered again.
    pub ack_wait: Duration,
    /// Pools beside the built-in ones.
    pub pools: Vec<PoolName>,
}

/// What is kept when a stream is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The publisher gets an error.
    RefuseNew,
    /// The oldest messages go.
    DropOld,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: &'static str,
    /// The subjects it stores.
    pub subjects: Vec<String>,
    /// How long a message is kept; none means until it is replaced or expires by itself.
    pub max_age: Option<Duration>,
    /// How many messages each subject keeps; none means all.
    pub max_per_subject: Option<i64>,
    /// How many bytes it is made with room for; none means no limit. What an operator makes of it later stays.
    pub max_bytes: Option<i64>,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// Whether it is made compressed on disk, which text is worth.
    pub compressed: bool,
    /// Whether a message may carry its own time to live.
    pub message_ttl: bool,
    /// Copies.
    pub replicas: usize,
    /// The consumers on it.
    pub consumers: Vec<Consumer>,
}

/// A durable pull consumer with explicit acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its durable name.
    pub name: String,
    /// The subjects it sees; none means all of its stream.
    pub filter: Option<String>,
    /// How long a delivery may go without a sign of life.
    pub ack_wait: Duration,
    /// After how many deliveries the server gives up; above what any workflow may ask for.
    pub max_deliver: i64,
    /// Deliveries that may be open at once, over all agents; those that wait for a retry are among them.
    pub max_ack_pending: i64,
}

/// A key-value bucket with one value a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Whether a value may carry its own time to live.
    pub message_ttl: bool,
    /// Copies.
    pub replicas: usize,
}

/// An object store: what is too large for a message, in pieces, under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStore {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// How long an object is kept; none means until it is removed.
    pub max_age: Option<Duration>,
    /// Copies.
    pub replicas: usize,
}

/// Everything that exists on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// The streams.
    pub streams: Vec<Stream>,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// The object stores.
    pub object_stores: Vec<ObjectStore>,
}

impl Default for Settings {
    /// One copy, 30 seconds.
    fn default() -> Self {
        Self { replicas: 1, ack_wait: Duration::from_secs(30), pools: Vec::new() }
    }
}

impl Settings {
    /// Every pool: the built-in ones and the others, each once.
    pub fn all_pools(&self) -> Vec<PoolName> {
        let mut pools: Vec<PoolName> = PoolName::BUILT_IN.iter().filter_map(|name| PoolName::built_in(name)).collect();
        for pool in &self.pools {
            if !pools.contains(pool) {
                pools.push(pool.clone());
            }
        }
        pools
    }
}

impl Topology {
    /// The topology of an installation.
    pub fn new(settings: &Settings) -> Self {
        let stream = |name: &str, description, subjects: &[&str], max_age, when_full, consumers| Stream {
            name: name.to_owned(),
            description,
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            max_age: Some(max_age),
            max_per_subject: None,
            max_bytes: None,
            when_full,
            compressed: false,
            message_ttl: false,
            replicas: settings.replicas,
            consumers,
        };
        let pools = settings.all_pools();
        let pool_consumers =
            pools.iter().map(|pool| consumer(pool.as_str(), Some(subject::pool_filter(pool)), settings));
        let one_per_subject = |stream| Stream { max_per_subject: Some(1), ..stream };
        let erasable = |stream| Stream { message_ttl: true, ..stream };
        let of_text = |stream| Stream { max_bytes: Some(MAX_LOG_BYTES), compressed: true, ..stream };
        Self {
            streams: vec![
                stream(
                    EVENTS,
                    "Onboarding events",
                    &["honk.event.>"],
                    DAY * 30,
                    WhenFull::RefuseNew,
                    vec![consumer(INTAKE, Some(subject::EVENT_ONBOARD.to_owned()), settings)],
                ),
                one_per_subject(stream(
                    JOBS,
                    "Jobs, each dispatch under its own subject",
                    &["honk.job.>"],
                    DAY * 30,
                    WhenFull::RefuseNew,
                    pool_consumers.collect(),
                )),
                erasable(one_per_subject(stream(
                    DEAD,
                    "Dead letters until they are replayed or discarded",
                    &["honk.dead.>"],
                    KEEP_DEAD,
                    WhenFull::RefuseNew,
                    vec![],
                ))),
                stream(
                    NOTICES,
                    "What owners and consumers were told",
                    &["honk.notice.>"],
                    DAY * 30,
                    WhenFull::DropOld,
                    vec![],
                ),
                stream(
                    ADVISORIES,
                    "Messages that the server gave up delivering",
                    &ADVISORY_SUBJECTS,
                    DAY * 30,
                    WhenFull::DropOld,
                    vec![consumer(WATCHER, None, settings)],
                ),
                of_text(stream(LOGS, "What steps print", &["honk.log.>"], KEEP_LOGS, WhenFull::DropOld, vec![])),
            ],
            buckets: vec![
                bucket(RUNS, "Run records, one key a run", true, settings),
                bucket(WORKFLOWS, "Workflows: every version by hash, the current one by name", false, settings),
                bucket(CATALOG, "Catalog entities", false, settings),
                bucket(LOCATIONS, "Where datasets lie", false, settings),
                bucket(
                    CONTROL,
                    "What people wish of runs and workflows, and what is agreed on before runs begin",
                    true,
                    settings,
                ),
                bucket(METADATA, "What is written down about datasets", false, settings),
                bucket(JOURNAL, "Where copies stand, to be taken up by another agent", true, settings),
                bucket(CONSUMERS, "Which consumers have seen where datasets lie", false, settings),
                bucket(DELIVERIES, "Which receivers of a notice were reached", true, settings),
            ],
            object_stores: vec![
                object_store(BUNDLES, "Files that workflows were registered with, by hash", None, settings),
                object_store(PLANS, "What migrations have planned, by run and job", Some(KEEP_JOURNAL), settings),
                object_store(
                    LISTS,
                    "What retirements remove, listed before they do, by hash",
                    Some(KEEP_LISTS),
                    settings,
                ),
            ],
        }
    }
}

/// The server's advisories about messages of [`JOBS`] and [`EVENTS`] that it stopped delivering.
pub const ADVISORY_SUBJECTS: [&str; 4] = [
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HONK_JOBS.*",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.HONK_JOBS.*",
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HONK_EVENTS.*",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.HONK_EVENTS.*",
];

fn consumer(name: &str, filter: Option<String>, settings: &Settings) -> Consumer {
    Consumer {
        name: name.to_owned(),
        filter,
        ack_wait: settings.ack_wait,
        // Twice what a workflow may ask for leaves room for deliveries that were handed back.
        max_deliver: i64::from((RetryPolicy::MAX_RETRY_COUNT + 1) * 2 + DELIVERY_MARGIN),
        max_ack_pending: 20_000,
    }
}

fn object_store(
    name: &'static str,
    description: &'static str,
    max_age: Option<Duration>,
    settings: &Settings,
) -> ObjectStore {
    ObjectStore { name, description, max_age, replicas: settings.replicas }
}

fn bucket(name: &'static str, description: &'static str, message_ttl: bool, settings: &Settings) -> Bucket {
    Bucket { name, description, message_ttl, replicas: settings.replicas }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pool_has_a_consumer_of_its_own_and_none_twice() {
        let pools = vec!["gpu".parse().expect("pool"), "migrate".parse().expect("pool")];
        let topology = Topology::new(&Settings { pools, ..Settings::default() });
        let jobs = topology.streams.iter().find(|stream| stream.name == JOBS).expect("the job stream");
        let names: Vec<&str> = jobs.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
        assert_eq!(names, ["validate", "migrate", "notify", "default", "gpu"]);
    }

    #[test]
    fn the_server_gives_a_message_up_only_after_any_workflow_would() {
        let topology = Topology::new(&Settings::default());
        for consumer in topology.streams.iter().flat_map(|stream| &stream.consumers) {
            assert!(consumer.max_deliver > i64::from(RetryPolicy::MAX_RETRY_COUNT + 1 + DELIVERY_MARGIN));
        }
    }
}
