//! A `run:` step: from the workflow's words to a program that was started, listened to and judged by how it ended.
//!
//! Words come first, values second: a command is split before expressions are filled in, so that a value is never more than a part of
//! one argument, whatever it holds. A script is handed to its shell as it is.

use std::collections::BTreeMap;

use honk_protocol::log::{LogLine, LogStream};
use honk_protocol::reason::Reason;
use honk_protocol::run::{Fault, Outputs};
use honk_protocol::settle::{Again, Failed};
use honk_step::{Command, Ended, Exit, Listener, StartError, outputs};
use honk_workflow::expr::Template;
use honk_workflow::{Run, Step, words};
use serde_json::Value;

use super::folder::Left;
use super::journal::{About, Journal};
use super::workspace::{Place, Workspace};
use super::{JobWork, Steps, unfit};

/// The exit status by which a program asks to be tried again (`EX_TEMPFAIL`, sysexits.h).
const EX_TEMPFAIL: i32 = 75;

/// How much of what a program complained of is quoted, in characters: the record of a run has room for a thousand items that failed.
const MAX_QUOTED: usize = 300;

impl Steps {
    /// Runs the program of step number `number`, from 1, and reads what it left.
    pub(super) async fn program(
        &self,
        job: &JobWork,
        step: &Step,
        number: u32,
        (run, shell): (&Run, Option<&str>),
        (values, workspace): (&Value, &Workspace),
    ) -> Result<Outputs, Failed> {
        let outputs = Place::honk(format!("outputs-{number}"));
        workspace.write(&outputs, [])?;
        let script = Place::honk(format!("script-{number}"));
        let command = Command {
            argv: argv(run, shell, values, &script, workspace)?,
            env: self.environment(job, step, values, workspace, &outputs)?,
            folder: workspace.work(),
        };
        let title = step.name.clone().unwrap_or_else(|| title_of(run));
        let ended = self.listen(job, &command, (number, title)).await?;
        judge(&ended, job.spec.reject_codes(step))?;
        let invalid = |problem: &dyn std::fmt::Display| {
            let message = format!("step {number} left outputs that cannot be read: {problem}");
            Failed::reject(Reason::OutputsInvalid, message)
        };
        let left = match workspace.read(&outputs, outputs::MAX_OUTPUT_BYTES as u64)? {
            Left::Nothing => return Ok(Outputs::new()),
            Left::File(left) => outputs::parse(&left).map_err(|error| invalid(&error))?,
            Left::Other(what) => return Err(invalid(&format!("$HONK_OUTPUT is {what} now: append lines to it"))),
        };
        Ok(left.into_iter().map(|(name, value)| (name, Value::from(value))).collect())
    }

    /// Runs it with its output on the way to the log. Says how it ended, and the last that it complained of.
    async fn listen(
        &self,
        job: &JobWork,
        command: &Command,
        (step, title): (u32, String),
    ) -> Result<(Ended, Option<String>), Failed> {
        let about =
            About { subject: job.log_subject(), attempt: job.attempt_number(), agent: self.agent.clone(), step, title };
        let (journal, lines) = Journal::open(self.bus.clone(), self.clock.clone(), about);
        let last_words = lines.clone();
        let clock = self.clock.clone();
        let listener = Listener { lines, now: move || clock.now() };
        let program = async {
            let ended =
                honk_step::run(command, &self.settings.limits, &self.masks, listener, &job.context.cancelled).await;
            let text = match &ended {
                Ok(ended) => end_of(ended),
                Err(error) => Some(error.to_string()),
            };
            if let Some(text) = text {
                let text = self.masks.apply(&text).into_owned();
                let line = LogLine { at: self.clock.now(), stream: LogStream::Agent, text, continued: false };
                // Nobody listens only when the log is gone, and then nobody misses the line.
                drop(last_words.send(line).await);
            }
            drop(last_words);
            ended
        };
        let (ended, complaint) = tokio::join!(program, journal.keep());
        Ok((ended.map_err(|error| not_started(&error))?, complaint))
    }

    /// The whole environment of a program: what every program may see, what the agent grants, what the workflow says, and last what Honk says.
    fn environment(
        &self,
        job: &JobWork,
        step: &Step,
        values: &Value,
        workspace: &Workspace,
        outputs: &Place,
    ) -> Result<BTreeMap<String, String>, Failed> {
        let mut env = self.settings.env.clone();
        env.insert("HOME".to_owned(), workspace.work().display().to_string());
        env.insert("TMPDIR".to_owned(), workspace.tmp().display().to_string());
        for (name, text) in job.spec.workflow().environment(&job.spec, step) {
            env.insert(name.to_owned(), fill(text, values)?);
        }
        let run = &job.context.run;
        let said = [
            ("HONK_RUN_ID", run.id.to_string()),
            ("HONK_WORKFLOW", run.workflow.name.to_string()),
            ("HONK_DATASET", run.dataset.to_string()),
            ("HONK_JOB", job.context.job.to_string()),
            ("HONK_ATTEMPT", job.attempt_number().to_string()),
            ("HONK_IDEMPOTENCY_KEY", job.context.idempotency_key()),
            ("HONK_TRACE_ID", run.trace_id().to_owned()),
            ("HONK_INPUT", workspace.path(&Place::honk("input.json")).display().to_string()),
            ("HONK_OUTPUT", workspace.path(outputs).display().to_string()),
        ];
        env.extend(said.map(|(name, value)| (name.to_owned(), value)));
        if let Some(span) = honk_service::trace_context::current(&tracing::Span::current()) {
            env.insert("TRACEPARENT".to_owned(), span.to_string());
        }
        let inputs = values["input"].as_object().into_iter().flatten();
        env.extend(inputs.map(|(name, value)| (input_variable(name), plain(value))));
        Ok(env)
    }
}

