//! The readers: each turns one object into batches of rows of the table's schema, and names the rows that it cannot.

pub mod csv;
pub mod json;
pub mod json_rows;
pub mod limit;
pub mod parquet;

use arrow::array::RecordBatch;
use honk_protocol::reason::Reason;
use serde_json::Value;

use crate::fault::Fault;

/// Rows of a batch. The same everywhere, so that batches do not depend on how bytes arrive.
pub const BATCH_ROWS: usize = 8_192;
/// Bytes of text after which a batch ends early.
pub const BATCH_BYTES: usize = 8 << 20;

/// A row that does not fit, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// Where it comes from: `object`, and `line` or `row` where known.
    pub place: String,
    /// The stable code.
    pub reason: Reason,
    /// What is wrong with it.
    pub why: String,
    /// The row, as far as it could be read.
    pub row: Value,
}

impl From<Misfit> for Fault {
    fn from(misfit: Misfit) -> Self {
        Self::new(misfit.reason, format!("{}: {}", misfit.place, misfit.why))
    }
}

/// Who takes what a reader reads.
pub trait Rows {
    /// Takes rows. An error ends the reading.
    fn batch(&mut self, batch: RecordBatch) -> Result<(), Fault>;

    /// Takes a row that does not fit. An error ends the reading.
    fn misfit(&mut self, misfit: Misfit) -> Result<(), Fault>;
}

/// A line of an object, as messages name it.
pub fn at_line(key: &str, line: u64) -> String {
    format!("`{key}`, line {line}")
}
