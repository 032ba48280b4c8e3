//! Subjects and keys: built here and parsed here, nowhere else. Every one is a fixed word and tokens that are safe by
//! type ([`crate::name`]), so building cannot fail and parsing is the exact inverse.

use std::fmt;
use std::str::FromStr;

use crate::entity::EntityRef;
use crate::name::{DatasetName, JobName, PoolName, RunId, WorkflowHash, WorkflowName};

/// Where producers publish onboarding events.
pub const EVENT_ONBOARD: &str = "honk.event.dataset_onboard";

/// A text that is no subject of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{subject}` is not of the form `{form}`")]
pub struct SubjectError {
    subject: String,
    form: &'static str,
}

/// One dispatch of a job: `honk.job.<pool>.<run>.<job>.<generation>`. The subject is the dispatch's identity: it is
/// published with the expectation that nothing was ever stored under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobSubject {
    /// The pool that serves the job.
    pub pool: PoolName,
    /// The run it belongs to.
    pub run: RunId,
    /// The job.
    pub job: JobName,
    /// Which dispatch of the job this is, from 1; a replay or a re-dispatch is the next one.
    pub generation: u32,
}

/// Where a dead letter is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadSubject {
    /// `honk.dead.<pool>.<run>.<job>`: a job that used up its retries or can never succeed.
    Job {
        /// The pool that served the job.
        pool: PoolName,
        /// The run it belongs to.
        run: RunId,
        /// The job.
        job: JobName,
    },
    /// `honk.dead.event.<key>`: an event that never became a run.
    Event {
        /// 16 hexadecimal digits that identify the event's message.
        key: EventKey,
    },
    /// `honk.dead.message.<key>`: a message on a job subject that is no job.
    Message {
        /// 16 hexadecimal digits that identify the message.
        key: EventKey,
    },
}

/// Identifies a stored message of no known run: its place in its stream and the time it got there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(String);

