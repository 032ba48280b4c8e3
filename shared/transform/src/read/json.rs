//! Rows of JSON, decoded a batch at a time. Where a batch does not decode, its rows are decoded one by one, so that only those that are
//! wrong are put aside. Whole numbers pass through text, because the decoder would cut `1.5` down to `1`.

use arrow::array::{Array as _, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use honk_protocol::reason::Reason;
use honk_protocol::transform::InputSpec;
use serde_json::Value;
use std::sync::Arc;
use tokio::runtime::Handle;

use crate::fault::Fault;
use crate::input::InputFile;
use crate::read::json_rows::JsonRows;
use crate::read::{BATCH_BYTES, BATCH_ROWS, Misfit, Rows, at_line};

/// Reads one object into batches of the table's schema.
pub fn read(
    file: &InputFile,
    spec: &InputSpec,
    schema: &SchemaRef,
    runtime: &Handle,
    rows: &mut dyn Rows,
) -> Result<(), Fault> {
    let mut source = JsonRows::new(file, file.text(runtime)?, spec.max_row_bytes);
    let mut batch = JsonBatch::new(file.key(), schema);
    while source.advance()? {
        if std::str::from_utf8(&source.row).is_err() {
            let row = Value::from(String::from_utf8_lossy(&source.row));
            let place = at_line(file.key(), source.line);
            rows.misfit(Misfit { place, reason: Reason::TransformEncoding, why: "it is not UTF-8".to_owned(), row })?;
            continue;
        }
        batch.push(&source.row, source.line);
        if batch.is_full() {
            batch.flush(rows)?;
        }
    }
    batch.flush(rows)
}

/// Rows of text on their way to becoming a batch.
struct JsonBatch {
    key: String,
    schema: SchemaRef,
    /// The same with text where numbers must not be rounded.
    decoded: SchemaRef,
    text: Vec<u8>,
    ends: Vec<usize>,
    lines: Vec<u64>,
}

impl JsonBatch {
    fn new(key: &str, schema: &SchemaRef) -> Self {
        let fields = schema.fields().iter().map(|field| match field.data_type() {
            kind if through_text(kind) => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
            _ => Arc::clone(field),
        });
        let decoded = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self {
            key: key.to_owned(),
            schema: schema.clone(),
            decoded,
            text: Vec::new(),
            ends: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn push(&mut self, row: &[u8], line: u64) {
        self.text.extend_from_slice(row);
        self.text.push(b'\n');
        self.ends.push(self.text.len());
        self.lines.push(line);
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= BATCH_ROWS || self.text.len() >= BATCH_BYTES
    }

    fn flush(&mut self, rows: &mut dyn Rows) -> Result<(), Fault> {
        if self.ends.is_empty() {
            return Ok(());
        }
        let batch = match decode(&self.decoded, &self.text, self.ends.len()) {
            Ok(batch) => batch,
            Err(_somewhere) => self.one_by_one(rows)?,
        };
        let batch = self.typed(&batch, rows)?;
        self.text.clear();
        self.ends.clear();
        self.lines.clear();
        rows.batch(batch)
    }

    fn row(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[row]]
    }

    /// Decodes what can be, and forgets the rest.
    fn one_by_one(&mut self, rows: &mut dyn Rows) -> Result<RecordBatch, Fault> {
        let (mut batches, mut lines, mut text, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in 0..self.ends.len() {
            match decode(&self.decoded, self.row(row), 1) {
                Ok(batch) => {
                    batches.push(batch);
                    lines.push(self.lines[row]);
                    text.extend_from_slice(self.row(row));
                    ends.push(text.len());
                }
                Err(error) => rows.misfit(self.misfit(row, plain(&error)))?,
            }
        }
        (self.lines, self.text, self.ends) = (lines, text, ends);
        concat_batches(&self.decoded, &batches).map_err(internal)
    }

    fn misfit(&self, row: usize, why: String) -> Misfit {
        let text = self.row(row).trim_ascii();
        let shown = serde_json::from_slice(text).unwrap_or_else(|_| String::from_utf8_lossy(text).into());
        Misfit { place: at_line(&self.key, self.lines[row]), reason: Reason::TransformValue, why, row: shown }
    }

    /// Turns text into the numbers it stands for.
    fn typed(&self, batch: &RecordBatch, rows: &mut dyn Rows) -> Result<RecordBatch, Fault> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| match field.data_type() {
            kind if column.data_type() == kind => Ok(Arc::clone(column)),
            kind => cast_with_options(column, kind, &options),
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(internal)?;
        let mut keep = vec![true; batch.num_rows()];
        for (row, keep) in keep.iter_mut().enumerate() {
            let unfit =
                batch.columns().iter().zip(&columns).position(|(text, value)| text.is_valid(row) && value.is_null(row));
            let Some(field) = unfit.map(|column| self.schema.field(column)) else { continue };
            *keep = false;
            rows.misfit(self.misfit(row, format!("`{}` is no {}", field.name(), field.data_type())))?;
        }
        let typed = RecordBatch::try_new(self.schema.clone(), columns).map_err(internal)?;
        filter_record_batch(&typed, &BooleanArray::from(keep)).map_err(internal)
    }
}

/// Whether a column's values are read as text first.
fn through_text(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_temporal() || kind.is_decimal()
}

/// Exactly `rows` rows, or an error.
fn decode(schema: &SchemaRef, text: &[u8], rows: usize) -> Result<RecordBatch, ArrowError> {
    let builder = ReaderBuilder::new(schema.clone()).with_batch_size(rows + 1);
    let mut decoder = builder.with_strict_mode(true).with_coerce_primitive(true).build_decoder()?;
    let taken = decoder.decode(text)?;
    let batch = decoder.flush()?.ok_or_else(|| ArrowError::JsonError("there is no JSON object".to_owned()))?;
    if taken != text.len() || batch.num_rows() != rows {
        return Err(ArrowError::JsonError("it is not one JSON object".to_owned()));
    }
    Ok(batch)
}

fn plain(error: &ArrowError) -> String {
    match error {
        ArrowError::JsonError(message) => message.clone(),
        other => other.to_string(),
    }
}

fn internal(error: ArrowError) -> Fault {
    Fault::of_engine(error.into())
}
