//! `docs/FAILURES.md`, `docs/MESSAGES.md` and `docs/conformance/` are made from the contract, so that they cannot say something else. Run with
//! `UPDATE_DOCS=1` to write them anew.

#![expect(clippy::expect_used, reason = "samples that are not valid are a mistake in this file")]

#[path = "documents/agents.rs"]
mod agents;
#[path = "documents/moves.rs"]
mod moves;

use std::fmt::Write;
use std::path::Path;

use honk_protocol::dead::DeadLetter;
use honk_protocol::event::OnboardEvent;
use honk_protocol::job::JobMessage;
use honk_protocol::live::Progress;
use honk_protocol::log::{LOG_VERSION, LogChunk, LogLine, LogStream, MAX_LINE_BYTES};
use honk_protocol::name::{PoolName, RunId, WorkflowHash};
use honk_protocol::notice::{
    DATASET_MIGRATED, DATASET_ROLLED_BACK, LOCATION_SOURCE, Migrated, NOTICE_SOURCE, Notice, ROLLBACK_REPORTED,
    SOURCE_DEPRECATED, SOURCE_REMOVED,
};
use honk_protocol::reason::Reason;
use honk_protocol::run::{EventRef, Fault, Fence, NewRun, Outputs, Run, RunEvent, WorkflowRef};
use honk_protocol::subject::{self, DeadSubject, JobSubject, LiveSubject, LogSubject};
use honk_protocol::topology::{self, Settings, Topology};
use jiff::Timestamp;
use serde_json::Value;

#[test]
fn failures_are_documented_as_the_contract_has_them() {
    let mut text = String::from(
        "# Failures\n\nEvery reason code that a dead letter, a run or an answer of the API can carry. Honk retries by itself what may pass, as often \
         as the\nworkflow's `retry_count` allows; what is listed here is what remains, and what a person does about it. `honk dlq show ID` has the \
         code, the last\nerror and the trace of a dead letter; `honk dlq replay ID` does its job again, `honk dlq discard ID` gives it up.\n\n\
         This page is made from `shared/protocol/src/reason.rs`; `shared/protocol/tests/documents.rs` compares the two.\n\n\
         | code | what happened | what to do |\n|---|---|---|\n",
    );
    for reason in Reason::ALL {
        writeln!(text, "| `{reason}` | {} | {} |", reason.meaning(), reason.advice()).expect("a string takes text");
    }
    compare("FAILURES.md", &text);
}

#[test]
fn messages_are_documented_as_the_contract_has_them() {
    let samples = Samples::new();
    let mut text = String::from(
        "# Messages\n\nSubjects, headers and payloads, for producers, agents and readers in any language. All payloads are JSON in UTF-8; times are \
         RFC 3339 in\nUTC. Fields that are empty are left out. Readers must refuse a schema version (`v`) that they do not know.\n\n\
         This page is made from the contract crate; `shared/protocol/tests/documents.rs` compares the two.\n",
    );
    samples.events(&mut text);
    samples.jobs(&mut text);
    samples.dead_letters(&mut text);
    samples.rest(&mut text);
    samples.logs(&mut text);
    wishes(&mut text);
    bundles(&mut text);
    streams(&mut text);
    text.push_str(&agents::text(&samples.record));
    compare("MESSAGES.md", &text);
}

#[test]
fn the_moves_that_agents_are_compared_with_are_the_contracts_own() {
    compare("conformance/moves.json", &moves::page());
}

struct Samples {
    event: OnboardEvent,
    record: Run,
}