/// The program and its arguments.
fn argv(
    run: &Run,
    shell: Option<&str>,
    values: &Value,
    script: &Place,
    workspace: &Workspace,
) -> Result<Vec<String>, Failed> {
    let templates = match (run, shell) {
        (Run::Text(text), Some(shell)) => {
            workspace.write(script, text)?;
            let script = workspace.path(script).display().to_string();
            let start: &[&str] = match shell {
                "bash" => &["bash", "--noprofile", "--norc", "-eo", "pipefail"],
                "python" => &["python3", "-u"],
                _ => &["sh", "-e"],
            };
            return Ok(start.iter().map(|&word| word.to_owned()).chain([script]).collect());
        }
        (Run::Text(text), None) => words::split(text).map_err(|error| unfit(&error))?,
        (Run::Argv(arguments), _) => arguments
            .iter()
            .map(|text| Template::parse(text))
            .collect::<Result<_, _>>()
            .map_err(|error| unfit(&error))?,
    };
    templates.iter().map(|word| word.render(values).map_err(|error| unfit(&error))).collect()
}

fn fill(text: &str, values: &Value) -> Result<String, Failed> {
    Template::parse(text).map_err(|error| unfit(&error))?.render(values).map_err(|error| unfit(&error))
}

/// A value as a variable has it: a text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The variable of an input: in capitals, with `_` for what a variable's name cannot have.
fn input_variable(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("HONK_INPUT_{}", name.chars().map(letter).collect::<String>())
}

/// A text of at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The first line of what is run, for people.
fn title_of(run: &Run) -> String {
    let text = match run {
        Run::Text(text) => text.trim().lines().next().unwrap_or_default().to_owned(),
        Run::Argv(arguments) => arguments.join(" "),
    };
    text.chars().take(120).collect()
}

/// What the log says last about a program that did not simply succeed.
fn end_of(ended: &Ended) -> Option<String> {
    match (&ended.limit, ended.stopped, ended.exit) {
        (Some(limit), _, exit) => Some(format!("ended for its {limit}: {exit}")),
        (None, true, exit) => Some(format!("was asked to stop: {exit}")),
        (None, false, Exit::Code(0)) => None,
        (None, false, exit) => Some(format!("ended with {exit}")),
    }
}

/// Whether the program did what it should, and if not, whether trying again can help.
fn judge((ended, complaint): &(Ended, Option<String>), reject_codes: &[u8]) -> Result<(), Failed> {
    let said = complaint.as_deref().map(|line| format!("; the last it said: {}", shortened(line, MAX_QUOTED)));
    let said = said.unwrap_or_default();
    let failed = |reason, again, text: String| {
        Err(Failed { reason, fault: Fault::Failure, message: format!("{text}{said}"), again })
    };
    if let Some(limit) = ended.limit {
        return failed(Reason::StepLimit, Again::Later, format!("the step was ended for its {limit}"));
    }
    match ended.exit {
        _ if ended.stopped => {
            failed(Reason::JobTimeout, Again::Later, "the step was stopped before its end".to_owned())
        }
        Exit::Code(0) => Ok(()),
        Exit::Code(EX_TEMPFAIL) => {
            failed(Reason::StepTemporary, Again::Whatever, "the step asked to be tried again".to_owned())
        }
        Exit::Code(code) if u8::try_from(code).is_ok_and(|code| reject_codes.contains(&code)) => {
            failed(Reason::StepRejected, Again::Never, format!("the step ended with exit status {code}"))
        }
        Exit::Code(code) => failed(Reason::StepFailed, Again::Later, format!("the step ended with exit status {code}")),
        signal @ Exit::Signal(_) => {
            failed(Reason::StepSignalled, Again::Later, format!("the step was ended by {signal}"))
        }
    }
}

fn not_started(error: &StartError) -> Failed {
    match error {
        StartError::Machine { source, .. } => Failed::retry(Reason::WorkspaceUnavailable, format!("{error}: {source}")),
        StartError::Unfit { .. } => Failed::reject(Reason::ArgumentInvalid, error.to_string()),
        _ => Failed::reject(Reason::ProgramMissing, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit) -> (Ended, Option<String>) {
        (Ended { exit, stopped: false, limit: None, truncated: false }, Some("no such row".to_owned()))
    }

    #[test]
    fn the_exit_status_says_whether_trying_again_can_help() {
        assert_eq!(judge(&ended(Exit::Code(0)), &[]), Ok(()));
        for (exit, reason, again) in [
            (Exit::Code(1), Reason::StepFailed, Again::Later),
            (Exit::Code(65), Reason::StepRejected, Again::Never),
            (Exit::Code(EX_TEMPFAIL), Reason::StepTemporary, Again::Whatever),
            (Exit::Signal(9), Reason::StepSignalled, Again::Later),
        ] {
            let failed = judge(&ended(exit), &[2, 65]).expect_err("did not succeed");
            assert_eq!((failed.reason, failed.again), (reason, again));
            assert!(failed.message.ends_with("no such row"), "{}", failed.message);
        }
    }

    #[test]
    fn an_input_of_any_name_has_a_variable() {
        assert_eq!(input_variable("dataset_name"), "HONK_INPUT_DATASET_NAME");
        assert_eq!(input_variable("größe.x-1"), "HONK_INPUT_GR__E_X_1");
    }
}
