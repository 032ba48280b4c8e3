//! Rows as the bytes of one file. Nothing of the hour, the machine or the attempt is among them, and rows are written in batches of one
//! size, because where a batch ends shows in Parquet's pages.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use flate2::write::GzEncoder;
use honk_protocol::transform::{Compression, Format};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as ParquetCompression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::fault::Fault;
use crate::read::BATCH_ROWS;

/// Who wrote a Parquet file: no version, which would change the bytes with every release.
const CREATED_BY: &str = "honk-transform";
/// Rows of a row group at most.
const GROUP_ROWS: usize = 1 << 20;
/// Bytes of a row group, roughly, after which it ends; what the writer holds in memory.
const GROUP_BYTES: usize = 32 << 20;

/// The form of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What they are.
    pub format: Format,
    /// How they are compressed.
    pub compression: Compression,
}

impl Form {
    /// What their names end with.
    pub fn extension(self) -> String {
        match (self.format, self.compression) {
            (Format::Parquet, _) | (_, Compression::None | Compression::Snappy) => self.format.word().to_owned(),
            (format, Compression::Zstd) => format!("{}.zst", format.word()),
            (format, Compression::Gzip) => format!("{}.gz", format.word()),
        }
    }

    fn parquet(self) -> WriterProperties {
        let compression = match self.compression {
            Compression::Zstd => ParquetCompression::ZSTD(ZstdLevel::default()),
            Compression::Snappy => ParquetCompression::SNAPPY,
            Compression::Gzip => ParquetCompression::GZIP(GzipLevel::default()),
            Compression::None => ParquetCompression::UNCOMPRESSED,
        };
        WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(compression)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build()
    }
}

/// Bytes that were written and not yet sent.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Text on its way through a compressor, if any.
enum Text {
    Plain(Shared),
    Gzip(GzEncoder<Shared>),
    Zstd(zstd::Encoder<'static, Shared>),
}

impl Text {
    fn new(compression: Compression, shared: Shared) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::None | Compression::Snappy => Self::Plain(shared),
            // Its header has no time, and no name.
            Compression::Gzip => Self::Gzip(GzEncoder::new(shared, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(shared, 0)?),
        })
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(writer) => writer,
            Self::Gzip(writer) => writer,
            Self::Zstd(writer) => writer,
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(writer) => writer.finish().map(drop),
            Self::Zstd(writer) => writer.finish().map(drop),
        }
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner().flush()
    }
}

enum Writer {
    Parquet(Box<ArrowWriter<Shared>>),
    Csv(Box<arrow::csv::Writer<Text>>),
    Json(Box<arrow::json::LineDelimitedWriter<Text>>),
}

/// One file that is being written.
pub struct Encoder {
    writer: Writer,
    shared: Shared,
    batches: BatchCoalescer,
    empty: RecordBatch,
}

impl Encoder {
    /// A file of this form, of rows with these columns.
    pub fn new(form: Form, schema: &SchemaRef) -> Result<Self, Fault> {
        let shared = Shared::default();
        let text = || Text::new(form.compression, shared.clone()).map_err(|error| machine(&error));
        let writer = match form.format {
            Format::Parquet => {
                let writer = ArrowWriter::try_new(shared.clone(), schema.clone(), Some(form.parquet()));
                Writer::Parquet(Box::new(writer.map_err(of_parquet)?))
            }
            Format::Csv => Writer::Csv(Box::new(arrow::csv::Writer::new(text()?))),
            Format::Json => {
                let builder = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
                Writer::Json(Box::new(builder.build(text()?)))
            }
        };
        let empty = RecordBatch::new_empty(schema.clone());
        Ok(Self { writer, shared, batches: BatchCoalescer::new(schema.clone(), BATCH_ROWS), empty })
    }

    /// Takes rows; the bytes that came of them, and of earlier ones, are to be sent.
    pub fn write(&mut self, batch: RecordBatch) -> Result<Vec<u8>, Fault> {
        self.batches.push_batch(batch).map_err(of_arrow)?;
        self.write_completed()?;
        Ok(self.shared.take())
    }

    fn write_completed(&mut self) -> Result<(), Fault> {
        while let Some(batch) = self.batches.next_completed_batch() {
            self.write_one(&batch)?;
        }
        Ok(())
    }

    fn write_one(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write(batch).map_err(of_parquet),
            Writer::Csv(writer) => writer.write(batch).map_err(of_arrow),
            Writer::Json(writer) => writer.write(batch).map_err(of_arrow),
        }
    }

    /// The last bytes. A file without rows still has its columns.
    pub fn finish(mut self) -> Result<Vec<u8>, Fault> {
        self.batches.finish_buffered_batch().map_err(of_arrow)?;
        self.write_completed()?;
        self.write_one(&self.empty.clone())?;
        match self.writer {
            Writer::Parquet(writer) => writer.close().map(drop).map_err(of_parquet)?,
            Writer::Csv(writer) => writer.into_inner().finish().map_err(|error| machine(&error))?,
            Writer::Json(mut writer) => {
                writer.finish().map_err(of_arrow)?;
                writer.into_inner().finish().map_err(|error| machine(&error))?;
            }
        }
        Ok(self.shared.take())
    }
}

fn of_arrow(error: ArrowError) -> Fault {
    Fault::of_engine(error.into())
}

fn of_parquet(error: ParquetError) -> Fault {
    Fault::of_engine(datafusion::error::DataFusionError::External(Box::new(error)))
}

fn machine(error: &std::io::Error) -> Fault {
    Fault::of_machine("writing a file in memory", error)
}