impl Samples {
    fn new() -> Self {
        let event = OnboardEvent {
            id: "2f6d2c5e".into(),
            source: "/warehouse/nightly".into(),
            dataset: "my-dataset".parse().expect("dataset"),
            workflow: None,
            time: None,
            input: serde_json::Map::new(),
        };
        let job = |name: &str, needs: &[&str]| {
            let needs = needs.iter().map(|need| need.parse().expect("job")).collect();
            (name.parse().expect("job"), PoolName::built_in(name).expect("built in"), needs).into()
        };
        let new = NewRun {
            id: event.run_id(),
            dataset: event.dataset.clone(),
            workflow: WorkflowRef {
                name: "migrate-dataset".parse().expect("workflow"),
                hash: WorkflowHash::of(b"sample"),
            },
            event: EventRef { source: event.source.clone(), id: event.id.clone() },
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            input: serde_json::Map::new(),
            limit_ms: None,
            gate: None,
            jobs: vec![job("validate", &[]), job("migrate", &["validate"]), job("notify", &["migrate"])],
        };
        let at: Timestamp = "2026-11-21T22:00:00Z".parse().expect("time");
        let (run, _) = Run::create(new, false, at);
        let mut outputs = Outputs::new();
        outputs.insert("objects".into(), 12.into());
        outputs.insert("bytes".into(), 34_567.into());
        let fence = Fence { generation: 1, attempt: 1 };
        let done = RunEvent::Completed { job: "validate".parse().expect("job"), fence, outputs };
        let (record, _) = run.apply(&done, at).expect("the first job is ready");
        Self { event, record }
    }

    fn events(&self, text: &mut String) {
        let structured: Value = serde_json::from_slice(&self.event.to_structured()).expect("JSON");
        section(
            text,
            "Event",
            &format!(
                "Published on `{}`, stream `{}`. The run's id is `r` and the first 20 hexadecimal digits of SHA-256 over `source`, a zero byte and \
             `id`:\nthe same `source` and `id` are the same run, however often and whenever they come. Three forms are read.\n\n\
             A CloudEvent 1.0 in structured mode:\n\n{}\n\n\
             In binary mode, with the attributes as percent-encoded headers (`ce-specversion`, `ce-id`, `ce-source`, `ce-type`, `ce-time`) and `data` \
             as the payload.\n\nThe bare form. Its identity is its `id` if it has one (under source `/honk/bare`), else its header `Nats-Msg-Id`, else \
             the stored message itself:\n\n{}\n\n`data` (or `payload`) may name a `workflow`; otherwise the dataset's annotation `honk/workflow` does, \
             and without one it is `migrate-dataset`.\nA header `traceparent` (W3C, lower case) continues the producer's trace.",
                subject::EVENT_ONBOARD,
                topology::EVENTS,
                json(&structured),
                json(&serde_json::json!({"type": "dataset_onboard", "payload": {"dataset_name": "my-dataset"}})),
            ),
        );
    }

    fn jobs(&self, text: &mut String) {
        let run = self.record.id.clone();
        let at = JobSubject {
            pool: PoolName::built_in("migrate").expect("pool"),
            run,
            job: "migrate".parse().expect("job"),
            generation: 1,
        };
        let record = serde_json::to_vec(&self.record).expect("JSON");
        let message: Value = serde_json::from_slice(&JobMessage::encode(&record, 4_711, &at.job, 1)).expect("JSON");
        section(
            text,
            "Job",
            &format!(
                "`honk.job.<pool>.<run>.<job>.<generation>`, stream `{}`, published with `Nats-Expected-Last-Subject-Sequence: 0`, so that each dispatch is \
             stored once.\nFor example `{at}`. Header: `traceparent`. The message carries the run record and its revision, so that the agent that \
             completes the job can\ncompare-and-set without reading:\n\n{}",
                topology::JOBS,
                json(&message),
            ),
        );
        section(
            text,
            "Run record",
            &format!(
                "Bucket `{}`, key `<dataset>.<run>` with `.` in the dataset's name written as `=`. It is the `run` of a job message. Run states: `waiting`, \
             `running`, `success`,\n`failure`, `error`, `timeout`, `cancelled`. Job states: `pending`, `ready`, `running`, `success`, `dead`, `failed`, \
             `skipped`, `cancelled`. It is only ever written by\ncompare-and-set along the edges of `Run::apply`; the pair (`generation`, `attempt`) of a \
             job is the fencing token.",
                topology::RUNS,
            ),
        );
    }

