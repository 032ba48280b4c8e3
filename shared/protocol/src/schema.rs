//! JSON Schemas (draft 2020-12) of everything that is sent or kept, for those who write agents in other languages. `docs/schemas/` is made
//! from here.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::control::Wish;
use crate::dataset::Location;
use crate::job::JobMessage;
use crate::live::Progress;
use crate::log::LogChunk;
use crate::name::{DatasetName, WorkflowName};
use crate::notice::{Notice, Relocated};
use crate::reason::Reason;
use crate::run::{Fault, Run};

/// Every schema, by the name of its file.
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("event", of::<Event>()),
        ("job", of::<JobMessage>()),
        ("run", of::<Run>()),
        ("dead-letter-headers", of::<DeadLetterHeaders>()),
        ("wish", of::<Wish>()),
        ("progress", of::<Progress>()),
        ("log", of::<LogChunk>()),
        ("location", of::<Location>()),
        ("notice", of::<Notice>()),
        ("location-notice", of::<Notice<Relocated>>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<T>()
}

/// What producers publish: a `CloudEvent` 1.0 in structured mode, or the bare form.
#[derive(JsonSchema, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; `crate::event` reads events")]
enum Event {
    /// A `CloudEvent` 1.0 in structured mode. Further attributes are passed over.
    Structured {
        /// The version of `CloudEvents`.
        #[schemars(extend("const" = "1.0"))]
        specversion: String,
        /// Unique together with `source`.
        #[schemars(length(min = 1))]
        id: String,
        /// Who publishes it.
        #[schemars(length(min = 1))]
        source: String,
        /// What it asks for.
        #[schemars(extend("const" = crate::event::DATASET_ONBOARD))]
        r#type: String,
        /// RFC 3339.
        time: Option<String>,
        /// The form of `data`.
        datacontenttype: Option<String>,
        /// What is to be done.
        data: EventData,
    },
    /// The bare form.
    Bare {
        /// What it asks for.
        #[schemars(extend("const" = crate::event::DATASET_ONBOARD))]
        r#type: String,
        /// Makes a repeat the same run.
        id: Option<String>,
        /// What is to be done.
        payload: EventData,
    },
}

/// What is to be done. Its further fields are what expressions call `input`.
#[derive(JsonSchema, Deserialize)]
#[expect(dead_code, reason = "only its schema is used; `crate::event` reads events")]
struct EventData {
    /// The dataset to migrate.
    dataset_name: DatasetName,
    /// The workflow to run instead of the one that the dataset's entity names.
    workflow: Option<WorkflowName>,
    /// Whatever the workflow makes use of.
    #[serde(flatten)]
    input: Map<String, Value>,
}

/// The headers of a dead letter, as an object of strings.
#[derive(JsonSchema, Deserialize)]
#[expect(dead_code, reason = "only its schema is used; `crate::dead` reads headers")]
struct DeadLetterHeaders {
    /// The stable reason code.
    #[serde(rename = "Honk-Reason")]
    reason: Reason,
    /// Whose fault.
    #[serde(rename = "Honk-Fault")]
    fault: Fault,
    /// The last error, on one line of at most 2,000 bytes.
    #[serde(rename = "Honk-Error")]
    error: String,
    /// How often the original was delivered.
    #[serde(rename = "Honk-Attempts")]
    #[schemars(regex(pattern = "^[0-9]+$"))]
    attempts: String,
    /// The subject that the original was stored under.
    #[serde(rename = "Honk-Subject")]
    subject: String,
    /// The original's sequence in its stream.
    #[serde(rename = "Honk-Sequence")]
    #[schemars(regex(pattern = "^[0-9]+$"))]
    sequence: String,
    /// The dataset, where it is known.
    #[serde(rename = "Honk-Dataset")]
    dataset: Option<DatasetName>,
    /// W3C trace context of the original, if it had one.
    traceparent: Option<String>,
}
