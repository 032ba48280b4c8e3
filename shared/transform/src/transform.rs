//! One transformation from beginning to end.
//!
//! Everything that can be known before a row is read is checked first: the columns, the query, the contract on columns, the target. Then
//! the source is read once to write; once more before that for each set of `unique` columns, at the end that names them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures_util::TryStreamExt as _;
use honk_protocol::dataset::Side;
use honk_protocol::evidence::EvidenceSide;
use honk_protocol::reason::Reason;
use honk_protocol::transform::{
    Compression, Expect, FileEvidence, Format, InputSpec, TransformEvidence, TransformProgress, TransformRequest,
    TransformResult, TransformSpec,
};
use honk_storage::listing::Survey;
use honk_storage::{StorageConfig, StorageSettings, Stores};

use crate::audit::Audit;
use crate::contract::Checker;
use crate::fault::{Fault, unknown_column};
use crate::input::{self, InputFile};
use crate::result::{Once, audited, partitioned, repeated};
use crate::schema::{self, Table};
use crate::source::{First, Source};
use crate::target::Target;
use crate::write::encode::Form;
use crate::write::output::{Destination, Output};
use crate::{session, sql};

const SOURCE: &str = Expect::ENDS[0];
const RESULT: &str = Expect::ENDS[1];

/// How far a transformation is, for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Option<Watched>>>);

type Watched = (Arc<Vec<InputFile>>, Arc<First>);

impl Watch {
    /// How far it is.
    pub fn progress(&self) -> TransformProgress {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((files, first)) = &*watched else { return TransformProgress::default() };
        TransformProgress {
            objects: first.objects.load(Ordering::Relaxed),
            objects_total: files.len() as u64,
            bytes: files.first().map_or(0, |file| file.object.read.load(Ordering::Relaxed)),
            bytes_total: files.iter().map(|file| file.object.info.size).sum(),
        }
    }