    fn dead_letters(&self, text: &mut String) {
        let run: RunId = self.record.id.clone();
        let letter = DeadLetter {
            subject: DeadSubject::Job {
                pool: PoolName::built_in("migrate").expect("pool"),
                run: run.clone(),
                job: "migrate".parse().expect("job"),
            },
            reason: Reason::TargetDenied,
            fault: Fault::Failure,
            error: "write to s3://new/my-dataset: access denied".into(),
            attempts: 1,
            original_subject: format!("honk.job.migrate.{run}.migrate.1"),
            original_sequence: 815,
            dataset: Some("my-dataset".into()),
            trace: self.record.trace.clone(),
        };
        let mut headers = String::new();
        for (name, value) in letter.headers() {
            writeln!(headers, "| `{name}` | `{value}` |").expect("a string takes text");
        }
        section(
            text,
            "Dead letter",
            &format!(
                "`honk.dead.<pool>.<run>.<job>`, `honk.dead.event.<key>` (an event that never became a run) or `honk.dead.message.<key>` (a message that is \
             no job), stream `{}`.\nThe payload is the original's, byte for byte; the headers say why it lies there:\n\n| header | for example |\n|---|---|\n{headers}\n\
             One that was replayed or discarded leaves a marker with `KV-Operation: PURGE` for an hour.",
                topology::DEAD,
            ),
        );
    }

    fn logs(&self, text: &mut String) {
        let at = self.record.created_at;
        let line = |stream, text: &str| LogLine { at, stream, text: text.into(), continued: false };
        let chunk = LogChunk {
            v: LOG_VERSION,
            attempt: 1,
            agent: "validate@host:7".into(),
            step: 2,
            title: "Check the schema".into(),
            lines: vec![
                line(LogStream::Stdout, "12 columns"),
                line(LogStream::Stderr, "warning: no key"),
                line(LogStream::Agent, "ended with exit status 1"),
            ],
        };
        let job = "validate".parse().expect("job");
        let subject = LogSubject { run: self.record.id.clone(), job, generation: 1, attempt: 1 };
        section(
            text,
            "Log",
            &format!(
                "`honk.log.<run>.<job>.<generation>.<attempt>` (such as `{subject}`), stream `{}`: what the steps of one delivery of a job print, in \
                 order, several lines\na message. An agent publishes while the step runs, and has the server's acknowledgement of every line before it \
                 settles the delivery. A line has at most\n{MAX_LINE_BYTES} bytes; a longer one comes as several, each but the last with \
                 `\"continued\": true`. `attempt` counts over all dispatches of the job, from 1; `step` is\nthe step's place in the workflow, from 1. \
                 `stream` is `stdout`, `stderr`, or `agent` for the agent's own words about the step. Lines are kept for {} days, and\nfewer if the \
                 stream is full:\n\n{}",
                topology::LOGS,
                topology::KEEP_LOGS.as_secs() / 86_400,
                json(&serde_json::to_value(chunk).expect("JSON")),
            ),
        );
    }

    fn rest(&self, text: &mut String) {
        let progress = Progress {
            attempt: 1,
            agent: "migrate@host:7".into(),
            objects: 3,
            objects_total: 12,
            bytes: 9_000,
            bytes_total: 34_567,
        };
        let live = LiveSubject { run: self.record.id.clone(), job: "migrate".parse().expect("job") };
        section(
            text,
            "Live",
            &format!(
                "Sent at most once, stored nowhere. `honk.live.<run>.<job>` (such as `{live}`) about once a second while a job runs:\n\n{}\n\n\
             `honk.finished.<run>` when a run comes to its end; the payload is its state as plain text.",
                json(&serde_json::to_value(progress).expect("JSON")),
            ),
        );
        let at = self.record.created_at;
        let notice = Notice {
            specversion: "1.0".into(),
            id: format!("{}.notify", self.record.id),
            source: NOTICE_SOURCE.into(),
            kind: DATASET_MIGRATED.into(),
            subject: "my-dataset".into(),
            time: at,
            timestamp: at,
            datacontenttype: "application/json".into(),
            data: Migrated {
                dataset: self.record.dataset.clone(),
                run: self.record.id.clone(),
                workflow: self.record.workflow.name.clone(),
                owner: Some("group:default/data-team".into()),
                from: None,
                to: None,
                objects: 12,
                bytes: 34_567,
            },
        };
        section(
            text,
            "Notice",
            &format!(
                "`honk.notice.<dataset>`, stream `{}`, and the body of every webhook, which is signed as Standard Webhooks 1.0 prescribes (`webhook-id`, \
             `webhook-timestamp`,\n`webhook-signature`). `from` and `to` are places such as `{{\"s3\":{{\"bucket\":\"…\",\"prefix\":\"…\"}}}}`:\n\n{}\n\n\
             On the same subject, but in no webhook, are notices about the location, with the `source` `{LOCATION_SOURCE}` and another `data` \
             (`docs/schemas/location-notice.json`):\n`{DATASET_ROLLED_BACK}`, `{ROLLBACK_REPORTED}`, `{SOURCE_DEPRECATED}` and `{SOURCE_REMOVED}`.",
                topology::NOTICES,
                json(&serde_json::to_value(notice).expect("JSON")),
            ),
        );
    }
}

