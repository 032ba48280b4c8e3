//! The rows that the query answers with: past the contract, without those that repeat one another, and with the rows of a partition
//! together.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray as _;
use arrow::datatypes::SchemaRef;
use arrow::datatypes::UInt64Type;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_protocol::reason::Reason;
use honk_protocol::transform::Names;

use crate::audit::{Audit, ROW, numbered, numbered_schema};
use crate::fault::Fault;
use crate::session;
use crate::sql::quoted;

/// Repeated rows that are remembered: 8 bytes each.
const REPEATED: usize = 4_000_000;

/// A stream of rows, once, as a table of its own.
pub struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl Once {
    /// These rows.
    pub fn new(rows: SendableRecordBatchStream) -> Arc<Self> {
        Arc::new(Self { schema: rows.schema(), rows: Mutex::new(Some(rows)) })
    }
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        rows.unwrap_or_else(|| {
            let fault = Fault::new(Reason::TransformSqlInvalid, "the rows were asked for twice");
            let failed = stream::iter([Err(DataFusionError::from(fault))]);
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), failed))
        })
    }
}

/// The rows of `rows` that pass `audit`, with their numbers behind them.
pub fn audited(rows: SendableRecordBatchStream, audit: Arc<Mutex<Audit>>) -> SendableRecordBatchStream {
    let schema = numbered_schema(&rows.schema());
    let with_numbers = schema.clone();
    let passed = rows.map(move |batch| {
        let (batch, numbers) = audit.lock().unwrap_or_else(PoisonError::into_inner).admit(&batch?)?;
        numbered(&with_numbers, &batch, numbers).map_err(DataFusionError::from)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, passed))
}

/// The same rows, those of a partition together and else in the order in which they were.
pub async fn partitioned(
    runtime: &Arc<RuntimeEnv>,
    rows: SendableRecordBatchStream,
    partition_by: &[String],
) -> Result<SendableRecordBatchStream, Fault> {
    let context = session::session(runtime, "numbered", Once::new(rows))?;
    let by: Vec<String> = partition_by.iter().map(String::as_str).chain([ROW]).map(quoted).collect();
    let frame = context.sql(&format!("SELECT * FROM numbered ORDER BY {}", by.join(", "))).await;
    session::run(frame.map_err(Fault::of_engine)?).await
}

/// The numbers, in ascending order, of rows that repeat the values of an earlier one in any of these sets of columns. The table `table`
/// of numbered rows is read once for each.
pub async fn repeated(
    runtime: &Arc<RuntimeEnv>,
    sets: &[Names],
    tolerant: bool,
    table: impl AsyncFn() -> Result<Arc<dyn PartitionStream>, Fault>,
) -> Result<Arc<Vec<u64>>, Fault> {
    let mut all = Vec::new();
    for set in sets {
        let names: Vec<String> = set.names().iter().map(|name| quoted(name)).collect();
        let (columns, valued) = (names.join(", "), names.join(" IS NOT NULL AND "));
        let limit = if tolerant { String::new() } else { " LIMIT 1".to_owned() };
        let sql = format!(
            "SELECT \"{ROW}\" FROM (SELECT \"{ROW}\", row_number() OVER (PARTITION BY {columns} ORDER BY \"{ROW}\") AS nth \
             FROM numbered WHERE {valued} IS NOT NULL) WHERE nth > 1 ORDER BY \"{ROW}\"{limit}"
        );
        let context = session::session(runtime, "numbered", table().await?)?;
        let mut rows = session::run(context.sql(&sql).await.map_err(Fault::of_engine)?).await?;
        while let Some(batch) = rows.try_next().await.map_err(Fault::of_engine)? {
            all.extend(batch.column(0).as_primitive::<UInt64Type>().values());
            if all.len() > REPEATED {
                let message = format!("more than {REPEATED} rows repeat {columns}, which `unique` names");
                return Err(Fault::new(Reason::TransformContract, message));
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(Arc::new(all))
}
