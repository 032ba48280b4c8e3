//! The outcome of the demo: a row a dataset, and whether everything is as it should be.

use honk_api::wire::{LocationView, RunView};
use honk_protocol::dataset::Side;
use honk_protocol::run::RunState;
use serde::Serialize;

use super::check::Verdict;
use super::datasets::Sample;
use crate::output::Table;

/// Rows that people are shown when there are many; those that are off are always shown.
const SHOWN: usize = 12;

/// How it went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// A row a dataset.
    pub(crate) rows: Vec<Row>,
    /// Different notices with a right signature that the datasets' owner received.
    pub(crate) notices: usize,
    /// From the first event to the last run's end, in milliseconds.
    pub(crate) elapsed_ms: u64,
}

/// How one dataset's migration went.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    dataset: String,
    objects: u64,
    bytes: u64,
    attempts: u32,
    duration_ms: u64,
    active: Side,
    location: String,
    state: RunState,
    bytes_read_back: Verdict,
    run: String,
    trace_id: String,
    complete: bool,
}

impl Row {
    pub(super) fn new(sample: &Sample, run: &RunView, location: &LocationView, verdict: Verdict) -> Self {
        let (objects, bytes) = (run.objects.unwrap_or_default(), run.bytes.unwrap_or_default());
        let active = match location.active {
            Side::Source => &location.source,
            Side::Target => &location.target,
        };
        Self {
            dataset: sample.name.to_string(),
            objects,
            bytes,
            attempts: run.attempts,
            duration_ms: run.duration_ms,
            active: location.active,
            location: active.to_string(),
            state: run.state,
            bytes_read_back: verdict,
            run: run.id.to_string(),
            trace_id: run.trace_id.clone().unwrap_or_default(),
            complete: objects == sample.objects.len() as u64 && bytes == sample.bytes(),
        }
    }

    fn is_right(&self) -> bool {
        self.complete
            && self.state == RunState::Success
            && self.active == Side::Target
            && self.bytes_read_back == Verdict::Equal
            && !self.trace_id.is_empty()
    }
}

impl Summary {
    /// Whether everything is as it should be.
    pub(crate) fn is_right(&self) -> bool {
        self.notices == self.rows.len() && self.rows.iter().all(Row::is_right)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let headings =
            ["DATASET", ">OBJECTS", ">BYTES", ">ATTEMPTS", ">SECONDS", "ACTIVE", "STATE", "READ BACK", "TRACE"];
        let mut table = Table::new(&headings);
        let off = self.rows.iter().filter(|row| !row.is_right());
        let shown: Vec<&Row> =
            off.chain(self.rows.iter().filter(|row| row.is_right())).take(SHOWN.max(self.off())).collect();
        for row in &shown {
            let read_back = match &row.bytes_read_back {
                Verdict::Equal => "equal".to_owned(),
                Verdict::Differs(problem) => problem.clone(),
            };
            table.row([
                row.dataset.clone(),
                row.objects.to_string(),
                row.bytes.to_string(),
                row.attempts.to_string(),
                seconds(row.duration_ms),
                row.location.clone(),
                row.state.to_string(),
                read_back,
                row.trace_id.clone(),
            ]);
        }
        let hidden = self.rows.len() - shown.len();
        let more = if hidden == 0 { String::new() } else { format!("… and {hidden} more, all as they should be\n") };
        let (objects, bytes): (u64, u64) =
            self.rows.iter().fold((0, 0), |sum, row| (sum.0 + row.objects, sum.1 + row.bytes));
        format!(
            "{table}{more}\n{} datasets, {objects} objects, {bytes} bytes in {} s; {} signed notices received; {}",
            self.rows.len(),
            seconds(self.elapsed_ms),
            self.notices,
            if self.is_right() {
                "everything verified".to_owned()
            } else {
                format!("{} datasets are NOT as they should be", self.off())
            },
        )
    }

    fn off(&self) -> usize {
        self.rows.iter().filter(|row| !row.is_right()).count()
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02}", milliseconds / 1_000, milliseconds % 1_000 / 10)
}
