//! The message that carries a job to an agent. It brings the run record and its revision along, so that the agent can
//! record the job's end without reading first.

use serde::Deserialize;

use crate::name::JobName;
use crate::run::{RUN_VERSION, Run};

/// The message's schema version.
pub const JOB_VERSION: u8 = 1;

/// A job, as an agent receives it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobMessage {
    /// [`JOB_VERSION`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = JOB_VERSION)))]
    v: u64,
    /// The run record when the job was dispatched.
    pub run: Run,
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

impl JobMessage {
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

    /// Reads a message. One that cannot be read is looked at again for its versions: a newer one is not malformed.
    pub fn decode(payload: &[u8]) -> Result<Self, JobError> {
        // Of bytes, every string would be checked by itself, for a fifth of the time.
        let text = std::str::from_utf8(payload).map_err(|error| JobError::Malformed(error.to_string()))?;
        let message: Self = serde_json::from_str(text).map_err(|error| unreadable(text, &error))?;
        check_version(message.v, JOB_VERSION)?;
        check_version(message.run.v.into(), RUN_VERSION)?;
        if message.run.job(&message.job).is_none() {
            return Err(JobError::Malformed(format!("the run has no job `{}`", message.job)));
        }
        Ok(message)
    }
}

fn unreadable(text: &str, error: &serde_json::Error) -> JobError {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    #[derive(Deserialize)]
    struct Record {
        run: Version,
    }
    let message = serde_json::from_str(text).map(|said: Version| check_version(said.v, JOB_VERSION));
    let record = serde_json::from_str(text).map(|said: Record| check_version(said.run.v, RUN_VERSION));
    let foreign = [message, record].into_iter().flatten().find_map(Result::err);
    foreign.unwrap_or_else(|| JobError::Malformed(error.to_string()))
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
            input: serde_json::Map::new(),
            limit_ms: None,
            gate: None,
            jobs: vec![("a".parse().expect("job"), crate::name::PoolName::default_pool(), vec![]).into()],
        };
        Run::create(new, false, Timestamp::UNIX_EPOCH).0
    }

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let run = run();
        let job: JobName = "a".parse().expect("job");
        let bytes = JobMessage::encode(&serde_json::to_vec(&run).expect("record"), 7, &job, 1);
        assert_eq!(JobMessage::decode(&bytes), Ok(JobMessage { v: 1, run, revision: 7, job, generation: 1 }));
    }

    #[test]
    fn another_version_and_an_unknown_job_are_refused() {
        let record = serde_json::to_string(&run()).expect("record");
        let newer = format!(r#"{{"v":2,"revision":1,"job":"a","generation":1,"run":{record}}}"#);
        assert_eq!(JobMessage::decode(newer.as_bytes()), Err(JobError::Version { found: 2 }));
        let other = r#"{"v":2,"something":"else"}"#;
        assert_eq!(JobMessage::decode(other.as_bytes()), Err(JobError::Version { found: 2 }));
        let odd = r#"{"v":2,"run":"elsewhere"}"#;
        assert_eq!(JobMessage::decode(odd.as_bytes()), Err(JobError::Version { found: 2 }));
        let newer_record = r#"{"v":1,"revision":1,"job":"a","generation":1,"run":{"v":3}}"#;
        assert_eq!(JobMessage::decode(newer_record.as_bytes()), Err(JobError::Version { found: 3 }));
        assert!(matches!(JobMessage::decode(br#"{"v":1,"run":{}}"#), Err(JobError::Malformed(_))));
        let unknown = JobMessage::encode(record.as_bytes(), 1, &"b".parse().expect("job"), 1);
        assert!(matches!(JobMessage::decode(&unknown), Err(JobError::Malformed(_))));
        assert!(matches!(JobMessage::decode("[".repeat(10_000).as_bytes()), Err(JobError::Malformed(_))));
    }
}
