//! Rows of Parquet. The footer is read once, for the schema; the data row group by row group, the columns of one in as few requests as
//! they lie together.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tokio::runtime::Handle;

use crate::fault::{Fault, truncated};
use crate::input::InputFile;
use crate::read::{BATCH_ROWS, Rows};
use crate::store::SourceObject;

/// Bytes at the end that the footer usually fits in.
const FOOTER: usize = 64 << 10;
/// A gap between two ranges that is cheaper to read than a request of its own.
const GAP: u64 = 256 << 10;
/// The least that a Parquet file has: its magic number twice, and a length.
const SMALLEST: u64 = 12;

struct Reader(SourceObject);

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.read(range).await }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let mut answers = Vec::with_capacity(ranges.len());
            for together in grouped(&ranges) {
                let whole = self.read(together.clone()).await?;
                let inside = ranges
                    .iter()
                    .skip(answers.len())
                    .take_while(|range| range.start >= together.start && range.end <= together.end);
                answers.extend(inside.map(|range| {
                    let start = usize::try_from(range.start - together.start).unwrap_or(usize::MAX);
                    whole.slice(start..start + usize::try_from(range.end - range.start).unwrap_or(0))
                }));
            }
            Ok(answers)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.0.info.size;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER));
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}

impl Reader {
    async fn read(&self, range: Range<u64>) -> parquet::errors::Result<Bytes> {
        if range.end > self.0.info.size || range.start >= range.end {
            return Err(ParquetError::General(format!("its footer speaks of bytes {range:?}, which it does not have")));
        }
        let read = self.0.range(range.start, range.end - range.start).await;
        read.map_err(|fault| ParquetError::External(Box::new(fault)))
    }
}

/// Ranges that lie together, in one. They come in ascending order; others stay alone.
fn grouped(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut groups: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match groups.last_mut() {
            Some(last) if range.start >= last.end && range.start - last.end <= GAP => last.end = range.end,
            _ => groups.push(range.clone()),
        }
    }
    groups
}

async fn open(file: &InputFile) -> Result<ParquetRecordBatchStreamBuilder<Reader>, Fault> {
    if file.object.info.size < SMALLEST {
        return Err(truncated(file.key(), "it is shorter than the shortest Parquet file"));
    }
    let builder = ParquetRecordBatchStreamBuilder::new(Reader(file.object.clone())).await;
    builder.map_err(|error| Fault::of_parquet(file.key(), error))
}

/// The columns that the object says it has.
pub async fn schema(file: &InputFile) -> Result<SchemaRef, Fault> {
    Ok(Arc::clone(open(file).await?.schema()))
}

/// Reads one object into batches of the table's schema.
pub fn read(file: &InputFile, schema: &SchemaRef, runtime: &Handle, rows: &mut dyn Rows) -> Result<(), Fault> {
    let builder = runtime.block_on(open(file))?.with_batch_size(BATCH_ROWS);
    let mut batches = builder.build().map_err(|error| Fault::of_parquet(file.key(), error))?;
    while let Some(batch) = runtime.block_on(batches.next()) {
        let batch = batch.map_err(|error| Fault::of_parquet(file.key(), error))?;
        rows.batch(as_table(&batch, schema).map_err(|error| truncated(file.key(), &error.to_string()))?)?;
    }
    Ok(())
}

/// The batch with the table's columns: in its order, of its types, and without a value where the object has no such column.
fn as_table(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast_with_options(column, field.data_type(), &strict),
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_together_is_read_together() {
        assert_eq!(grouped(&[0..10, 10..20, 20 + GAP..30 + GAP]), std::slice::from_ref(&(0..30 + GAP)));
        assert_eq!(grouped(&[0..10, 11 + GAP..12 + GAP]), [0..10, 11 + GAP..12 + GAP]);
        assert_eq!(grouped(&[50..60, 0..10]), [50..60, 0..10]);
    }
}
