//! The onboarding event: a `CloudEvent` 1.0 (structured, or binary as the NATS binding has it), or the bare
//! `{"type":"dataset_onboard","payload":{"dataset_name":"…"}}`, which is wrapped into one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::{DatasetName, RunId, WorkflowName};
use crate::reason::Reason;

/// The one type of event there is so far.
pub const DATASET_ONBOARD: &str = "dataset_onboard";

/// The source that wrapped bare events get.
pub const BARE_SOURCE: &str = "/honk/bare";

/// The most bytes an event may have: far below a server's usual maximum payload of 1 MiB.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// The most bytes that an event's further fields may have, as JSON: every message of its run carries them.
pub const MAX_INPUT_BYTES: usize = 32 * 1024;

/// A request to migrate one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnboardEvent {
    /// `CloudEvents` `id`; unique together with `source`.
    pub id: String,
    /// `CloudEvents` `source`.
    pub source: String,
    /// The dataset to migrate.
    pub dataset: DatasetName,
    /// The workflow to run instead of the one that the dataset's entity names.
    pub workflow: Option<WorkflowName>,
    /// When the producer says it happened.
    pub time: Option<Timestamp>,
    /// The further fields of its payload: what expressions call `input`, beside `input.dataset_name`.
    pub input: Map<String, Value>,
}

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or not an object.
    #[error("the event is not a JSON object: {0}")]
    NotJson(String),
    /// A field is missing or ill-formed.
    #[error("{0}")]
    Invalid(String),
    /// Another version of `CloudEvents`.
    #[error("`specversion` is `{0}`; Honk reads CloudEvents `1.0`")]
    Version(String),
    /// Larger than [`MAX_EVENT_BYTES`].
    #[error("the event has {0} bytes; at most {MAX_EVENT_BYTES} are allowed")]
    TooLarge(usize),
}

impl EventError {
    /// The stable code.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Version(_) => Reason::EventVersion,
            Self::NotJson(_) | Self::Invalid(_) | Self::TooLarge(_) => Reason::EventMalformed,
        }
    }
}

/// The envelope as `CloudEvents` structured mode has it.
#[derive(Debug, Serialize, Deserialize)]
struct Structured {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    data: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Data {
    dataset_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<String>,
    #[serde(flatten)]
    input: Map<String, Value>,
}

/// What expressions call `input`: the dataset's name and the payload's further fields.
pub fn expression_input(dataset: &DatasetName, further: &Map<String, Value>) -> Map<String, Value> {
    let mut input = further.clone();
    input.insert("dataset_name".to_owned(), dataset.as_str().into());
    input
}

impl OnboardEvent {
    /// The run that this event starts.
    pub fn run_id(&self) -> RunId {
        RunId::of_event(&self.source, &self.id)
    }

