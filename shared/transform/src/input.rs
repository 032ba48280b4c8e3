//! Which objects the source has, and of what form each is: by its key's extensions, else by its first bytes.
//!
//! Empty objects and those whose name begins with `_` or `.` (`_SUCCESS`, `.part.crc`) are what other programs leave beside data and are
//! not read; everything else must be.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::read::MultiGzDecoder;
use futures_util::TryStreamExt as _;
use honk_protocol::dataset::Side;
use honk_protocol::reason::Reason;
use honk_protocol::transform::{Format, InputSpec};
use honk_storage::listing::{Survey, Surveyor};
use honk_storage::{ObjectInfo, Store};
use tokio::runtime::Handle;

use crate::fault::{Fault, truncated};
use crate::store::{SourceObject, fault_in};

/// Keys per listing request.
const PAGE: i32 = 1_000;
/// Bytes that are looked at where the key does not tell.
const PEEK: u64 = 4_096;
/// Bytes that a reader of text takes at a time.
const BUFFER: usize = 256 << 10;

/// How an object's bytes are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
}

/// One object of the source that has rows.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// The object.
    pub object: SourceObject,
    /// Its form.
    pub format: Format,
    /// Between the fields, where it is CSV.
    pub delimiter: u8,
    codec: Codec,
}

impl InputFile {
    /// Its full key.
    pub fn key(&self) -> &str {
        &self.object.info.key
    }

    /// Its text, unwrapped. Only to be read outside of asynchronous code.
    pub fn text(&self, runtime: &Handle) -> Result<Box<dyn BufRead + Send>, Fault> {
        let bytes = self.object.bytes(runtime.clone());
        Ok(match self.codec {
            Codec::Plain => buffered(bytes),
            Codec::Gzip => buffered(MultiGzDecoder::new(bytes)),
            Codec::Zstd => buffered(zstd::Decoder::new(bytes).map_err(|error| self.broken(&error))?),
        })
    }

    /// The same object, whose bytes do not count as read: for looking into it beforehand.
    #[must_use]
    pub fn apart(&self) -> Self {
        let object = SourceObject { read: Arc::default(), ..self.object.clone() };
        Self { object, ..self.clone() }
    }

    /// What an error while reading its text means.
    pub fn broken(&self, error: &std::io::Error) -> Fault {
        fault_in(error).unwrap_or_else(|| truncated(self.key(), &error.to_string()))
    }
}

fn buffered(reader: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(BUFFER, reader))
}

