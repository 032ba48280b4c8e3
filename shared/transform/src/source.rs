//! The table `source`: all objects of the dataset, one after the other in the order of their keys, as one stream of rows.
//!
//! One stream, because rows in one order are what makes the same output twice. Reading and decoding have a thread of their own beside the
//! query. It reads to the end even if the query wants no more rows, so that contract and evidence are of all of them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use honk_protocol::reason::Reason;
use honk_protocol::transform::{Format, InputSpec};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::audit::{Audit, numbered, numbered_schema};
use crate::fault::Fault;
use crate::input::InputFile;
use crate::read::{Misfit, Rows, csv, json, parquet};
use crate::schema::Table;

/// Batches between the reader's thread and the query.
const AHEAD: usize = 2;

/// Everything needed to read the source, any number of times.
pub struct Source {
    files: Arc<Vec<InputFile>>,
    spec: InputSpec,
    table: Table,
    schema: SchemaRef,
    numbered: bool,
    audits: Box<dyn Fn() -> Audit + Send + Sync>,
    first: Option<Arc<First>>,
}

/// The first reading, which is the one that counts.
#[derive(Debug)]
pub struct First {
    audit: Mutex<Option<Audit>>,
    taken: AtomicBool,
    ended: watch::Sender<Option<Result<(), Fault>>>,
    /// Objects read.
    pub objects: AtomicU64,
}

impl First {
    /// Whose rows pass `audit`.
    pub fn new(audit: Audit) -> Arc<Self> {
        let taken = AtomicBool::new(false);
        let (ended, _none) = watch::channel(None);
        Arc::new(Self { audit: Mutex::new(Some(audit)), taken, ended, objects: AtomicU64::new(0) })
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// Waits for its end, and hands out what it found.
    pub async fn audited(&self) -> Result<Audit, Fault> {
        let mut ended = self.ended.subscribe();
        let state = ended.wait_for(Option::is_some).await.map(|state| state.clone()).unwrap_or_default();
        state.unwrap_or(Ok(()))?;
        let audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner).take();
        audit.ok_or_else(|| Fault::new(Reason::TransformFailed, "the source was not read to its end"))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// The first reading is `first`'s, if there is one; the rows of others pass what `audits` makes.
    pub fn new(
        files: Arc<Vec<InputFile>>,
        spec: &InputSpec,
        table: &Table,
        first: Option<Arc<First>>,
        audits: impl Fn() -> Audit + Send + Sync + 'static,
    ) -> Self {
        let (schema, table, spec) = (table.schema.clone(), table.clone(), spec.clone());
        Self { files, spec, table, schema, numbered: false, audits: Box::new(audits), first }
    }

    /// Its rows with their numbers behind them, for finding duplicates.
    #[must_use]
    pub fn with_numbers(self) -> Self {
        Self { schema: numbered_schema(&self.table.schema), numbered: true, ..self }
    }

    fn work(&self, output: mpsc::Sender<Result<RecordBatch, DataFusionError>>) -> Work {
        let first = self.first.as_ref().filter(|first| !first.taken.swap(true, Ordering::AcqRel)).cloned();
        let own = first.as_ref().and_then(|first| first.audit.lock().unwrap_or_else(PoisonError::into_inner).take());
        Work {
            files: Arc::clone(&self.files),
            spec: self.spec.clone(),
            table: self.table.clone(),
            numbered: self.numbered.then(|| self.schema.clone()),
            audit: own.unwrap_or_else(|| (self.audits)()),
            first,
            output,
            runtime: Handle::current(),
        }
    }
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(self.schema.clone(), AHEAD);
        let work = self.work(builder.tx());
        builder.spawn_blocking(move || work.run());
        builder.build()
    }
}

/// One reading, on its own thread.
struct Work {
    files: Arc<Vec<InputFile>>,
    spec: InputSpec,
    table: Table,
    numbered: Option<SchemaRef>,
    audit: Audit,
    first: Option<Arc<First>>,
    output: mpsc::Sender<Result<RecordBatch, DataFusionError>>,
    runtime: Handle,
}

impl Work {
    fn run(mut self) -> Result<(), DataFusionError> {
        let done = self.read_all();
        if let Some(first) = self.first {
            *first.audit.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.audit);
            first.ended.send_replace(Some(done.clone()));
        }
        done.map_err(DataFusionError::from)
    }

    fn read_all(&mut self) -> Result<(), Fault> {
        let (files, table, runtime) = (Arc::clone(&self.files), self.table.clone(), self.runtime.clone());
        let spec = self.spec.clone();
        for file in files.iter() {
            if self.is_in_vain() {
                return Ok(());
            }
            match file.format {
                Format::Parquet => parquet::read(file, &table.schema, &runtime, self)?,
                Format::Json => json::read(file, &spec, &table.schema, &runtime, self)?,
                Format::Csv => csv::read(file, &spec, &table, &runtime, self)?,
            }
            if let Some(first) = &self.first {
                first.objects.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Nobody takes the rows, and nobody counts them.
    fn is_in_vain(&self) -> bool {
        self.first.is_none() && self.output.is_closed()
    }
}

impl Rows for Work {
    fn batch(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        let (batch, numbers) = self.audit.admit(&batch)?;
        let batch = match &self.numbered {
            Some(schema) => numbered(schema, &batch, numbers)?,
            None => batch,
        };
        if batch.num_rows() > 0 && self.output.blocking_send(Ok(batch)).is_err() && self.is_in_vain() {
            return Err(Fault::new(Reason::TransformFailed, "the query wants no more rows"));
        }
        Ok(())
    }

    fn misfit(&mut self, misfit: Misfit) -> Result<(), Fault> {
        self.audit.misfit(misfit)
    }
}