    /// Reads an event. `header` looks up a NATS or HTTP header by its lower-case name; `fallback_id` becomes the id of a bare event that
    /// brings none.
    pub fn decode<'h>(
        payload: &[u8],
        header: impl Fn(&str) -> Option<&'h str>,
        fallback_id: &str,
    ) -> Result<Self, EventError> {
        if payload.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge(payload.len()));
        }
        let body: Value = serde_json::from_slice(payload).map_err(|error| EventError::NotJson(error.to_string()))?;
        let Value::Object(body) = body else {
            return Err(EventError::NotJson("it is another kind of value".into()));
        };
        if header("ce-specversion").is_some() || header("ce-id").is_some() {
            Self::from_binary(body, header)
        } else if body.contains_key("specversion") {
            Self::from_structured(body)
        } else {
            Self::from_bare(body, fallback_id)
        }
    }

    /// The event in structured mode, as Honk itself publishes it.
    pub fn to_structured(&self) -> Vec<u8> {
        let data = Data {
            dataset_name: self.dataset.to_string(),
            workflow: self.workflow.as_ref().map(ToString::to_string),
            input: self.input.clone(),
        };
        let envelope = Structured {
            specversion: "1.0".into(),
            id: self.id.clone(),
            source: self.source.clone(),
            kind: DATASET_ONBOARD.into(),
            time: self.time.map(|time| time.to_string()),
            datacontenttype: Some("application/json".into()),
            data: serde_json::to_value(data).unwrap_or_default(),
        };
        serde_json::to_vec(&envelope).unwrap_or_default()
    }

    fn from_structured(body: Map<String, Value>) -> Result<Self, EventError> {
        check_version(body.get("specversion").and_then(Value::as_str).unwrap_or_default())?;
        let envelope: Structured = serde_json::from_value(Value::Object(body)).map_err(|error| invalid(&error))?;
        Self::assemble(&envelope.kind, envelope.source, envelope.id, envelope.time.as_deref(), envelope.data)
    }

    fn from_binary<'h>(data: Map<String, Value>, header: impl Fn(&str) -> Option<&'h str>) -> Result<Self, EventError> {
        let attribute = |name: &'static str| {
            let value = header(name).ok_or_else(|| EventError::Invalid(format!("the header `{name}` is missing")))?;
            percent_decode(value)
                .ok_or_else(|| EventError::Invalid(format!("the header `{name}` is not percent-encoded UTF-8")))
        };
        check_version(&attribute("ce-specversion")?)?;
        let time = header("ce-time").map(|_| attribute("ce-time")).transpose()?;
        let (kind, source, id) = (attribute("ce-type")?, attribute("ce-source")?, attribute("ce-id")?);
        Self::assemble(&kind, source, id, time.as_deref(), Value::Object(data))
    }

    fn from_bare(mut body: Map<String, Value>, fallback_id: &str) -> Result<Self, EventError> {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = match body.get("id") {
            None | Some(Value::Null) => fallback_id.to_owned(),
            Some(Value::String(id)) => id.clone(),
            Some(_) => return Err(EventError::Invalid("`id` must be a string".into())),
        };
        let payload = body.remove("payload").ok_or_else(|| EventError::Invalid("`payload` is missing".into()))?;
        Self::assemble(&kind, BARE_SOURCE.to_owned(), id, None, payload)
    }

    fn assemble(kind: &str, source: String, id: String, time: Option<&str>, data: Value) -> Result<Self, EventError> {
        if kind != DATASET_ONBOARD {
            return Err(EventError::Invalid(format!("`type` is `{kind}`; Honk reads `{DATASET_ONBOARD}`")));
        }
        if id.is_empty() || source.is_empty() {
            return Err(EventError::Invalid("`id` and `source` must not be empty".into()));
        }
        let data: Data = serde_json::from_value(data).map_err(|error| invalid(&error))?;
        check_input(&data.input)?;
        let dataset = DatasetName::new(data.dataset_name).map_err(|error| EventError::Invalid(error.to_string()))?;
        let workflow = data.workflow.map(WorkflowName::new).transpose();
        let time = time.map(str::parse::<Timestamp>).transpose();
        Ok(Self {
            id,
            source,
            dataset,
            workflow: workflow.map_err(|error| EventError::Invalid(error.to_string()))?,
            time: time.map_err(|error| EventError::Invalid(format!("`time`: {error}")))?,
            input: data.input,
        })
    }
}

fn invalid(error: &serde_json::Error) -> EventError {
    EventError::Invalid(error.to_string())
}

fn check_input(input: &Map<String, Value>) -> Result<(), EventError> {
    let bytes = if input.is_empty() { 0 } else { serde_json::to_vec(input).map_or(usize::MAX, |json| json.len()) };
    if bytes <= MAX_INPUT_BYTES {
        return Ok(());
    }
    let problem = format!(
        "the payload's fields beside `dataset_name` have {bytes} bytes; at most {MAX_INPUT_BYTES} are allowed. Put what is \
         large into an object store and its address into the event"
    );
    Err(EventError::Invalid(problem))
}