    fn begin(&self, files: &Arc<Vec<InputFile>>, first: &Arc<First>) {
        let watched = Some((Arc::clone(files), Arc::clone(first)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }
}

/// Does what the request says. Done again after any failure, it ends with the same objects at the target.
pub async fn transform(request: TransformRequest, watch: &Watch) -> Result<TransformResult, Fault> {
    let plan = Plan::make(request).await?;
    let duplicates = plan.duplicates_of_source().await?;
    let done = plan.work(&duplicates, watch).await;
    if done.as_ref().is_err_and(|fault| !fault.again) {
        plan.target.give_up().await;
    }
    done
}

/// Everything that is known before a row is read.
struct Plan {
    files: Arc<Vec<InputFile>>,
    listed: EvidenceSide,
    input: InputSpec,
    spec: TransformSpec,
    expect: Expect,
    table: Table,
    before: Checker,
    after: Checker,
    schema: SchemaRef,
    sql: String,
    target: Target,
    runtime: Arc<RuntimeEnv>,
}

type Duplicates = Arc<Vec<u64>>;

impl Plan {
    async fn make(request: TransformRequest) -> Result<Self, Fault> {
        let TransformRequest { source, target, storage, transform: spec, expect, memory_bytes, spill, kept, .. } =
            request;
        if let Some(problem) = spec.problem().or_else(|| expect.problem()) {
            return Err(Fault::new(Reason::InputInvalid, problem));
        }
        let stores = stores(storage)?;
        let place = stores.resolve(&source);
        if honk_storage::overlap(&place, &stores.resolve(&target)) {
            return Err(Fault::new(Reason::LocationsOverlap, "source and target overlap"));
        }
        let store = stores.open(&place).await.map_err(|error| Fault::of_store(&error, Side::Source))?;
        let target = Target::open(&stores, &target, &expect, kept).await?;
        target.is_free().await?;
        let input = spec.input.clone();
        let (files, Survey { objects, bytes, digest }) = input::list(&store, &place.prefix(), &input).await?;
        let (files, listed) = (Arc::new(files), EvidenceSide { place: source, objects, bytes, digest });
        let table = schema::table(&files, &input, &text_types(&spec, &files).await?).await?;
        let sql = sql::query(&spec, &table.schema)?;
        let runtime = session::runtime(memory_bytes, spill.as_deref())?;
        let inner = expect.source.clone().unwrap_or_default();
        let before = Checker::new(SOURCE, &inner, &table.schema, &session::types(&inner.types).await?)?;
        let planned = Arc::new(Source::new(Arc::clone(&files), &input, &table, None, silent(&before, &table.schema)));
        let frame = session::plan(&session::session(&runtime, "source", planned)?, &sql).await?;
        let schema = written_schema(frame.schema().as_arrow(), &expect)?;
        let after = Checker::new(RESULT, &expect, &schema, &session::types(&expect.types).await?)?;
        has_partitions(&spec, &schema)?;
        Ok(Self { files, listed, input, spec, expect, table, before, after, schema, sql, target, runtime })
    }

    fn tolerant(&self) -> bool {
        self.expect.max_rejected > 0.0
    }

    /// The source; its first reading is `first`'s, if there is one.
    fn source(&self, first: Option<Arc<First>>, duplicates: &Duplicates) -> Source {
        let (checker, schema) = (self.before.clone(), self.table.schema.clone());
        let (tolerant, duplicates) = (self.tolerant(), Arc::clone(duplicates));
        let audits = move || Audit::silent(SOURCE, checker.clone(), &schema, tolerant).knowing(Arc::clone(&duplicates));
        Source::new(Arc::clone(&self.files), &self.input, &self.table, first, audits)
    }

    async fn duplicates_of_source(&self) -> Result<Duplicates, Fault> {
        let sets = self.expect.source.as_ref().map(|inner| inner.unique.as_slice()).unwrap_or_default();
        let none = Duplicates::default();
        repeated(&self.runtime, sets, self.tolerant(), async || {
            Ok(Arc::new(self.source(None, &none).with_numbers()) as Arc<dyn PartitionStream>)
        })
        .await
    }

    async fn duplicates_of_result(&self, of_source: &Duplicates) -> Result<Duplicates, Fault> {
        repeated(&self.runtime, &self.expect.unique, self.tolerant(), async || {
            let context = self.session(self.source(None, of_source))?;
            let rows = session::run(session::plan(&context, &self.sql).await?).await?;
            let rows = audited(rows, Arc::new(Mutex::new(self.silent_after())));
            Ok(Once::new(rows) as Arc<dyn PartitionStream>)
        })
        .await
    }

    fn silent_after(&self) -> Audit {
        Audit::silent(RESULT, self.after.clone(), &self.schema, self.tolerant())
    }

    fn session(&self, source: Source) -> Result<SessionContext, Fault> {
        session::session(&self.runtime, "source", Arc::new(source))
    }

    async fn work(&self, of_source: &Duplicates, watch: &Watch) -> Result<TransformResult, Fault> {
        let of_result = self.duplicates_of_result(of_source).await?;
        let before = Audit::new(SOURCE, self.before.clone(), &self.table.schema, self.tolerant())?;
        let first = First::new(before.knowing(Arc::clone(of_source)));
        watch.begin(&self.files, &first);
        self.files.iter().for_each(|file| file.object.read.store(0, Ordering::Relaxed));
        let after = Audit::new(RESULT, self.after.clone(), &self.schema, self.tolerant())?.knowing(of_result);
        let after = Arc::new(Mutex::new(after));
        let files = self.write(&first, of_source, &after).await?;
        if !first.has_begun() {
            self.read_for_the_figures(&first, of_source).await?;
        }
        let before = first.audited().await?;
        let after = std::mem::replace(&mut *after.lock().unwrap_or_else(PoisonError::into_inner), self.silent_after());
        self.finish(files, before, after).await
    }

    /// Runs the query and writes what it answers.
    async fn write(
        &self,
        first: &Arc<First>,
        of_source: &Duplicates,
        after: &Arc<Mutex<Audit>>,
    ) -> Result<Vec<FileEvidence>, Fault> {
        let context = self.session(self.source(Some(Arc::clone(first)), of_source))?;
        let rows = session::run(session::plan(&context, &self.sql).await?).await?;
        let mut rows = audited(rows, Arc::clone(after));
        if !self.spec.partition_by.is_empty() {
            rows = partitioned(&self.runtime, rows, &self.spec.partition_by).await?;
        }
        let mut output = Output::new(self.destination(), &self.schema);
        while let Some(batch) = rows.try_next().await.map_err(Fault::of_engine)? {
            // Without the rows' numbers.
            let columns = batch.columns()[..self.schema.fields().len()].to_vec();
            let batch = RecordBatch::try_new(self.schema.clone(), columns);
            output.write(&batch.map_err(|error| Fault::of_engine(error.into()))?).await?;
        }
        output.finish().await
    }

    /// A query that does not read the source has nothing to say of it.
    async fn read_for_the_figures(&self, first: &Arc<First>, of_source: &Duplicates) -> Result<(), Fault> {
        let source = self.source(Some(Arc::clone(first)), of_source);
        let mut rows = source.execute(Arc::new(TaskContext::default()));
        while rows.try_next().await.map_err(Fault::of_engine)?.is_some() {}
        Ok(())
    }

    fn destination(&self) -> Destination {
        let format = self.spec.format;
        let usual = if format == Format::Parquet { Compression::Zstd } else { Compression::None };
        Destination {
            store: self.target.store.clone(),
            prefix: self.target.prefix.clone(),
            form: Form { format, compression: self.spec.compression.unwrap_or(usual) },
            partition_by: self.spec.partition_by.clone(),
            rows_per_file: self.spec.max_rows_per_file.unwrap_or(TransformSpec::ROWS_PER_FILE),
        }
    }

    async fn finish(
        &self,
        mut files: Vec<FileEvidence>,
        mut before: Audit,
        mut after: Audit,
    ) -> Result<TransformResult, Fault> {
        let rejected = before.rejected + after.rejected;
        for (end, audit) in [(SOURCE, &mut before), (RESULT, &mut after)] {
            if let Some(file) = audit.take_aside()? {
                files.extend(self.target.put_aside(end, audit.rejected, file).await?);
            }
        }
        self.few_enough(rejected, before.profile.rows + before.rejected)?;
        before.count_is_right()?;
        after.count_is_right()?;
        let removed = self.target.clear(&files).await?;
        let evidence = TransformEvidence {
            sql: self.sql.clone(),
            before: before.profile.evidence(),
            after: after.profile.evidence(),
            source_objects: self.files.len() as u64,
            source_bytes: self.files.iter().map(|file| file.object.info.size).sum(),
            rejected,
            quarantine: (rejected > 0).then(|| self.target.quarantine()),
        };
        Ok(TransformResult { evidence, source: self.listed.clone(), files, removed })
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than it has")]
    fn few_enough(&self, rejected: u64, rows: u64) -> Result<(), Fault> {
        if rejected as f64 <= self.expect.max_rejected * rows as f64 {
            return Ok(());
        }
        let message = format!(
            "{rejected} of {rows} rows do not fit, more than the share of {} that `max_rejected` allows; `{}` has them",
            self.expect.max_rejected,
            self.target.quarantine()
        );
        Err(Fault::new(Reason::TransformRejected, message))
    }
}

fn silent(checker: &Checker, schema: &SchemaRef) -> impl Fn() -> Audit + Send + Sync + 'static {
    let (checker, schema) = (checker.clone(), schema.clone());
    move || Audit::silent(SOURCE, checker.clone(), &schema, false)
}

fn stores(settings: serde_json::Value) -> Result<Stores, Fault> {
    let settings: StorageSettings = serde_json::from_value(settings)
        .map_err(|error| Fault::new(Reason::InputInvalid, format!("the request's `storage`: {error}")))?;
    Ok(Stores::new(StorageConfig::from(settings)))
}

/// The types of columns of text that are told and not guessed. Where all objects are text, what `cast` names is read as that type at once:
/// nothing is lost on the way through a guess, and a value that is none of it is named with its line.
async fn text_types(spec: &TransformSpec, files: &[InputFile]) -> Result<BTreeMap<String, DataType>, Fault> {
    let mut types = session::types(&spec.input.columns).await?;
    if files.iter().all(|file| file.format != Format::Parquet) {
        for (name, kind) in session::types(&spec.cast).await? {
            types.entry(name).or_insert(kind);
        }
    }
    Ok(types)
}

/// The columns of the target's files. Only what the contract promises to have a value is written as such.
fn written_schema(planned: &Schema, expect: &Expect) -> Result<SchemaRef, Fault> {
    let mut fields: Vec<Field> = Vec::new();
    for field in planned.fields() {
        if fields.iter().any(|other| other.name() == field.name()) {
            let message = format!("the query answers with two columns called `{}`: name one with AS", field.name());
            return Err(Fault::new(Reason::TransformSqlInvalid, message));
        }
        let required = expect.required().any(|name| name == field.name());
        fields.push(Field::new(field.name(), field.data_type().clone(), !required));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn has_partitions(spec: &TransformSpec, schema: &SchemaRef) -> Result<(), Fault> {
    for name in &spec.partition_by {
        if schema.column_with_name(name).is_none() {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            return Err(unknown_column("`partition_by`", name, known));
        }
    }
    if spec.partition_by.len() >= schema.fields().len() {
        return Err(Fault::new(Reason::InputInvalid, "`partition_by` leaves no column for the files themselves"));
    }
    Ok(())
}
