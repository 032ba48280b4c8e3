//! The message that carries a job to an agent. It brings the run record and its revision along, so that the agent can
//! record the job's end without reading first.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::name::JobName;
use crate::run::{RUN_VERSION, Run};

/// The message's schema version.
pub const JOB_VERSION: u8 = 1;

/// A job, as an agent receives it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobMessage<'a> {
    /// The run record when the job was dispatched.
    pub run: Run,
    /// The same as JSON.
    pub json: &'a str,
    /// The record's revision then: what the next compare-and-set expects.
    pub revision: u64,
    /// The job to do.
    pub job: JobName,
    /// Which dispatch of it this is.
    pub generation: u32,
}

/// Why bytes are no job message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Not of the expected form.
    #[error("not a job message: {0}")]
    Malformed(String),
    /// Of another schema version.
    #[error("schema version {found}; this agent reads version {JOB_VERSION}")]
    Version {
        /// The version it says.
        found: u64,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    v: u64,
    revision: u64,
    job: JobName,
    generation: u32,
    #[serde(borrow)]
    run: &'a RawValue,
}

impl<'a> JobMessage<'a> {
    /// Writes a message around a record that is already JSON, because it was just stored.
    pub fn encode(record: &[u8], revision: u64, job: &JobName, generation: u32) -> Vec<u8> {
        let head =
            format!(r#"{{"v":{JOB_VERSION},"revision":{revision},"job":"{job}","generation":{generation},"run":"#);
        let mut message = Vec::with_capacity(head.len() + record.len() + 1);
        message.extend_from_slice(head.as_bytes());
        message.extend_from_slice(record);
        message.push(b'}');
        message
    }

    /// Reads a message. The version is looked at before anything else is believed.
    pub fn decode(payload: &'a [u8]) -> Result<Self, JobError> {
        let malformed = |error: serde_json::Error| JobError::Malformed(error.to_string());
        let envelope: Envelope<'a> = serde_json::from_slice(payload).map_err(malformed)?;
        check_version(envelope.v, JOB_VERSION)?;
        let json = envelope.run.get();
        let run: Run = serde_json::from_str(json).map_err(malformed)?;
        check_version(run.v.into(), RUN_VERSION)?;
        if run.job(&envelope.job).is_none() {
            return Err(JobError::Malformed(format!("the run has no job `{}`", envelope.job)));
        }
        Ok(Self { run, json, revision: envelope.revision, job: envelope.job, generation: envelope.generation })
    }
}

fn check_version(found: u64, expected: u8) -> Result<(), JobError> {
    if found == u64::from(expected) { Ok(()) } else { Err(JobError::Version { found }) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::run::{EventRef, NewRun, WorkflowRef};

    fn run() -> Run {
        let new = NewRun {
            id: crate::name::RunId::of_event("s", "1"),
            dataset: "d".parse().expect("dataset"),
            workflow: WorkflowRef { name: "w".parse().expect("workflow"), hash: crate::name::WorkflowHash::of(b"w") },
            event: EventRef { source: "s".into(), id: "1".into() },
            trace: String::new(),
            jobs: vec![("a".parse().expect("job"), crate::name::PoolName::default_pool(), vec![])],
        };
        Run::create(new, false, Timestamp::UNIX_EPOCH).0
    }

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let run = run();
        let job: JobName = "a".parse().expect("job");
        let json = serde_json::to_string(&run).expect("record");
        let bytes = JobMessage::encode(json.as_bytes(), 7, &job, 1);
        assert_eq!(JobMessage::decode(&bytes), Ok(JobMessage { run, json: &json, revision: 7, job, generation: 1 }));
    }

    #[test]
    fn another_version_and_an_unknown_job_are_refused() {
        let record = serde_json::to_string(&run()).expect("record");
        let newer = format!(r#"{{"v":2,"revision":1,"job":"a","generation":1,"run":{record}}}"#);
        assert_eq!(JobMessage::decode(newer.as_bytes()), Err(JobError::Version { found: 2 }));
        let unknown = JobMessage::encode(record.as_bytes(), 1, &"b".parse().expect("job"), 1);
        assert!(matches!(JobMessage::decode(&unknown), Err(JobError::Malformed(_))));
        assert!(matches!(JobMessage::decode("[".repeat(10_000).as_bytes()), Err(JobError::Malformed(_))));
    }
}
