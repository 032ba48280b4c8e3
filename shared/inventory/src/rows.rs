//! The rows of a file: CSV under gzip, whose columns the manifest names and whose keys are URL-encoded, or Parquet, which names its own.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use honk_storage::decoded;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use tokio_util::sync::CancellationToken;

use crate::error::Fault;
use crate::sample::Sampler;

/// How the files are written.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    Csv(Columns),
    Parquet,
}

/// Where in a row of CSV there is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    bucket: usize,
    key: usize,
    size: usize,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
}

impl Columns {
    /// Of the `fileSchema` of a manifest.
    pub(crate) fn of_schema(schema: &str) -> Result<Self, Fault> {
        let find = |name: &str| schema.split(',').position(|column| column.trim().eq_ignore_ascii_case(name));
        let need = |name| find(name).ok_or(Fault::NoColumn(name));
        Ok(Self {
            bucket: need("Bucket")?,
            key: need("Key")?,
            size: need("Size")?,
            is_latest: find("IsLatest"),
            is_delete_marker: find("IsDeleteMarker"),
        })
    }
}

/// Reads CSV as it comes.
pub(crate) fn csv(compressed: impl Read, columns: Columns, sampler: &mut Sampler) -> Result<(), Fault> {
    let plain = MultiGzDecoder::new(compressed);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(plain);
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(unreadable)? {
        let is = |column: Option<usize>| column.and_then(|column| row.get(column)).map(|text| text == "true");
        let of_bucket = row.get(columns.bucket) == Some(sampler.scope.bucket.as_str());
        if !of_bucket || is(columns.is_latest) == Some(false) || is(columns.is_delete_marker) == Some(true) {
            continue;
        }
        let key = row.get(columns.key).and_then(decoded);
        let size = row.get(columns.size).and_then(|size| size.parse().ok());
        let (Some(key), Some(size)) = (key, size) else {
            return Err(unreadable(format!("row {} has no key or no size", reader.position().record())));
        };
        sampler.add(&key, size);
    }
    Ok(())
}

/// What is read of each row.
const COLUMNS: [&str; 5] = ["bucket", "key", "size", "is_latest", "is_delete_marker"];

/// Reads Parquet, page by page, until `stop`.
pub(crate) fn parquet(file: File, sampler: &mut Sampler, stop: &CancellationToken) -> Result<(), Fault> {
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    let schema = reader.metadata().file_metadata().schema();
    let wanted = schema.get_fields().iter().filter(|field| COLUMNS.contains(&field.name()));
    let wanted: Vec<_> = wanted.cloned().collect();
    if let Some(missing) = COLUMNS[..3].iter().find(|name| wanted.iter().all(|field| field.name() != **name)) {
        return Err(Fault::NoColumn(missing));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(wanted).build().map_err(unreadable)?;
    for row in reader.get_row_iter(Some(projection)).map_err(unreadable)? {
        if stop.is_cancelled() {
            break;
        }
        add(&row.map_err(unreadable)?, sampler)?;
    }
    Ok(())
}

fn add(row: &Row, sampler: &mut Sampler) -> Result<(), Fault> {
    let (mut key, mut size) = (None, None);
    for (name, field) in row.get_column_iter() {
        match (name.as_str(), field) {
            ("bucket", field) if text(field) != Some(&sampler.scope.bucket) => return Ok(()),
            ("is_latest", Field::Bool(false)) | ("is_delete_marker", Field::Bool(true)) => return Ok(()),
            ("key", field) => key = text(field),
            ("size", Field::Long(bytes)) => size = u64::try_from(*bytes).ok(),
            _ => {}
        }
    }
    let (Some(key), Some(size)) = (key, size) else {
        return Err(unreadable("a row has no key or no size"));
    };
    sampler.add(key, size);
    Ok(())
}

fn text(field: &Field) -> Option<&str> {
    match field {
        Field::Str(text) => Some(text),
        Field::Bytes(bytes) => bytes.as_utf8().ok(),
        _ => None,
    }
}

fn unreadable(error: impl Into<Box<dyn Error>>) -> Fault {
    Fault::Unreadable(error.into().to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::Scope;

    fn read(schema: &str, rows: &str) -> Result<Vec<(String, u64)>, Fault> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(rows.as_bytes()).unwrap();
        let compressed = gzip.finish().unwrap();
        let mut sampler = Sampler::new(Scope { bucket: "b".into(), prefix: "in/".into() }, 100);
        csv(compressed.as_slice(), Columns::of_schema(schema)?, &mut sampler)?;
        Ok(sampler.finish(None).sample)
    }

    #[test]
    fn rows_of_others_old_versions_and_delete_markers_are_left_out() {
        let rows = concat!(
            "\"b\",\"in/a+b%2Bc%25%C3%A9\",\"v2\",\"true\",\"false\",\"3\"\n",
            "\"b\",\"in/a+b%2Bc%25%C3%A9\",\"v1\",\"false\",\"false\",\"4\"\n",
            "\"b\",\"in/gone\",\"v1\",\"true\",\"true\",\"\"\n",
            "\"other\",\"in/x\",\"\",\"true\",\"false\",\"5\"\n",
            "\"b\",\"out/x\",\"\",\"true\",\"false\",\"6\"\n",
        );
        let schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size";
        assert_eq!(read(schema, rows), Ok(vec![("a b+c%é".to_owned(), 3)]));
    }

    #[test]
    fn a_row_that_lacks_something_is_named() {
        let fault = |rows| read("Bucket, Key, Size", rows).unwrap_err().to_string();
        assert!(fault("\"b\",\"in/a\",\"1\"\n\"b\",\"in/b\",\"many\"\n").contains("row 2 has"));
        assert!(fault("b,in/a,1\nb,in/b\n").contains("cannot be read"), "rows are all as long");
    }
}
