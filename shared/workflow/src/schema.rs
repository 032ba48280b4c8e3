//! The form of a workflow's file as a JSON Schema, for editors. Its types say nothing that the checks do not say; a test compares their keys with
//! those of the checks, and another the schema with `workflows/workflow.schema.json`. An editor shows what a schema can say; the rest,
//! such as circles of jobs, only [`crate::parse`] finds.

#![expect(dead_code, reason = "the types are only described, never made: files are read by `check`")]

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema, as it is written to a file.
pub fn json() -> String {
    format!("{:#}\n", schema().to_value())
}

fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<WorkflowFile>()
}

/// A key that may be left out may not be empty.
fn without_null(schema: &mut Schema) {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| !is_null(form));
        if let [Value::Object(only)] = forms.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            only.into_iter().for_each(|(key, value)| {
                schema.insert(key, value);
            });
        }
    }
}

/// A Honk workflow: what is done with a dataset when an event asks for it.
#[derive(JsonSchema)]
#[schemars(title = "Honk workflow", deny_unknown_fields)]
struct WorkflowFile {
    /// The name that it is registered under.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"))]
    name: String,
    /// What starts a run: a type of event such as `dataset_onboard`, several of them, or a schedule.
    on: On,
    /// Which of its runs are done one at a time; without it, those of one dataset.
    concurrency: Option<ConcurrencyForm>,
    /// How many runs may begin in a second, a minute or an hour, like `10/min`.
    #[schemars(regex(pattern = r"^\s*[0-9]+\s*/\s*(s|min|h)\s*$"))]
    rate: Option<String>,
    /// How long a run may take from its start to the end of its last job.
    deadline: Option<Duration>,
    /// Files beside the workflow that its steps need and do not name, as globs.
    include: Option<OneOrMany<String>>,
    /// Environment of all steps.
    env: Option<Environment>,
    /// How often a failed attempt is repeated.
    #[schemars(range(min = 0, max = 100))]
    retry_count: Option<u32>,
    /// How long one attempt at a job may take; one hour unless it is said.
    timeout: Option<Duration>,
    /// How long to wait between attempts.
    backoff: Option<Backoff>,
    /// Exit statuses of programs after which trying again cannot help.
    reject_codes: Option<OneOrMany<ExitStatus>>,
    /// The jobs, each by its name.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 256))]
    jobs: BTreeMap<String, JobForm>,
}

/// What starts a run.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum On {
    /// Types of events.
    Events(OneOrMany<String>),
    /// An event, a schedule, or both.
    Triggers(Triggers),
}

/// An event, a schedule, or both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Triggers {
    /// The events that start a run.
    trigger: Option<Trigger>,
    /// Times at which runs begin without an event.
    #[schemars(length(min = 1, max = 16))]
    schedule: Option<Vec<ScheduleForm>>,
}

/// The events that start a run.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Trigger {
    /// Types of events, such as `dataset_onboard`.
    #[schemars(rename = "type")]
    kind: OneOrMany<String>,
}

/// Times at which runs begin.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ScheduleForm {
    /// Minute, hour, day of the month, month and day of the week, like `0 2 * * *`.
    cron: String,
    /// The zone in whose time that is meant, like `Europe/Berlin`; UTC unless it is said.
    timezone: Option<String>,
    /// For which datasets, like `owner=data-team,lifecycle=production`; for all unless it is said.
    selector: Option<String>,
}

/// Which runs are done one at a time.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ConcurrencyForm {
    /// The group alone.
    Group(String),
    /// The group, and what becomes of the run that is live.
    Detailed(ConcurrencyFields),
}

/// The group, and what becomes of the run that is live.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ConcurrencyFields {
    /// Runs whose group becomes the same text are done one at a time; it can name `input` and `dataset`.
    group: String,
    /// Whether a new run ends the one that is live, instead of waiting for it.
    #[schemars(rename = "cancel-in-progress")]
    cancel_in_progress: Option<bool>,
}

/// One job: steps that an agent does one after the other.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct JobForm {
    /// What people are shown instead of the job's key.
    name: Option<Scalar>,
    /// The jobs that must have succeeded before.
    needs: Option<OneOrMany<String>>,
    /// When it is started, if not after success of all that it needs, like `always()` or `input.rows > 3`.
    #[schemars(rename = "if")]
    condition: Option<Scalar>,
    /// The pool whose agents do it; the one of the job's name if that is built in, else `default`.
    #[schemars(rename = "runs-on")]
    runs_on: Option<String>,
    /// What it is done for, if for more than the dataset as a whole.
    strategy: Option<StrategyForm>,
    /// What is done.
    #[schemars(length(min = 1, max = 64))]
    steps: Vec<StepForm>,
    /// Environment of all its steps.
    env: Option<Environment>,
    /// How often a failed attempt is repeated.
    #[schemars(range(min = 0, max = 100))]
    retry_count: Option<u32>,
    /// How long one attempt may take.
    timeout: Option<Duration>,
    /// How long to wait between attempts.
    backoff: Option<Backoff>,
    /// Exit statuses of its programs after which trying again cannot help.
    reject_codes: Option<OneOrMany<ExitStatus>>,
    /// Whether those that need it go on as if it had succeeded when it fails.
    #[schemars(rename = "continue-on-error")]
    continue_on_error: Option<bool>,
}