#[cfg(test)]
impl InputFile {
    /// A file that is never asked for.
    pub fn sample(key: &str) -> Self {
        let stores = honk_storage::Stores::new(honk_storage::StorageConfig::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = runtime.block_on(stores.open(&honk_storage::Place::new("bucket", "").at("http://127.0.0.1:9")));
        let etag = honk_storage::Etag::new("none");
        let info = ObjectInfo { key: key.to_owned(), size: 1, etag, last_modified: None };
        let object = SourceObject { store: store.unwrap(), info: Arc::new(info), read: Arc::default() };
        Self { object, format: Format::Json, delimiter: b',', codec: Codec::Plain }
    }
}

/// Everything below `prefix` that has rows, in the order of the keys, and what the whole listing comes to.
pub async fn list(store: &Store, prefix: &str, spec: &InputSpec) -> Result<(Vec<InputFile>, Survey), Fault> {
    let read = Arc::new(AtomicU64::new(0));
    let (mut files, mut surveyor) = (Vec::new(), Surveyor::default());
    let mut pages = Box::pin(store.list(prefix, PAGE));
    while let Some(page) = pages.try_next().await.map_err(|error| Fault::of_store(&error, Side::Source))? {
        for info in page {
            let relative = info.key.strip_prefix(prefix).unwrap_or(&info.key);
            surveyor.add(relative, info.size, &info.etag);
            if !has_rows(&info, relative) {
                continue;
            }
            let object = SourceObject { store: store.clone(), info: Arc::new(info), read: Arc::clone(&read) };
            files.push(recognised(object, spec).await?);
        }
    }
    if files.is_empty() {
        let message = format!("there is no object with rows below `{prefix}` of `{}`", store.bucket());
        return Err(Fault::new(Reason::SourceEmpty, message));
    }
    Ok((files, surveyor.finish()))
}

fn has_rows(info: &ObjectInfo, relative: &str) -> bool {
    let hidden = relative.split('/').any(|part| part.starts_with(['_', '.']));
    if hidden && info.size > 0 {
        tracing::info!(key = info.key, "not read, because its name begins with `_` or `.`");
    }
    info.size > 0 && !hidden
}

async fn recognised(object: SourceObject, spec: &InputSpec) -> Result<InputFile, Fault> {
    let name = object.info.key.to_ascii_lowercase();
    let (mut codec, inner) = unwrapped(&name);
    let mut format = spec.format.or_else(|| by_extension(inner));
    if format.is_none() {
        let head = object.range(0, object.info.size.min(PEEK)).await?;
        codec = by_magic(&head);
        format = by_content(codec, &head);
    }
    let delimiter = spec.delimiter.and_then(|own| u8::try_from(own).ok());
    let delimiter = delimiter.unwrap_or(if extension(inner) == Some("tsv") { b'\t' } else { b',' });
    let Some(format) = format else {
        let message = format!("`{}` is not CSV, JSON or Parquet, as far as can be seen", object.info.key);
        return Err(Fault::new(Reason::TransformInputUnknown, message));
    };
    Ok(InputFile { object, format, delimiter, codec })
}

fn unwrapped(name: &str) -> (Codec, &str) {
    for (extension, codec) in [(".gz", Codec::Gzip), (".zst", Codec::Zstd), (".zstd", Codec::Zstd)] {
        if let Some(inner) = name.strip_suffix(extension) {
            return (codec, inner);
        }
    }
    (Codec::Plain, name)
}

fn extension(name: &str) -> Option<&str> {
    Some(name.rsplit_once('.')?.1)
}

fn by_extension(name: &str) -> Option<Format> {
    match extension(name)? {
        "csv" | "tsv" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        "parquet" | "pq" => Some(Format::Parquet),
        _ => None,
    }
}

fn by_magic(head: &[u8]) -> Codec {
    match head {
        [0x1f, 0x8b, ..] => Codec::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Codec::Zstd,
        _ => Codec::Plain,
    }
}

fn by_content(codec: Codec, head: &[u8]) -> Option<Format> {
    let mut start = Vec::new();
    let reader: Box<dyn Read> = match codec {
        Codec::Plain => Box::new(head),
        Codec::Gzip => Box::new(MultiGzDecoder::new(head)),
        Codec::Zstd => Box::new(zstd::Decoder::new(head).ok()?),
    };
    // The head ends within the compressed stream; what came out before that is enough.
    drop(reader.take(PEEK).read_to_end(&mut start));
    if start.starts_with(b"PAR1") && codec == Codec::Plain {
        return Some(Format::Parquet);
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    match text.first()? {
        b'{' | b'[' => Some(Format::Json),
        _ => {
            let line = text.split(|byte| *byte == b'\n').next()?;
            let is_text = line.iter().all(|byte| *byte >= b' ' || *byte == b'\t' || *byte == b'\r');
            (is_text && line.contains(&b',')).then_some(Format::Csv)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_extension_is_known_by_how_it_begins() {
        assert_eq!(by_content(Codec::Plain, b"PAR1....."), Some(Format::Parquet));
        assert_eq!(by_content(Codec::Plain, b"\xef\xbb\xbf [{"), Some(Format::Json));
        assert_eq!(by_content(Codec::Plain, b"a,b\r\n1,2"), Some(Format::Csv));
        assert_eq!(by_content(Codec::Plain, b"\x89PNG\r\n,"), None);
        let wrapped = zstd::encode_all(&b"{\"a\":1}\n"[..], 1).unwrap();
        assert_eq!(by_magic(&wrapped), Codec::Zstd);
        assert_eq!(by_content(Codec::Zstd, &wrapped), Some(Format::Json));
    }

    #[test]
    fn extensions_are_read_from_the_outside_in() {
        assert_eq!(unwrapped("a/b.csv.gz"), (Codec::Gzip, "a/b.csv"));
        assert_eq!(by_extension("a/b.csv"), Some(Format::Csv));
        assert_eq!(by_extension("a.b/c"), None);
    }
}
