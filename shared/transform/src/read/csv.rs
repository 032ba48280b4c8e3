//! Rows of CSV. Fields are read as text and then become their column's type, all of a batch together; where a value does not, its row is
//! found again by its number. A row is therefore named by the line that it begins at, however its neighbours look.

use std::io::BufRead;

use arrow::array::{Array as _, ArrayRef, BooleanArray, RecordBatch, StringArray, StringBuilder, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::SchemaRef;
use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use honk_protocol::reason::Reason;
use honk_protocol::transform::InputSpec;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::fault::{Fault, listed};
use crate::input::InputFile;
use crate::read::limit::{Limited, Mark, is_too_long};
use crate::read::{BATCH_BYTES, BATCH_ROWS, Misfit, Rows, at_line};
use crate::schema::Table;

/// The records of one object, with the header read.
pub struct Records {
    file: InputFile,
    reader: csv::Reader<Limited<Box<dyn BufRead + Send>>>,
    row: Mark,
    /// The header.
    pub names: Vec<String>,
    /// The present record.
    pub record: ByteRecord,
    /// The line that it begins at.
    pub line: u64,
}

impl Records {
    /// Opens the object and reads its header.
    pub fn open(file: &InputFile, spec: &InputSpec, runtime: &Handle) -> Result<Self, Fault> {
        let (limited, row) = Limited::new(file.text(runtime)?, spec.max_row_bytes);
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(file.delimiter).from_reader(limited);
        let record = ByteRecord::new();
        let mut records = Self { file: file.clone(), reader, row, names: Vec::new(), record, line: 1 };
        records.advance()?;
        records.names = records.header()?;
        Ok(records)
    }

    fn header(&self) -> Result<Vec<String>, Fault> {
        let fault =
            |reason, why: &str| Err(Fault::new(reason, format!("{}: {why}", at_line(self.file.key(), self.line))));
        let mut names = Vec::new();
        for field in &self.record {
            let Ok(name) = std::str::from_utf8(field) else {
                return fault(Reason::TransformEncoding, "the header is not UTF-8");
            };
            let name = name.trim_start_matches('\u{feff}').trim().to_owned();
            if name.is_empty() || names.contains(&name) {
                let why = format!("the header needs a name of its own for each column, and `{name}` is none");
                return fault(Reason::TransformHeader, &why);
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Goes to the next record; false at the end.
    pub fn advance(&mut self) -> Result<bool, Fault> {
        self.row.begin();
        let line = self.reader.position().line();
        let more = match self.reader.read_byte_record(&mut self.record) {
            Ok(more) => more,
            Err(error) => return Err(self.broken(error, line)),
        };
        self.line = self.record.position().map_or(line, csv::Position::line);
        Ok(more)
    }

    fn broken(&self, error: csv::Error, line: u64) -> Fault {
        let at = at_line(self.file.key(), line);
        match error.into_kind() {
            ErrorKind::Io(error) if is_too_long(&error) => Fault::new(
                Reason::TransformRowTooLong,
                format!("{at}: {}", error.get_ref().map_or_else(String::new, ToString::to_string)),
            ),
            ErrorKind::Io(error) => self.file.broken(&error),
            other => Fault::new(Reason::TransformRagged, format!("{at}: {other:?}")),
        }
    }

    /// What is wrong with the present record as a whole, if anything is.
    fn misfit(&self) -> Option<Misfit> {
        let (reason, why) = if self.record.len() == self.names.len() {
            let field = self.record.iter().position(|field| std::str::from_utf8(field).is_err())?;
            (Reason::TransformEncoding, format!("`{}` is not UTF-8", self.names[field]))
        } else {
            let why = format!("{} fields, where the header has {}", self.record.len(), self.names.len());
            (Reason::TransformRagged, why)
        };
        let fields: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
        Some(Misfit { place: at_line(self.file.key(), self.line), reason, why, row: json!({ "fields": fields }) })
    }

    /// Whether the record looks like a header: most of its fields are names of columns.
    fn is_header(&self) -> bool {
        let named = self.record.iter().filter(|field| self.names.iter().any(|name| name.as_bytes() == *field)).count();
        named > 0 && named * 2 > self.record.len()
    }
}

/// Reads one object into batches of the table's schema.
pub fn read(
    file: &InputFile,
    spec: &InputSpec,
    table: &Table,
    runtime: &Handle,
    rows: &mut dyn Rows,
) -> Result<(), Fault> {
    let mut records = Records::open(file, spec, runtime)?;
    is_same_header(file, table, &records.names)?;
    let mut batch = TextBatch::new(file.key(), &table.schema, &records.names, spec);
    while records.advance()? {
        if records.is_header() {
            let fields: Vec<String> =
                records.record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let why = format!("{}: a header again, {}", at_line(file.key(), records.line), listed(&fields));
            return Err(Fault::new(Reason::TransformHeader, why));
        }
        match records.misfit() {
            Some(misfit) => rows.misfit(misfit)?,
            None => batch.push(&records),
        }
        if batch.is_full() {
            batch.flush(rows)?;
        }
    }
    batch.flush(rows)
}

/// Rows of text on their way to becoming a batch.
struct TextBatch<'s> {
    key: String,
    schema: SchemaRef,
    /// The header's field that each column comes from.
    fields: Vec<Option<usize>>,
    null: &'s [String],
    texts: Vec<StringBuilder>,
    lines: Vec<u64>,
    bytes: usize,
}

impl<'s> TextBatch<'s> {
    fn new(key: &str, schema: &SchemaRef, names: &[String], spec: &'s InputSpec) -> Self {
        let fields = schema.fields().iter().map(|field| names.iter().position(|name| name == field.name())).collect();
        let texts = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        Self {
            key: key.to_owned(),
            schema: schema.clone(),
            fields,
            null: &spec.null,
            texts,
            lines: Vec::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, records: &Records) {
        self.lines.push(records.line);
        self.bytes += records.record.as_slice().len();
        for (field, texts) in self.fields.iter().zip(&mut self.texts) {
            let text =
                field.and_then(|field| records.record.get(field)).and_then(|text| std::str::from_utf8(text).ok());
            match text {
                Some(text) if !self.null.iter().any(|null| null == text) => texts.append_value(text),
                _ => texts.append_null(),
            }
        }
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn flush(&mut self, rows: &mut dyn Rows) -> Result<(), Fault> {
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        if lines.is_empty() {
            return Ok(());
        }
        let texts: Vec<StringArray> = self.texts.iter_mut().map(StringBuilder::finish).collect();
        let columns = texts.iter().zip(self.schema.fields()).map(|(text, field)| typed(text, field.data_type()));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let fits: Vec<Option<usize>> = (0..lines.len()).map(|row| unfit(&texts, &columns, row)).collect();
        for (row, column) in fits.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?))) {
            rows.misfit(self.misfit(&texts, lines[row], row, column))?;
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(internal)?;
        let keep: BooleanArray = fits.iter().map(|column| Some(column.is_none())).collect();
        let batch = if keep.false_count() > 0 { filter_record_batch(&batch, &keep).map_err(internal)? } else { batch };
        rows.batch(batch)
    }

    fn misfit(&self, texts: &[StringArray], line: u64, row: usize, column: usize) -> Misfit {
        let field = self.schema.field(column);
        let why = format!("`{}` is `{}`, and no {}", field.name(), texts[column].value(row), field.data_type());
        let value = |text: &StringArray| if text.is_null(row) { Value::Null } else { text.value(row).into() };
        let fields = self.schema.fields().iter().zip(texts).map(|(field, text)| (field.name().clone(), value(text)));
        let row = Value::Object(fields.collect::<Map<_, _>>());
        Misfit { place: at_line(&self.key, line), reason: Reason::TransformValue, why, row }
    }
}

/// The first column whose text did not become a value.
fn unfit(texts: &[StringArray], columns: &[ArrayRef], row: usize) -> Option<usize> {
    texts.iter().zip(columns).position(|(text, column)| text.is_valid(row) && column.is_null(row))
}

/// The values that a column's texts say; null where they say none of this type.
fn typed(text: &StringArray, kind: &arrow::datatypes::DataType) -> Result<ArrayRef, Fault> {
    if text.null_count() == text.len() {
        return Ok(new_null_array(kind, text.len()));
    }
    cast_with_options(text, kind, &CastOptions { safe: true, ..CastOptions::default() }).map_err(internal)
}

fn internal(error: arrow::error::ArrowError) -> Fault {
    Fault::of_engine(error.into())
}

fn is_same_header(file: &InputFile, table: &Table, names: &[String]) -> Result<(), Fault> {
    let Some((first, header)) = &table.header else { return Ok(()) };
    let missing: Vec<&str> = header.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
    let more: Vec<&str> = names.iter().filter(|name| !header.contains(name)).map(String::as_str).collect();
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    let lacks = if missing.is_empty() { String::new() } else { format!(", lacks {}", listed(&missing)) };
    let has = if more.is_empty() { String::new() } else { format!(", has {} instead", listed(&more)) };
    let message = format!("the header of `{}` is not that of `{first}`{lacks}{has}", file.key());
    Err(Fault::new(Reason::TransformHeader, message))
}
