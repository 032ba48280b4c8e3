//! What the dataset's columns are called and hold, read from the beginning of its first object of a known format, or from the end
//! where the format keeps it there. It is a look at a sample, for people and later steps, and no promise about the rest.

mod json;
mod parquet;
mod text;

use honk_storage::{ByteRange, ObjectInfo, StorageError, Store};
use serde::Serialize;

/// Bytes of an object that are looked at.
const SAMPLE: u64 = 256 << 10;

/// The largest footer of a Parquet file that is read.
const MAX_FOOTER: u64 = 8 << 20;

/// Columns that are told; a schema is part of the run's record and must stay small.
const MAX_COLUMNS: usize = 100;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Separated values with a header.
    Csv,
    /// A JSON document a line.
    Jsonl,
    /// An array of JSON objects.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// A column: its name, and the simplest type that all its sampled values have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name; of a nested one the whole path, with dots.
    pub name: String,
    /// `boolean`, `integer`, `number`, `date`, `timestamp`, `text`, …; `null` where there was no value.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a value may be missing, or one was.
    pub nullable: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// The object that was looked at, relative to the dataset.
    pub object: String,
    /// Its format.
    pub format: Format,
    /// The columns, in the order of the file where it has one.
    pub columns: Vec<Column>,
    /// Columns beyond those told.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
    /// Rows of the object, where it says so by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The format that a key's ending names. A compressed object is not looked into.
fn format_of(key: &str) -> Option<Format> {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    match name.rsplit_once('.')?.1 {
        "csv" | "tsv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "json" => Some(Format::Json),
        "parquet" => Some(Format::Parquet),
        _ => None,
    }
}

/// Looks into the first of `objects` whose format is known. Nothing if there is none, or if it is not what its key says.
pub async fn infer(store: &Store, prefix: &str, objects: &[ObjectInfo]) -> Result<Option<Schema>, StorageError> {
    let mut filled = objects.iter().filter(|object| object.size > 0);
    let Some((object, format)) = filled.find_map(|object| Some((object, format_of(&object.key)?))) else {
        return Ok(None);
    };
    let found = match format {
        Format::Parquet => parquet_of(store, object).await?,
        Format::Csv | Format::Jsonl | Format::Json => text_of(store, object, format).await?,
    };
    let Some((mut columns, rows)) = found else { return Ok(None) };
    let more = columns.len().saturating_sub(MAX_COLUMNS);
    columns.truncate(MAX_COLUMNS);
    let object = object.key.strip_prefix(prefix).unwrap_or(&object.key).to_owned();
    Ok(Some(Schema { object, format, columns, more, rows }))
}

/// The columns that the beginning of a text shows.
async fn text_of(
    store: &Store,
    object: &ObjectInfo,
    format: Format,
) -> Result<Option<(Vec<Column>, Option<u64>)>, StorageError> {
    let bytes = read(store, object, 0, object.size.min(SAMPLE)).await?;
    let whole = bytes.len() as u64 == object.size;
    let columns = match format {
        Format::Csv => text::columns(&bytes, whole),
        Format::Json => json::columns_of_array(&bytes),
        Format::Jsonl | Format::Parquet => json::columns_of_lines(&bytes, whole),
    };
    Ok(columns.map(|columns| (columns, None)))
}

async fn read(store: &Store, object: &ObjectInfo, start: u64, length: u64) -> Result<Vec<u8>, StorageError> {
    let range = (length < object.size).then_some(ByteRange { start, length });
    Ok(store.get(&object.key, range, None).await?.collect().await?.to_vec())
}

/// The columns and rows that a Parquet file's footer tells; its length stands in the file's last 8 bytes.
async fn parquet_of(store: &Store, object: &ObjectInfo) -> Result<Option<(Vec<Column>, Option<u64>)>, StorageError> {
    let tail = read(store, object, object.size.saturating_sub(8), object.size.min(8)).await?;
    let Some(length) = parquet::footer_length(&tail).filter(|length| *length <= MAX_FOOTER) else { return Ok(None) };
    let Some(start) = object.size.checked_sub(length + 8) else { return Ok(None) };
    let footer = read(store, object, start, length).await?;
    Ok(parquet::schema(&footer).map(|(columns, rows)| (columns, Some(rows))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_the_ending_of_a_key() {
        assert_eq!(format_of("a/b.CSV"), Some(Format::Csv));
        assert_eq!(format_of("part-0.parquet"), Some(Format::Parquet));
        assert_eq!(format_of("x.ndjson"), Some(Format::Jsonl));
        for other in ["a.csv/b", "a.csv.gz", "csv", "_SUCCESS", "a."] {
            assert_eq!(format_of(other), None, "{other}");
        }
    }
}
