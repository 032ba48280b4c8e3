//! What every row passes at either end: the contract, the count, and the quarantine for those that do not fit.
//!
//! Rows that are put aside are kept on disk until the end. Each end has an object of its own, so that its bytes do not depend on how the
//! two run beside each other.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::LineDelimitedWriter;
use honk_protocol::reason::Reason;
use serde_json::{Value, json};

use crate::contract::Checker;
use crate::evidence::Profile;
use crate::fault::Fault;
use crate::read::Misfit;

/// The column that carries a row's number while duplicates are looked for and while rows are sorted.
pub const ROW: &str = "__row";

/// The passage of one end.
#[derive(Debug)]
pub struct Audit {
    end: &'static str,
    checker: Checker,
    /// Figures of the rows that passed.
    pub profile: Profile,
    /// Rows put aside.
    pub rejected: u64,
    tolerant: bool,
    aside: Option<BufWriter<File>>,
    duplicates: Arc<Vec<u64>>,
    next_row: u64,
}

impl Audit {
    /// One that keeps what it puts aside, in a file that has no name. `tolerant`: a row may be put aside at all.
    pub fn new(end: &'static str, checker: Checker, schema: &SchemaRef, tolerant: bool) -> Result<Self, Fault> {
        let file =
            tempfile::tempfile().map_err(|error| Fault::of_machine("making a file for the quarantine", &error))?;
        Ok(Self { aside: Some(BufWriter::new(file)), ..Self::silent(end, checker, schema, tolerant) })
    }

    /// One that only tells what passes.
    pub fn silent(end: &'static str, checker: Checker, schema: &SchemaRef, tolerant: bool) -> Self {
        let profile = Profile::new(schema);
        Self { end, checker, profile, rejected: 0, tolerant, aside: None, duplicates: Arc::default(), next_row: 0 }
    }

    /// The numbers of rows that repeat an earlier one, in ascending order.
    #[must_use]
    pub fn knowing(self, duplicates: Arc<Vec<u64>>) -> Self {
        Self { duplicates, ..self }
    }

    /// The rows of a batch that pass, with their numbers.
    pub fn admit(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, UInt64Array), Fault> {
        let first = self.next_row;
        self.next_row += batch.num_rows() as u64;
        let mut misfits = self.checker.misfits(batch)?;
        let repeated = &self.duplicates[self.duplicates.partition_point(|row| *row < first)..];
        for row in repeated.iter().take_while(|row| **row < self.next_row) {
            let row = usize::try_from(row - first).unwrap_or(usize::MAX);
            misfits.entry(row).or_insert_with(|| "a row with the same `unique` values came before".to_owned());
        }
        for (row, why) in &misfits {
            let place = format!("row {} of {}", first + *row as u64 + 1, self.end);
            let why = why.clone();
            self.misfit(Misfit { place, reason: Reason::TransformContract, why, row: shown(batch, *row) })?;
        }
        let keep: BooleanArray = (0..batch.num_rows()).map(|row| Some(!misfits.contains_key(&row))).collect();
        let passed = filter_record_batch(batch, &keep).map_err(|error| Fault::of_engine(error.into()))?;
        let numbers = (first..).zip(keep.values().iter()).filter_map(|(number, keep)| keep.then_some(number));
        self.count(&passed)?;
        Ok((passed, numbers.collect()))
    }

    /// Only a loud audit has figures: those of another would be of the same rows again.
    fn count(&mut self, passed: &RecordBatch) -> Result<(), Fault> {
        if self.aside.is_some() { self.profile.add(passed) } else { Ok(()) }
    }

    /// Puts a row aside, or fails where none may be.
    pub fn misfit(&mut self, misfit: Misfit) -> Result<(), Fault> {
        if !self.tolerant {
            return Err(misfit.into());
        }
        self.rejected += 1;
        let Some(aside) = &mut self.aside else { return Ok(()) };
        let line = json!({ "place": misfit.place, "reason": misfit.reason, "why": misfit.why, "row": misfit.row });
        writeln!(aside, "{line}").map_err(|error| Fault::of_machine("writing the quarantine", &error))
    }

    /// Whether the number of rows is right; at the end.
    pub fn count_is_right(&self) -> Result<(), Fault> {
        self.checker.count(self.profile.rows)
    }

    /// The file with the rows that were put aside; at the end, and once.
    pub fn take_aside(&mut self) -> Result<Option<File>, Fault> {
        let Some(aside) = self.aside.take().filter(|_| self.rejected > 0) else { return Ok(None) };
        let file = aside.into_inner().map_err(|error| Fault::of_machine("writing the quarantine", error.error()))?;
        Ok(Some(file))
    }
}

/// The columns with the row's number behind them.
pub fn numbered_schema(schema: &SchemaRef) -> SchemaRef {
    let number = Arc::new(Field::new(ROW, DataType::UInt64, false));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([number]).collect::<Vec<_>>()))
}

/// Rows with their numbers behind them.
pub fn numbered(schema: &SchemaRef, batch: &RecordBatch, numbers: UInt64Array) -> Result<RecordBatch, Fault> {
    let columns = batch.columns().iter().cloned().chain([Arc::new(numbers) as ArrayRef]).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| Fault::of_engine(error.into()))
}

/// A row as JSON, for people.
fn shown(batch: &RecordBatch, row: usize) -> Value {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    let written = writer.write(&batch.slice(row, 1)).and_then(|()| writer.finish());
    match written {
        Ok(()) => serde_json::from_slice(&writer.into_inner()).unwrap_or(Value::Null),
        Err(error) => Value::String(error.to_string()),
    }
}