/// What a job is done for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StrategyForm {
    /// Lists whose combinations are the items, or an expression that becomes a list of mappings.
    matrix: MatrixForm,
    /// How many items are done at a time.
    #[schemars(rename = "max-parallel", range(min = 1, max = 2000))]
    max_parallel: Option<u32>,
    /// Whether no more items are begun once one has failed; they are not, unless this is `false`.
    #[schemars(rename = "fail-fast")]
    fail_fast: Option<bool>,
}

/// The items of a matrix.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum MatrixForm {
    /// An expression that becomes a list of mappings.
    Expression(String),
    /// Lists whose combinations are the items.
    Axes(AxesForm),
}

/// Lists whose combinations are the items.
#[derive(JsonSchema)]
struct AxesForm {
    /// What is added to the combinations that it agrees with, or is an item of its own.
    include: Option<Vec<BTreeMap<String, Value>>>,
    /// Combinations that are left out.
    exclude: Option<Vec<BTreeMap<String, Value>>>,
    /// Every other key is a list, or an expression that becomes one.
    #[schemars(flatten)]
    axes: BTreeMap<String, AxisForm>,
}

/// A list, or an expression that becomes one.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum AxisForm {
    /// The values.
    List(#[schemars(length(min = 1))] Vec<Value>),
    /// An expression that becomes a list, or JSON text of one.
    Expression(String),
}

/// One step: either a program (`run`) or an action of the agent (`uses`).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [{"required": ["run"]}, {"required": ["uses"]}]))]
struct StepForm {
    /// What people are shown.
    name: Option<Scalar>,
    /// When it is done, if not after success of all before it, like `failure()`.
    #[schemars(rename = "if")]
    condition: Option<Scalar>,
    /// The action, like `honk/migrate`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]*/[a-z][a-z0-9_-]*$"))]
    uses: Option<String>,
    /// The action's inputs.
    with: Option<BTreeMap<String, Value>>,
    /// A command, which is split into words before expressions are filled in; a list of arguments; or a script, if there is a `shell`.
    run: Option<Command>,
    /// What reads `run` as a script, which then can have no expressions.
    shell: Option<Shell>,
    /// Environment of this step.
    env: Option<Environment>,
    /// Exit statuses after which trying again cannot help, instead of the job's.
    reject_codes: Option<OneOrMany<ExitStatus>>,
    /// Whether the job goes on as if the step had succeeded when it fails.
    #[schemars(rename = "continue-on-error")]
    continue_on_error: Option<bool>,
}

/// What a step starts.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Command {
    /// A command or a script.
    Text(Scalar),
    /// A program and its arguments.
    Arguments(#[schemars(length(min = 1))] Vec<Scalar>),
}

/// What can read a script.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Shell {
    Bash,
    Sh,
    Python,
}

/// How long to wait between attempts: `initial · factor^(attempt-1)`, at most `max`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Backoff {
    /// The first delay.
    initial: Option<Duration>,
    /// By how much each delay is longer than the one before.
    #[schemars(range(min = 1, max = 100))]
    factor: Option<f64>,
    /// The longest delay.
    max: Option<Duration>,
}

/// Like `500ms`, `30s`, `10m`, `1h30m`, or a number of seconds.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Duration {
    Units(
        #[schemars(regex(pattern = r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|^[0-9]+(\.[0-9]{0,3})?$"))]
        String,
    ),
    Seconds(#[schemars(range(min = 0))] f64),
}

/// Text; a number or a boolean counts as what is written.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
}

/// One, or a list.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// The exit status of a failure. 75 asks for another attempt by itself, and so cannot be one.
#[derive(JsonSchema)]
struct ExitStatus(#[schemars(range(min = 1, max = 255), extend("not" = {"const": 75}))] u8);

/// Variables, whose values may have expressions.
#[derive(JsonSchema)]
struct Environment(
    #[schemars(extend("propertyNames" = {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}))] BTreeMap<String, Scalar>,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_that_are_checked() {
        let schema = schema().to_value();
        for (form, keys) in crate::check::KEYS {
            let place = if form == "WorkflowFile" { schema.clone() } else { schema["$defs"][form].clone() };
            let mut described: Vec<&String> = place["properties"].as_object().expect(form).keys().collect();
            let mut keys = keys.to_vec();
            described.sort();
            keys.sort_unstable();
            assert_eq!(described, keys, "{form}");
        }
    }
}
