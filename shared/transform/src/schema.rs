//! One table out of many objects: what columns each has, and the columns and types that all of them fit.
//!
//! Parquet says it itself, and every object is asked. Of text the first rows of some objects are looked at; a later row that does not fit
//! is named when it is met, so that a wrong guess costs a message and never a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_protocol::reason::Reason;
use honk_protocol::transform::{Format, InputSpec};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::fault::Fault;
use crate::guess::Guess;
use crate::input::InputFile;
use crate::read::csv::Records;
use crate::read::json_rows::JsonRows;
use crate::read::parquet;

/// Objects of text that are looked into.
const SAMPLED_OBJECTS: usize = 64;
/// Rows of each.
const SAMPLED_ROWS: usize = 2_000;
/// Footers read at a time.
const FOOTERS: usize = 16;

/// The table that all objects make together.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its columns.
    pub schema: SchemaRef,
    /// The first CSV object and its header, which all others must have.
    pub header: Option<(String, Vec<String>)>,
}

/// What one object says of its columns.
#[derive(Debug)]
struct Seen {
    key: String,
    fields: Fields,
    text: bool,
}

/// Finds the table. `types` is what the workflow says of columns of text.
pub async fn table(files: &[InputFile], spec: &InputSpec, types: &BTreeMap<String, DataType>) -> Result<Table, Fault> {
    let chosen = chosen(files);
    let header = first_header(files, spec).await?;
    let seen: Vec<Seen> =
        stream::iter(chosen.into_iter().map(|file| look(file, spec))).buffered(FOOTERS).try_collect().await?;
    let mut columns = Columns::default();
    for object in &seen {
        for field in &object.fields {
            columns.add(object, field, types)?;
        }
    }
    Ok(Table { schema: columns.finish(types), header })
}

/// All of Parquet, and of text a number of objects, evenly spread.
fn chosen(files: &[InputFile]) -> Vec<InputFile> {
    let text = files.iter().filter(|file| file.format != Format::Parquet).count();
    let step = text.div_ceil(SAMPLED_OBJECTS).max(1);
    let mut met = 0;
    let mut is_chosen = |file: &InputFile| {
        met += usize::from(file.format != Format::Parquet);
        file.format == Format::Parquet || (met - 1).is_multiple_of(step)
    };
    files.iter().filter(|file| is_chosen(file)).map(InputFile::apart).collect()
}

async fn first_header(files: &[InputFile], spec: &InputSpec) -> Result<Option<(String, Vec<String>)>, Fault> {
    let Some(file) = files.iter().find(|file| file.format == Format::Csv).map(InputFile::apart) else {
        return Ok(None);
    };
    let spec = spec.clone();
    blocking(move |runtime| {
        let names = Records::open(&file, &spec, runtime)?.names;
        Ok(Some((file.key().to_owned(), names)))
    })
    .await
}

async fn look(file: InputFile, spec: &InputSpec) -> Result<Seen, Fault> {
    let key = file.key().to_owned();
    let (fields, text) = match file.format {
        Format::Parquet => (parquet::schema(&file).await?.fields().clone(), false),
        format => {
            let spec = spec.clone();
            let look = if format == Format::Csv { csv_fields } else { json_fields };
            (blocking(move |runtime| look(&file, &spec, runtime)).await?, true)
        }
    };
    Ok(Seen { key, fields, text })
}

/// Runs what reads synchronously on a thread of its own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Handle) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || work(&runtime)).await;
    done.map_err(|error| Fault { again: true, ..Fault::new(Reason::TransformFailed, error.to_string()) })?
}

fn csv_fields(file: &InputFile, spec: &InputSpec, runtime: &Handle) -> Result<Fields, Fault> {
    let mut records = Records::open(file, spec, runtime)?;
    let mut guesses = vec![Guess::default(); records.names.len()];
    for _row in 0..SAMPLED_ROWS {
        if !records.advance()? {
            break;
        }
        let fields = records.record.iter().map(std::str::from_utf8);
        for (guess, text) in guesses.iter_mut().zip(fields) {
            if let Ok(text) = text
                && !spec.null.iter().any(|null| null == text)
                && records.record.len() == records.names.len()
            {
                guess.see(text);
            }
        }
    }
    Ok(records.names.iter().zip(guesses).map(|(name, guess)| Field::new(name, guess.kind(), true)).collect())
}