fn wishes(text: &mut String) {
    section(
        text,
        "Wishes",
        &format!(
            "Bucket `{}`. `run.<run>` is `\"hold\"` (begin no job of it) or `\"end\"` (stop what runs of it); every agent follows these. While \
             `workflow.<workflow>` is there,\nno run of the workflow begins.\n\nA run record with a `gate` is created `waiting` and begun by intake \
             alone. Whoever finds that its dataset is free writes its ticket `start.<run>` (`run`, `dataset`,\n`workflow`, `created_at`, and \
             `group` if its gate has one) instead of promoting it; so does whoever finds a waiting run without a gate whose workflow is held. \
             Whoever ends\na run whose gate has a group removes it from `group.<key>` (`holder`, `waiter`) by compare-and-set, and removes the key \
             when neither is left. `rate.<workflow>` and\n`tick.<workflow>.<n>` are intake's own.",
            topology::CONTROL,
        ),
    );
}

fn bundles(text: &mut String) {
    section(
        text,
        "Bundle",
        &format!(
            "The files that a workflow was registered with, as one object of the object store `{0}` (stream `OBJ_{0}`), whose name is the SHA-256 of its \
             bytes in\nhexadecimal digits. The workflow's version, key `hash.<hash>` of the bucket `{1}`, names it as `bundle.hash`, and the paths of its \
             files as `bundle.files`.\nIt is stored before the version that names it, so that whoever has the version finds it.",
            topology::BUNDLES,
            topology::WORKFLOWS,
        ),
    );
}

fn streams(text: &mut String) {
    let topology = Topology::new(&Settings::default());
    let mut table = String::from("| stream or bucket | subjects | consumers | for |\n|---|---|---|---|\n");
    for stream in &topology.streams {
        let consumers: Vec<String> = stream.consumers.iter().map(|consumer| format!("`{}`", consumer.name)).collect();
        let subjects: Vec<String> = stream.subjects.iter().map(|subject| format!("`{subject}`")).collect();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            stream.name,
            subjects.join(", "),
            consumers.join(", "),
            stream.description
        )
        .expect("a string takes text");
    }
    for bucket in &topology.buckets {
        writeln!(table, "| `KV_{0}` | `$KV.{0}.>` | | {1} |", bucket.name, bucket.description)
            .expect("a string takes text");
    }
    for store in &topology.object_stores {
        writeln!(table, "| `OBJ_{0}` | `$O.{0}.C.>`, `$O.{0}.M.>` | | {1} |", store.name, store.description)
            .expect("a string takes text");
    }
    section(text, "Streams and buckets", &table);
}

fn section(text: &mut String, title: &str, body: &str) {
    writeln!(text, "\n## {title}\n\n{}", body.trim_end()).expect("a string takes text");
}

fn json(value: &Value) -> String {
    format!("```json\n{}\n```", serde_json::to_string_pretty(value).expect("JSON"))
}

#[expect(clippy::disallowed_methods, reason = "a switch for developers, read by no service")]
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "docs/{name} is not what the contract says; write it anew with UPDATE_DOCS=1");
}
