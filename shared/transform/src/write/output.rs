//! The target's files: one open at a time, a new one when it is full or another partition begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, RecordBatch};
use arrow::compute::partition;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use honk_protocol::transform::FileEvidence;
use honk_storage::Store;

use crate::fault::Fault;
use crate::write::encode::{Encoder, Form};
use crate::write::names;
use crate::write::upload::Sending;

/// Where files go, and what they are.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The target's bucket.
    pub store: Store,
    /// The target's folder, as listings need it.
    pub prefix: String,
    /// The form of files.
    pub form: Form,
    /// Columns that become folders.
    pub partition_by: Vec<String>,
    /// Rows of a file at most.
    pub rows_per_file: u64,
}

struct Open {
    encoder: Encoder,
    sending: Sending,
    folder: String,
    rows: u64,
}

/// Writes rows, which come with the rows of one partition together.
pub struct Output {
    to: Destination,
    rows_schema: SchemaRef,
    schema: SchemaRef,
    columns: Vec<usize>,
    partitions: Vec<usize>,
    open: Option<Open>,
    next: BTreeMap<String, u64>,
    files: Vec<FileEvidence>,
}

impl Output {
    /// For rows with the columns of `schema`.
    pub fn new(to: Destination, schema: &SchemaRef) -> Self {
        let is_partition = |column: &usize| to.partition_by.contains(schema.field(*column).name());
        let columns: Vec<usize> = (0..schema.fields().len()).filter(|column| !is_partition(column)).collect();
        let partitions = to.partition_by.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&schema.fields()[*column])).collect();
        let (next, files) = (BTreeMap::new(), Vec::new());
        let file_schema = Arc::new(Schema::new(fields));
        Self { to, rows_schema: schema.clone(), schema: file_schema, columns, partitions, open: None, next, files }
    }

    /// Takes rows.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if self.partitions.is_empty() {
            return self.write_to("", batch).await;
        }
        let keys: Vec<_> = self.partitions.iter().map(|column| Arc::clone(batch.column(*column))).collect();
        let together = partition(&keys).map_err(|error| Fault::of_engine(error.into()))?;
        for range in together.ranges() {
            let folder = self.folder(batch, range.start)?;
            self.write_to(&folder, &batch.slice(range.start, range.end - range.start)).await?;
        }
        Ok(())
    }

    fn folder(&self, batch: &RecordBatch, row: usize) -> Result<String, Fault> {
        let options = FormatOptions::default();
        let mut values = Vec::new();
        for column in &self.partitions {
            let array = batch.column(*column);
            let text = ArrayFormatter::try_new(array, &options).map_err(|error| Fault::of_engine(error.into()))?;
            let value = array.is_valid(row).then(|| text.value(row).to_string());
            values.push((self.rows_schema.field(*column).name().as_str(), value));
        }
        Ok(names::folder(values))
    }

    async fn write_to(&mut self, folder: &str, batch: &RecordBatch) -> Result<(), Fault> {
        let batch = batch.project(&self.columns).map_err(|error| Fault::of_engine(error.into()))?;
        let mut from = 0;
        while from < batch.num_rows() {
            let rows_per_file = self.to.rows_per_file;
            if self.open.as_ref().is_some_and(|open| open.folder != folder || open.rows >= rows_per_file) {
                self.close().await?;
            }
            let open = match &mut self.open {
                Some(open) => open,
                None => self.open.insert(self.to.begin(folder, &self.schema, &mut self.next)?),
            };
            let room = usize::try_from(rows_per_file - open.rows).unwrap_or(usize::MAX);
            let rows = room.min(batch.num_rows() - from);
            let bytes = open.encoder.write(batch.slice(from, rows))?;
            open.sending.push(&bytes).await?;
            open.rows += rows as u64;
            from += rows;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Fault> {
        if let Some(mut open) = self.open.take() {
            let bytes = open.encoder.finish()?;
            open.sending.push(&bytes).await?;
            self.files.push(open.sending.finish(open.rows).await?);
        }
        Ok(())
    }

    /// Ends the last file. Where there were no rows at all, one file without rows says what the columns are.
    pub async fn finish(mut self) -> Result<Vec<FileEvidence>, Fault> {
        self.close().await?;
        if self.files.is_empty() {
            self.open = Some(self.to.begin("", &self.schema, &mut self.next)?);
            self.close().await?;
        }
        Ok(self.files)
    }
}

impl Destination {
    fn begin(&self, folder: &str, schema: &SchemaRef, next: &mut BTreeMap<String, u64>) -> Result<Open, Fault> {
        let number = next.entry(folder.to_owned()).or_default();
        let key = format!("{folder}{}", names::part(*number, &self.form.extension()));
        *number += 1;
        let sending = Sending::new(&self.store, &self.prefix, &key);
        Ok(Open { encoder: Encoder::new(self.form, schema)?, sending, folder: folder.to_owned(), rows: 0 })
    }
}