/// In the order of their names: JSON gives no other that all objects agree on.
fn json_fields(file: &InputFile, spec: &InputSpec, runtime: &Handle) -> Result<Fields, Fault> {
    let mut rows = JsonRows::new(file, file.text(runtime)?, spec.max_row_bytes);
    let mut values: Vec<Result<Value, arrow::error::ArrowError>> = Vec::new();
    while values.len() < SAMPLED_ROWS && rows.advance()? {
        values.extend(serde_json::from_slice(&rows.row).ok().filter(Value::is_object).map(Ok));
    }
    let inferred = arrow::json::reader::infer_json_schema_from_iterator(values.into_iter());
    let inferred =
        inferred.map_err(|error| Fault::new(Reason::TransformSchema, format!("`{}`: {error}", file.key())))?;
    let mut fields: Vec<_> = inferred.fields().iter().cloned().collect();
    fields.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(Fields::from(fields))
}

/// The columns met so far, in the order in which they were met.
#[derive(Default)]
struct Columns {
    fields: Vec<(Field, String, bool)>,
}

impl Columns {
    fn add(&mut self, object: &Seen, field: &Field, types: &BTreeMap<String, DataType>) -> Result<(), Fault> {
        let own = Field::new(field.name(), field.data_type().clone(), true);
        let Some((known, first, text)) = self.fields.iter_mut().find(|(known, ..)| known.name() == field.name()) else {
            self.fields.push((own, object.key.clone(), object.text));
            return Ok(());
        };
        let both_text = *text && object.text;
        let told = types.contains_key(field.name());
        let Some(kind) = wider(known.data_type(), field.data_type(), both_text).or(told.then_some(DataType::Utf8))
        else {
            let message = format!(
                "the column `{}` is {} in `{first}` and {} in `{}`: one table has one type; say it in `input: {{ columns: … }}`, or migrate them apart",
                field.name(),
                known.data_type(),
                field.data_type(),
                object.key
            );
            return Err(Fault::new(Reason::TransformSchema, message));
        };
        known.set_data_type(kind);
        *text = both_text;
        Ok(())
    }

    fn finish(self, types: &BTreeMap<String, DataType>) -> SchemaRef {
        let fields = self.fields.into_iter().map(|(field, ..)| match types.get(field.name()) {
            Some(kind) => field.with_data_type(kind.clone()),
            None if field.data_type() == &DataType::Null => field.with_data_type(DataType::Utf8),
            None => field,
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// A type that takes the values of both, without loss; among guesses from text, text itself is one.
fn wider(one: &DataType, other: &DataType, text: bool) -> Option<DataType> {
    use DataType::{
        Date32, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, Utf8,
        Utf8View,
    };
    let rank = |kind: &DataType| [Int8, Int16, Int32, Int64].iter().position(|other| other == kind);
    let unsigned =
        |kind: &DataType| [UInt8, UInt16, UInt32].iter().position(|other| other == kind).map(|rank| rank + 1);
    match (one, other) {
        (one, other) if one == other => Some(one.clone()),
        (Null, kind) | (kind, Null) | (Date32, kind @ Timestamp(..)) | (kind @ Timestamp(..), Date32) => {
            Some(kind.clone())
        }
        (Float32 | Float64, Float32 | Float64) | (Float64, Int8 | Int16 | Int32) | (Int8 | Int16 | Int32, Float64) => {
            Some(Float64)
        }
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => Some(LargeUtf8),
        (Int64, Float64) | (Float64, Int64) => text.then_some(Float64),
        (one, other) => {
            let ranks = rank(one).or_else(|| unsigned(one)).zip(rank(other).or_else(|| unsigned(other)));
            let whole = ranks.and_then(|(one, other)| [Int8, Int16, Int32, Int64].get(one.max(other)).cloned());
            whole.or_else(|| text.then_some(Utf8).filter(|_| !one.is_nested() && !other.is_nested()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_only_where_no_value_is_lost() {
        use DataType::{Float64, Int32, Int64, UInt32, Utf8};
        for (one, other, text, expected) in [
            (Int32, Int64, false, Some(Int64)),
            (UInt32, Int32, false, Some(Int64)),
            (Int64, Float64, false, None),
            (Int64, Float64, true, Some(Float64)),
            (Int64, Utf8, false, None),
            (Int64, Utf8, true, Some(Utf8)),
        ] {
            assert_eq!(wider(&one, &other, text), expected, "{one} {other}");
            assert_eq!(wider(&other, &one, text), expected, "{other} {one}");
        }
    }
}