impl EventKey {
    /// The key of the message with `sequence`, stored at `unix_nanoseconds`. The time is part of it because a stream that is made again
    /// counts from 1 again.
    pub fn of_message(sequence: u64, unix_nanoseconds: i128) -> Self {
        let digest = crate::name::RunId::of_event(&sequence.to_string(), &unix_nanoseconds.to_string());
        Self(digest.as_str()[1..17].to_owned())
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Progress of one attempt, at most once and only to who listens: `honk.live.<run>.<job>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiveSubject {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobName,
}

/// Everything that [`LiveSubject`]s carry.
pub const LIVE_ALL: &str = "honk.live.*.*";

/// The lines that one attempt at a job printed: `honk.log.<run>.<job>.<generation>.<attempt>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogSubject {
    /// The run.
    pub run: RunId,
    /// The job.
    pub job: JobName,
    /// The dispatch, from 1.
    pub generation: u32,
    /// The delivery of it, from 1.
    pub attempt: u32,
}

/// The lines of all jobs of a run, as a filter of subjects.
pub fn run_log_filter(run: &RunId) -> String {
    format!("honk.log.{run}.>")
}

/// The lines of all attempts at a job, as a filter of subjects.
pub fn job_log_filter(run: &RunId, job: &JobName) -> String {
    format!("honk.log.{run}.{job}.>")
}

/// Says, at most once and only to who listens, that a run came to its end: `honk.finished.<run>`.
pub fn finished(run: &RunId) -> String {
    format!("honk.finished.{run}")
}

/// Everything that [`finished`] carries.
pub const FINISHED_ALL: &str = "honk.finished.*";

/// Where a dataset's notices are kept as `CloudEvents`: `honk.notice.<dataset>`.
pub fn notice(dataset: &DatasetName) -> String {
    format!("honk.notice.{}", dataset.token())
}

/// Key of a run record in its bucket: `<dataset>.<run>`. All runs of a dataset are its *lane*.
pub fn run_key(dataset: &DatasetName, run: &RunId) -> String {
    format!("{}.{run}", dataset.token())
}

/// Every run of a dataset, as a filter of keys.
pub fn lane_filter(dataset: &DatasetName) -> String {
    format!("{}.*", dataset.token())
}

/// The run of this id whatever its dataset, as a filter of keys.
pub fn run_filter(run: &RunId) -> String {
    format!("*.{run}")
}

/// Reads a key that [`run_key`] wrote.
pub fn parse_run_key(key: &str) -> Result<(DatasetName, RunId), SubjectError> {
    let error = || SubjectError { subject: key.to_owned(), form: "<dataset>.<run>" };
    let (dataset, run) = key.split_once('.').ok_or_else(error)?;
    Ok((DatasetName::from_token(dataset).map_err(|_| error())?, RunId::new(run).map_err(|_| error())?))
}

/// Key of one immutable version of a workflow: `hash.<hash>`.
pub fn workflow_version_key(hash: &WorkflowHash) -> String {
    format!("hash.{hash}")
}

/// Key of a workflow's current version: `name.<workflow>`.
pub fn workflow_name_key(name: &WorkflowName) -> String {
    format!("name.{}", name.token())
}

/// Key of what a version was registered as: `source.<workflow>.<hash>`.
pub fn workflow_source_key(name: &WorkflowName, hash: &WorkflowHash) -> String {
    format!("source.{}.{hash}", name.token())
}

/// Every version and every current version, without what they were registered as, as a filter of keys.
pub const WORKFLOW_VERSIONS_AND_NAMES: &str = "*.*";

/// The current version of every workflow, as a filter of keys.
pub const WORKFLOW_NAMES: &str = "name.*";

/// Key of a dataset's catalog entity: `dataset.<dataset>`.
pub fn dataset_key(dataset: &DatasetName) -> String {
    format!("dataset.{}", dataset.token())
}

/// Key of any other catalog entity: `entity.<kind>.<namespace>.<name>`, in lower case as entity references are.
pub fn entity_key(kind: &str, namespace: &str, name: &DatasetName) -> String {
    format!("entity.{kind}.{namespace}.{}", name.token()).to_ascii_lowercase()
}

/// Key of a dataset's location: the dataset's token alone.
pub fn location_key(dataset: &DatasetName) -> String {
    dataset.token().into_owned()
}

/// Key of what a consumer is known to have seen of a dataset's location: `<dataset>.<kind>.<namespace>.<name>`.
pub fn consumer_key(dataset: &DatasetName, consumer: &EntityRef) -> String {
    format!("{}.{}.{}.{}", dataset.token(), consumer.kind(), consumer.namespace(), consumer.name().token())
}

/// What every consumer is known to have seen of a dataset's location, as a filter of keys.
pub fn consumers_filter(dataset: &DatasetName) -> String {
    format!("{}.*.*.*", dataset.token())
}

/// The subjects a pool's consumer filters on.
pub fn pool_filter(pool: &PoolName) -> String {
    format!("honk.job.{pool}.>")
}

impl fmt::Display for JobSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "honk.job.{}.{}.{}.{}", self.pool, self.run, self.job, self.generation)
    }
}

impl FromStr for JobSubject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let error = || SubjectError { subject: subject.to_owned(), form: "honk.job.<pool>.<run>.<job>.<generation>" };
        let mut tokens = subject.strip_prefix("honk.job.").ok_or_else(error)?.split('.');
        let mut next = || tokens.next().ok_or_else(error);
        let parsed = Self {
            pool: PoolName::new(next()?).map_err(|_| error())?,
            run: RunId::new(next()?).map_err(|_| error())?,
            job: JobName::new(next()?).map_err(|_| error())?,
            generation: generation(next()?).ok_or_else(error)?,
        };
        if tokens.next().is_some() { Err(error()) } else { Ok(parsed) }
    }
}

/// A generation is written without sign or leading zeros, so that one dispatch has one subject.
fn generation(token: &str) -> Option<u32> {
    token.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == token)
}

impl fmt::Display for DeadSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { pool, run, job } => write!(f, "honk.dead.{pool}.{run}.{job}"),
            Self::Event { key } => write!(f, "honk.dead.event.{key}"),
            Self::Message { key } => write!(f, "honk.dead.message.{key}"),
        }
    }
}

impl DeadSubject {
    /// A short name for people: `<run>.<job>`, `event.<key>` or `message.<key>`.
    pub fn id(&self) -> String {
        match self {
            Self::Job { run, job, .. } => format!("{run}.{job}"),
            Self::Event { key } => format!("event.{key}"),
            Self::Message { key } => format!("message.{key}"),
        }
    }
}