fn check_version(version: &str) -> Result<(), EventError> {
    if version == "1.0" { Ok(()) } else { Err(EventError::Version(version.chars().take(40).collect())) }
}

/// Header values of the NATS binding are percent-encoded (`CloudEvents` HTTP binding 1.0, section 3.1.3.2).
fn percent_decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<OnboardEvent, EventError> {
        OnboardEvent::decode(text.as_bytes(), |_| None, "fallback")
    }

    #[test]
    fn the_bare_form_is_wrapped_and_takes_its_own_id_if_it_has_one() {
        let event = decode(r#"{"type":"dataset_onboard","payload":{"dataset_name":"my-dataset"}}"#).expect("bare");
        assert_eq!(
            (event.id.as_str(), event.source.as_str(), event.dataset.as_str()),
            ("fallback", BARE_SOURCE, "my-dataset")
        );
        let event = decode(r#"{"id":"7","type":"dataset_onboard","payload":{"dataset_name":"d","workflow":"w"}}"#)
            .expect("bare");
        assert_eq!((event.id.as_str(), event.workflow.expect("named").as_str()), ("7", "w"));
    }

    #[test]
    fn the_structured_form_reads_back_as_it_was_written() {
        let event = OnboardEvent {
            id: "1".into(),
            source: "/producer".into(),
            dataset: "a.b".parse().expect("dataset"),
            workflow: Some("w".parse().expect("workflow")),
            time: Some(Timestamp::UNIX_EPOCH),
            input: Map::from_iter([("rows".to_owned(), 7.into())]),
        };
        assert_eq!(OnboardEvent::decode(&event.to_structured(), |_| None, "x"), Ok(event));
    }

    #[test]
    fn the_binary_form_takes_its_attributes_from_percent_encoded_headers() {
        let header = |name: &str| match name {
            "ce-specversion" => Some("1.0"),
            "ce-id" => Some("caf%C3%A9"),
            "ce-source" => Some("/s"),
            "ce-type" => Some(DATASET_ONBOARD),
            _ => None,
        };
        let event = OnboardEvent::decode(br#"{"dataset_name":"d"}"#, header, "x").expect("binary");
        assert_eq!(event.id, "café");
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_reason() {
        let deep = "[".repeat(10_000);
        for (text, reason) in [
            ("nonsense", Reason::EventMalformed),
            (deep.as_str(), Reason::EventMalformed),
            ("[]", Reason::EventMalformed),
            ("{}", Reason::EventMalformed),
            (r#"{"type":"other","payload":{"dataset_name":"d"}}"#, Reason::EventMalformed),
            (r#"{"type":"dataset_onboard","payload":{"dataset_name":""}}"#, Reason::EventMalformed),
            (r#"{"type":"dataset_onboard","payload":{"dataset_name":"a/b"}}"#, Reason::EventMalformed),
            (r#"{"type":"dataset_onboard","payload":{}}"#, Reason::EventMalformed),
            (r#"{"id":7,"type":"dataset_onboard","payload":{"dataset_name":"d"}}"#, Reason::EventMalformed),
            (r#"{"specversion":"0.3","id":"1","source":"s","type":"dataset_onboard","data":{}}"#, Reason::EventVersion),
        ] {
            assert_eq!(decode(text).expect_err(text).reason(), reason, "{text:.60}");
        }
        let input = "x".repeat(MAX_INPUT_BYTES);
        let wide = format!(r#"{{"type":"dataset_onboard","payload":{{"dataset_name":"d","input":"{input}"}}}}"#);
        assert_eq!(decode(&wide).expect_err("too much").reason(), Reason::EventMalformed);
        let large = OnboardEvent::decode(&vec![b' '; MAX_EVENT_BYTES + 1], |_| None, "x");
        assert_eq!(large, Err(EventError::TooLarge(MAX_EVENT_BYTES + 1)));
    }
}
