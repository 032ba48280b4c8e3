//! The manifest: which files there are, of what format, with which checksums; and `manifest.checksum` beside it, the MD5 of itself.

use bytes::Bytes;
use honk_storage::Store;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Fault, InventoryError, failed};
use crate::rows::{Columns, Format};

/// A billion objects are some thousand files of two hundred bytes each in the manifest.
const MOST_BYTES: u64 = 16 << 20;

/// What a manifest says.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) created_ms: Option<i64>,
    pub(crate) format: Format,
    pub(crate) files: Vec<DataFile>,
}

/// One of the files.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DataFile {
    /// In the bucket that the manifest is in.
    pub(crate) key: String,
    /// In hex.
    #[serde(rename = "MD5checksum")]
    pub(crate) md5: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    source_bucket: String,
    file_format: String,
    file_schema: String,
    #[serde(default)]
    creation_timestamp: Value,
    files: Vec<DataFile>,
}

/// Reads and checks the manifest of an inventory of `bucket`.
pub(crate) async fn read(store: &Store, key: &str, bucket: &str) -> Result<Manifest, InventoryError> {
    let bytes = small(store, key).await?;
    let folder = key.rfind('/').map_or("", |end| &key[..=end]);
    let beside = small(store, &format!("{folder}manifest.checksum")).await?;
    parse(&bytes, &String::from_utf8_lossy(&beside), bucket).map_err(|fault| fault.of(store, key))
}

fn parse(bytes: &[u8], md5: &str, bucket: &str) -> Result<Manifest, Fault> {
    check(Md5::digest(bytes).as_slice(), md5)?;
    let document: Document = serde_json::from_slice(bytes).map_err(|error| Fault::NoManifest(error.to_string()))?;
    if document.source_bucket != bucket {
        return Err(Fault::OtherBucket(document.source_bucket));
    }
    let format = match document.file_format.to_ascii_lowercase().as_str() {
        "csv" => Format::Csv(Columns::of_schema(&document.file_schema)?),
        "parquet" => Format::Parquet,
        _ => return Err(Fault::Format(document.file_format)),
    };
    let created = &document.creation_timestamp;
    let created_ms = created.as_i64().or_else(|| created.as_str()?.parse().ok());
    Ok(Manifest { created_ms, format, files: document.files })
}

/// Compares an MD5 with one in hex, as it was announced.
pub(crate) fn check(md5: &[u8], announced: &str) -> Result<(), Fault> {
    let (found, announced) = (hex::encode(md5), announced.trim());
    if announced.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(Fault::Checksum { announced: announced.chars().take(64).collect(), found })
}

async fn small(store: &Store, key: &str) -> Result<Bytes, InventoryError> {
    let download = store.get(key, None, None).await.map_err(|error| failed(error, store, key))?;
    match download.head.size {
        0..=MOST_BYTES => Ok(download.collect().await?),
        size => Err(Fault::TooLarge(size).of(store, key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "sourceBucket": "b", "destinationBucket": "arn:aws:s3:::other", "version": "2016-11-30",
            "creationTimestamp": "1514944800000", "fileFormat": "CSV", "fileSchema": "Bucket, Key, Size, ETag",
            "files": [{ "key": "data/1.csv.gz", "size": 3, "MD5checksum": "f1" }],
        })
    }

    fn parsed(document: &Value) -> Result<Manifest, Fault> {
        let bytes = document.to_string();
        parse(bytes.as_bytes(), &format!("{}\n", hex::encode(Md5::digest(&bytes))), "b")
    }

    #[test]
    fn a_manifest_says_what_its_files_are() {
        let manifest = parsed(&document()).unwrap();
        assert_eq!((manifest.created_ms, manifest.files[0].md5.as_str()), (Some(1_514_944_800_000), "f1"));
        assert!(matches!(manifest.format, Format::Csv(_)));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let with = |name: &str, value: &str| {
            let mut document = document();
            document[name] = json!(value);
            parsed(&document).unwrap_err()
        };
        assert_eq!(with("fileFormat", "ORC"), Fault::Format("ORC".into()));
        assert_eq!(with("sourceBucket", "c"), Fault::OtherBucket("c".into()));
        assert_eq!(with("fileSchema", "Bucket, Key, ETag"), Fault::NoColumn("Size"));
        assert!(matches!(with("files", "none"), Fault::NoManifest(_)));
        assert!(matches!(parse(b"{}", "0123", "b"), Err(Fault::Checksum { .. })));
    }
}
