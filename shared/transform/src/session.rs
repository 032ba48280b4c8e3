//! The query engine, set up so that the same rows come out in the same order: one stream, no parallel operators, names as they are
//! written, nothing that depends on the hour or on chance.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use honk_protocol::reason::Reason;

use crate::fault::Fault;
use crate::read::BATCH_ROWS;

/// Functions that answer otherwise tomorrow, and do not say so of themselves.
const OF_THE_HOUR: [&str; 6] = ["now", "current_timestamp", "current_date", "current_time", "today", "localtimestamp"];

/// Memory and disk of all queries of one transformation.
pub fn runtime(memory_bytes: u64, spill: Option<&str>) -> Result<Arc<RuntimeEnv>, Fault> {
    let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
    let builder = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory)));
    let builder = spill.into_iter().fold(builder, RuntimeEnvBuilder::with_temp_file_path);
    builder.build_arc().map_err(Fault::of_engine)
}

/// A session with one table.
pub fn session(runtime: &Arc<RuntimeEnv>, name: &str, rows: Arc<dyn PartitionStream>) -> Result<SessionContext, Fault> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Sorting begins to spill in time: what it must keep back for merging is taken from the same memory.
    options.execution.sort_spill_reservation_bytes = 1 << 20;
    let context = SessionContext::new_with_config_rt(config, Arc::clone(runtime));
    let table = StreamingTable::try_new(rows.schema().clone(), vec![rows]).map_err(Fault::of_engine)?;
    context.register_table(name, Arc::new(table)).map_err(Fault::of_engine)?;
    Ok(context)
}

/// The query, planned: only one that reads, and whose answer does not change by itself.
pub async fn plan(context: &SessionContext, sql: &str) -> Result<DataFrame, Fault> {
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(sql, reading).await.map_err(Fault::of_engine)?;
    if !matches!(
        frame.logical_plan(),
        LogicalPlan::Explain(_) | LogicalPlan::DescribeTable(_) | LogicalPlan::Analyze(_)
    ) {
        always_the_same(frame.logical_plan())?;
        return Ok(frame);
    }
    Err(Fault::new(Reason::TransformSqlInvalid, "the query must be a SELECT"))
}

/// Runs it.
pub async fn run(frame: DataFrame) -> Result<SendableRecordBatchStream, Fault> {
    frame.execute_stream().await.map_err(Fault::of_engine)
}

fn always_the_same(plan: &LogicalPlan) -> Result<(), Fault> {
    let mut other: Option<String> = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && (call.func.signature().volatility == Volatility::Volatile
                        || OF_THE_HOUR.contains(&call.func.name()))
                {
                    other = Some(call.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(Fault::of_engine)?;
    let Some(name) = other else { return Ok(()) };
    let message = format!(
        "`{name}()` answers otherwise every time, and the same input must give the same output: give a literal instead"
    );
    Err(Fault::new(Reason::TransformSqlInvalid, message))
}

/// SQL types in Arrow's words, as the engine understands them.
pub async fn types(names: &BTreeMap<String, String>) -> Result<BTreeMap<String, DataType>, Fault> {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    let mut types = BTreeMap::new();
    for (column, kind) in names {
        let plain = kind.chars().all(|letter| letter.is_ascii_alphanumeric() || " _(),<>".contains(letter));
        let sql = format!("SELECT CAST(NULL AS {kind})");
        let planned = if plain { context.sql(&sql).await.ok() } else { None };
        let planned = planned.and_then(|frame| Some(frame.schema().fields().first()?.data_type().clone()));
        let Some(planned) = planned else {
            let message = format!(
                "`{kind}`, the type of `{column}`, is no SQL type: try BIGINT, DOUBLE, VARCHAR, BOOLEAN, DATE, TIMESTAMP or DECIMAL(p, s)"
            );
            return Err(Fault::new(Reason::TransformSqlInvalid, message));
        };
        types.insert(column.clone(), planned);
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sql_types_are_understood_and_others_refused() {
        let named = |kind: &str| BTreeMap::from([("a".to_owned(), kind.to_owned())]);
        assert_eq!(types(&named("bigint")).await.unwrap()["a"], DataType::Int64);
        assert_eq!(types(&named("VARCHAR")).await.unwrap()["a"], DataType::Utf8);
        assert!(types(&named("DECIMAL(10, 2)")).await.is_ok());
        assert!(types(&named("no such thing")).await.unwrap_err().message.contains("BIGINT"));
        assert!(types(&named("INT) FROM x --")).await.is_err());
    }
}