impl FromStr for DeadSubject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let error = || SubjectError { subject: subject.to_owned(), form: "honk.dead.<pool>.<run>.<job>" };
        let tokens: Vec<&str> = subject.strip_prefix("honk.dead.").ok_or_else(error)?.split('.').collect();
        match tokens[..] {
            ["event", key] if is_key(key) => Ok(Self::Event { key: EventKey(key.to_owned()) }),
            ["message", key] if is_key(key) => Ok(Self::Message { key: EventKey(key.to_owned()) }),
            [pool, run, job] => Ok(Self::Job {
                pool: PoolName::new(pool).map_err(|_| error())?,
                run: RunId::new(run).map_err(|_| error())?,
                job: JobName::new(job).map_err(|_| error())?,
            }),
            _ => Err(error()),
        }
    }
}

fn is_key(token: &str) -> bool {
    token.len() == 16 && token.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

impl fmt::Display for LogSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "honk.log.{}.{}.{}.{}", self.run, self.job, self.generation, self.attempt)
    }
}

impl FromStr for LogSubject {
    type Err = SubjectError;

    fn from_str(subject: &str) -> Result<Self, SubjectError> {
        let error =
            || SubjectError { subject: subject.to_owned(), form: "honk.log.<run>.<job>.<generation>.<attempt>" };
        let tokens: Vec<&str> = subject.strip_prefix("honk.log.").ok_or_else(error)?.split('.').collect();
        let [run, job, dispatch, attempt] = tokens[..] else { return Err(error()) };
        Ok(Self {
            run: RunId::new(run).map_err(|_| error())?,
            job: JobName::new(job).map_err(|_| error())?,
            generation: generation(dispatch).ok_or_else(error)?,
            attempt: generation(attempt).ok_or_else(error)?,
        })
    }
}

impl fmt::Display for LiveSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "honk.live.{}.{}", self.run, self.job)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run_ids() -> impl Strategy<Value = RunId> {
        "r[0-9a-f]{20}".prop_map(|text| RunId::new(text).expect("the pattern is the rule"))
    }

    fn dead_subjects() -> impl Strategy<Value = DeadSubject> {
        prop_oneof![
            ("[a-z][a-z0-9-]{0,62}", run_ids(), "[A-Za-z_][A-Za-z0-9_-]{0,62}").prop_map(|(pool, run, job)| {
                DeadSubject::Job { pool: pool.parse().expect("pool"), run, job: job.parse().expect("job") }
            }),
            (any::<u64>(), any::<i64>())
                .prop_map(|(seq, time)| DeadSubject::Event { key: EventKey::of_message(seq, time.into()) }),
            (any::<u64>(), any::<i64>())
                .prop_map(|(seq, time)| DeadSubject::Message { key: EventKey::of_message(seq, time.into()) }),
        ]
    }

    proptest! {
        #[test]
        fn a_job_subject_reads_back_as_it_was_built(
            pool in "[a-z][a-z0-9-]{0,62}", run in run_ids(), job in "[A-Za-z_][A-Za-z0-9_-]{0,62}", generation in 1u32..,
        ) {
            let subject = JobSubject { pool: pool.parse().expect("pool"), run, job: job.parse().expect("job"), generation };
            prop_assert_eq!(subject.to_string().parse::<JobSubject>().expect("reads back"), subject);
        }

        #[test]
        fn a_log_subject_reads_back_as_it_was_built(
            run in run_ids(), job in "[A-Za-z_][A-Za-z0-9_-]{0,62}", generation in 1u32.., attempt in 1u32..,
        ) {
            let subject = LogSubject { run, job: job.parse().expect("job"), generation, attempt };
            prop_assert_eq!(subject.to_string().parse::<LogSubject>().expect("reads back"), subject);
        }

        #[test]
        fn a_dead_subject_reads_back_as_it_was_built(subject in dead_subjects()) {
            prop_assert_eq!(subject.to_string().parse::<DeadSubject>().expect("reads back"), subject);
        }

        #[test]
        fn a_run_key_reads_back_as_it_was_built(name in "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", run in run_ids()) {
            let dataset: DatasetName = name.parse().expect("dataset");
            prop_assert_eq!(parse_run_key(&run_key(&dataset, &run)).expect("reads back"), (dataset, run));
        }

        #[test]
        fn what_parses_is_what_would_be_built(text in "honk\\.(job|dead)(\\.[a-z0-9]{1,21}){1,6}") {
            if let Ok(subject) = text.parse::<JobSubject>() { prop_assert_eq!(subject.to_string(), text.clone()); }
            if let Ok(subject) = text.parse::<DeadSubject>() { prop_assert_eq!(subject.to_string(), text); }
        }
    }
}
