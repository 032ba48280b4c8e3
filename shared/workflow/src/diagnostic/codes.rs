//! Every kind of fault. `docs/LINT.md` is made from this list.

use super::Severity::{self, Error, Warning};

/// A kind of fault: what it means, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its stable name.
    pub name: &'static str,
    /// Whether a workflow with it is refused.
    pub severity: Severity,
    /// What is wrong.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

const fn code(severity: Severity, name: &'static str, meaning: &'static str, advice: &'static str) -> Code {
    Code { name, severity, meaning, advice }
}

/// All of them, by name.
pub const CODES: &[Code] = &[
    code(
        Warning,
        "action-elsewhere",
        "The agents of the job's pool do not bring the action.",
        "Write the pool that does into `runs-on`.",
    ),
    code(
        Error,
        "action-name",
        "What `uses` names cannot be an action.",
        "Write `OWNER/NAME` in lower case, without a version.",
    ),
    code(
        Warning,
        "action-unknown",
        "Honk itself has no action of this name.",
        "Use one of `honk/validate`, `honk/plan`, `honk/migrate`, `honk/rollback`, `honk/retire` and `honk/notify`.",
    ),
    code(Error, "alias-recursive", "A YAML alias stands inside of what it repeats.", "Write the value out."),
    code(
        Error,
        "backoff",
        "The delays between attempts contradict each other, or the factor is out of bounds.",
        "Let `initial` be at most `max`, and `factor` at least 1.",
    ),
    code(
        Error,
        "concurrency",
        "The group of `concurrency` is empty, or names something that is not known before a run begins.",
        "Make it of text, `input` and `dataset`.",
    ),
    code(Error, "documents", "The file has several YAML documents.", "Write each workflow into a file of its own."),
    code(Error, "duration", "A text is no duration.", "Write `500ms`, `30s`, `10m`, `1h30m`, or a number of seconds."),
    code(Error, "duration-range", "A duration is shorter or longer than it may be.", "The message has the bounds."),
    code(Error, "empty", "There is no workflow in the text.", "A workflow has at least `name`, `on` and `jobs`."),
    code(
        Error,
        "env-name",
        "A name in `env` is none that a variable can have.",
        "Use letters, digits and `_`, and begin with no digit.",
    ),
    code(Error, "event-duplicate", "A type of event is named twice.", "Remove one of them."),
    code(
        Error,
        "event-invalid",
        "A text is no type of event.",
        "Use letters, digits, `-` and `_`, and begin with a letter.",
    ),
    code(Error, "event-missing", "Nothing starts the workflow.", "Write `on: dataset_onboard`, or a schedule."),
    code(Warning, "event-similar", "A type of event is nearly Honk's own.", "Write `dataset_onboard`."),
    code(Error, "expression-dollar", "An expression is written as GitHub does, with a `$`.", "Remove the `$`."),
    code(Error, "expression-job", "An expression names a job that does not exist.", "Correct the name."),
    code(
        Error,
        "expression-matrix",
        "An expression names a matrix, or a key of one, that the job does not have there.",
        "Correct the key, or use it in the job's steps.",
    ),
    code(
        Error,
        "expression-needs",
        "An expression uses a job's outputs before that job has ended.",
        "Add the job to `needs`.",
    ),
    code(
        Error,
        "expression-operator",
        "An expression has an operator of another language, or one that is not allowed.",
        "Write `and`, `or`, `not`; compute larger things in a step.",
    ),
    code(
        Error,
        "expression-shared",
        "The workflow's `env` uses what only some jobs know.",
        "Move the variable to the `env` of those jobs.",
    ),
    code(Error, "expression-syntax", "An expression cannot be read.", "The message says where reading it stopped."),
    code(
        Error,
        "expression-unclosed",
        "An expression has no `}}`.",
        "Close it; braces that are meant literally are written `{{ '{{' }}`.",
    ),
    code(
        Error,
        "expression-unknown",
        "An expression uses a name, filter, test or function that does not exist.",
        "Correct the name; the message has the most similar one.",
    ),
    code(
        Error,
        "include",
        "A text of `include` is no glob, or leads out of the workflow's folder.",
        "Write paths below that folder.",
    ),
    code(
        Error,
        "job-name",
        "A key of `jobs` is none that a job can have.",
        "Use letters, digits, `-` and `_`, and begin with a letter or `_`.",
    ),
    code(Warning, "job-unreachable", "A job is never started.", "Correct its `if`, or that of the job that it needs."),
    code(Error, "jobs-missing", "The workflow has no jobs.", "Add one."),
    code(Error, "jobs-too-many", "The workflow has more jobs than it may.", "Use a matrix, or several workflows."),
    code(Error, "key-duplicate", "A key is in a mapping twice.", "Rename or remove one of them."),
    code(Error, "key-missing", "A key that must be there is not.", "Add it, as the message shows."),
    code(Error, "key-type", "A key is a list or a mapping.", "Write text."),
    code(
        Error,
        "key-unknown",
        "There is no such key here.",
        "Correct it; the message has the most similar one, or what to write instead.",
    ),
    code(Error, "matrix-empty", "A matrix has no items.", "List at least one value."),
    code(
        Error,
        "matrix-key",
        "A key of a matrix is ill-formed, or `exclude` names one that there is not.",
        "Correct the key.",
    ),
    code(Error, "matrix-size", "A matrix has more items than it may.", "Make several jobs of it."),
    code(Error, "needs-cycle", "Jobs wait for each other in a circle.", "Remove one of their `needs`."),
    code(Error, "needs-duplicate", "A job is in `needs` twice.", "Remove one of them."),
    code(
        Warning,
        "needs-missing",
        "A job of a later stage waits for nothing, and so runs first.",
        "Add the `needs` that the message shows.",
    ),
    code(Error, "needs-self", "A job needs itself.", "Remove it from its `needs`."),
    code(Error, "needs-unknown", "A job needs one that does not exist.", "Correct the name."),
    code(Error, "nul", "A text has a NUL character, which no program can be given.", "Remove it."),
    code(Error, "number", "A number has no exact JSON.", "Put it in quotes."),
    code(Error, "number-range", "A number is out of bounds.", "The message has the bounds."),
    code(
        Error,
        "pool-name",
        "The name after `runs-on` is none that a pool can have.",
        "Use lower-case letters, digits and `-`.",
    ),
    code(Warning, "pool-similar", "A pool is named nearly as a built-in one.", "Correct it, if that one is meant."),
    code(Error, "rate", "A text is no rate.", "Write `10/min`; the units are `s`, `min` and `h`."),
    code(
        Error,
        "reject-code",
        "A number is no exit status of a failure, or asks for another attempt by itself.",
        "Write statuses from 1 to 255, but not 75.",
    ),
    code(Error, "retry-count", "`retry_count` is no number, or out of bounds.", "The message has the bounds."),
    code(Error, "run-empty", "`run` is empty.", "Write the command to run."),
    code(
        Error,
        "run-quote",
        "A quote in a command is not closed.",
        "Close it, write `run` as a list of arguments, or add `shell: bash`.",
    ),
    code(
        Warning,
        "run-without-shell",
        "A command has what only a shell understands.",
        "Add `shell: bash`, or make a step of each command.",
    ),
    code(
        Error,
        "schedule",
        "A cron pattern or its time zone is not valid, or its time never comes.",
        "Write five fields, like `0 2 * * *`, and a zone like `Europe/Berlin`.",
    ),
    code(
        Warning,
        "secret",
        "A text looks like a secret, which would be stored with the workflow.",
        "Remove it, and name the variable in `pass_env` of the agents' `[steps]` settings.",
    ),
    code(Error, "selector", "A text is no selection of datasets.", "Write `KEY=VALUE`, several with commas."),
    code(
        Error,
        "shell-expression",
        "An expression stands in a script, where its value would be run as code.",
        "Give the value by `env`, as the message shows.",
    ),
    code(
        Error,
        "shell-unknown",
        "There is no such shell.",
        "Use `bash`, `sh` or `python`, or start the program with `run` itself.",
    ),
    code(Error, "step-both", "A step has both `run` and `uses`.", "Make two steps of it."),
    code(Error, "step-empty", "A step has neither `run` nor `uses`.", "Add one of them."),
    code(Error, "step-shell", "A step has a `shell` that reads nothing.", "Remove `shell`, or write `run` as text."),
    code(Warning, "step-unreachable", "A step is never done.", "Correct its `if`, or remove the step."),
    code(Error, "step-with", "A `run` step has `with`.", "Give the program its values by `env`."),
    code(Error, "steps-missing", "A job has no steps.", "Add one."),
    code(Error, "steps-too-many", "A job has more steps than it may.", "Make several jobs of it."),
    code(Error, "syntax", "The text is not YAML.", "The message says where reading it stopped."),
    code(Error, "tag", "The text has a YAML tag.", "Remove it."),
    code(
        Warning,
        "timeout-missing",
        "Nothing says how long the workflow's programs may take.",
        "Add a `timeout` to the workflow or its jobs.",
    ),
    code(Error, "too-deep", "Lists and mappings are nested too deeply.", "Make the structure flatter."),
    code(
        Error,
        "too-large",
        "The text, or what its aliases make of it, is larger than a workflow may be.",
        "Move scripts into files beside the workflow.",
    ),
    code(Error, "type", "A value is of another type than it must be.", "The message says of which."),
    code(
        Error,
        "workflow-name",
        "The name is none that a workflow can have.",
        "Use letters, digits, `-`, `_` and `.`.",
    ),
];
