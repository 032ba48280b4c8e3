//! One step: either an action or a program.

use std::collections::BTreeMap;

use honk_protocol::name::PoolName;
use serde_json::Value;

use super::condition::{condition, continue_on_error};
use super::fields::{Fields, mapping, wrong_type};
use super::policy::reject_codes;
use super::values::{bad_expression, check_nul, environment, json, text_of};
use crate::diagnostic::{Diagnostic, Pos, Report, list, quote};
use crate::expr::names::ROOTS;
use crate::expr::{ExprError, Template};
use crate::model::{Run, Step, StepAction};
use crate::tree::{Entry, Kind, Node};
use crate::words::{self, WordsError};

pub(super) const KEYS: [&str; 9] =
    ["name", "if", "uses", "with", "run", "shell", "env", "reject_codes", "continue-on-error"];
/// Words that mean something to a shell, and nothing without one.
const SHELL_WORDS: [&str; 9] = ["|", "||", "&&", ";", "&", ">", ">>", "<", "2>&1"];
/// Programs that take code as an argument after `-c` or `-e`.
const INTERPRETERS: [&str; 12] =
    ["bash", "sh", "dash", "zsh", "ksh", "ash", "fish", "python", "python3", "perl", "ruby", "node"];

pub(super) fn check(node: &Node, pool: &PoolName, report: &mut Report) -> Option<Step> {
    let fields = Fields::read(node, "a step", &KEYS, report)?;
    let name = fields.get("name").and_then(|name| text_of(name, report)).map(str::to_owned);
    let env = environment(fields.get("env"), report);
    let condition = condition(&fields, report);
    let continue_on_error = continue_on_error(&fields, report);
    let reject_codes = fields.get("reject_codes").and_then(|entry| reject_codes(entry, report));
    let action = match (fields.get("uses"), fields.get("run")) {
        (Some(entry), None) => uses(entry, &fields, pool, report)?,
        (None, Some(entry)) => run(entry, &fields, report)?,
        (None, None) if !fields.lacks("uses") || !fields.lacks("run") => return None,
        (None, None) => {
            let nothing = Diagnostic::error("step-empty", fields.pos, "the step has neither `run` nor `uses`");
            report.push(nothing.with_help("add `uses: honk/validate`, or `run:` with a command"));
            return None;
        }
        (Some(_), Some(run)) => {
            let both = Diagnostic::error("step-both", run.key.pos, "the step has both `run` and `uses`");
            report.push(both.with_help("make two steps of it"));
            return None;
        }
    };
    Some(Step { name, condition, continue_on_error, action, reject_codes, env })
}

fn uses(entry: &Entry, fields: &Fields<'_>, pool: &PoolName, report: &mut Report) -> Option<StepAction> {
    if let Some(shell) = fields.get("shell") {
        let message = "`shell` belongs to `run`, but this step has `uses`";
        report.push(Diagnostic::error("step-shell", shell.key.pos, message).with_help("remove `shell`"));
    }
    let with = match fields.get("with") {
        None => BTreeMap::new(),
        Some(with) => inputs(with, report),
    };
    let action = text_of(entry, report)?;
    check_action(action, entry.value.pos, pool, report);
    Some(StepAction::Uses { action: action.to_owned(), with })
}

fn inputs(with: &Entry, report: &mut Report) -> BTreeMap<String, Value> {
    let entries = mapping(&with.value, "`with`", report).unwrap_or_default();
    entries.iter().map(|entry| (entry.key.text.clone(), json(&entry.value, report))).collect()
}

/// Honk's own actions, by their names without `honk/`, and the pool whose agents bring each.
const OWN_ACTIONS: [(&str, &str); 6] = [
    ("validate", "validate"),
    ("plan", "migrate"),
    ("migrate", "migrate"),
    ("rollback", "migrate"),
    ("retire", "migrate"),
    ("notify", "notify"),
];

/// An action is `OWNER/NAME`; Honk's own are known, and whose agents bring them.
fn check_action(action: &str, pos: Pos, pool: &PoolName, report: &mut Report) {
    let Some((owner, name)) = StepAction::split_name(action) else {
        let message = format!("{} is no action", quote(action));
        let help = "an action is `OWNER/NAME` in lower case, without a version, like `honk/migrate`";
        report.push(Diagnostic::error("action-name", pos, message).with_help(help));
        return;
    };
    if owner != "honk" {
        return;
    }
    let own = || OWN_ACTIONS.into_iter().map(|(name, _)| name);
    let Some((_, brings)) = OWN_ACTIONS.into_iter().find(|(known, _)| *known == name) else {
        let known: Vec<String> = own().map(|name| format!("honk/{name}")).collect();
        let help = match report.similar(name, own()) {
            Some(similar) => format!("did you mean `honk/{similar}`?"),
            None => format!("Honk's actions are {}", list(known.iter().map(String::as_str))),
        };
        let message = format!("Honk itself has no action {}", quote(action));
        report.push(Diagnostic::warning("action-unknown", pos, message).with_help(help));
        return;
    };
    if PoolName::built_in(pool.as_str()).is_some_and(|pool| pool.as_str() != brings) {
        let message = format!("the agents of the pool `{pool}` do not bring {}", quote(action));
        let help = format!("add `runs-on: {brings}` to the job");
        report.push(Diagnostic::warning("action-elsewhere", pos, message).with_help(help));
    }
}

fn run(entry: &Entry, fields: &Fields<'_>, report: &mut Report) -> Option<StepAction> {
    if let Some(with) = fields.get("with") {
        let message = "`with` belongs to `uses`, but this step has `run`";
        report.push(
            Diagnostic::error("step-with", with.key.pos, message).with_help("give the program its values by `env:`"),
        );
    }
    let shell = fields.get("shell").and_then(|entry| shell(entry, report));
    let pos = entry.value.pos;
    let run = match &entry.value.kind {
        Kind::List(items) => argv(items, entry, report)?,
        _ => Run::Text(text_of(entry, report)?.to_owned()),
    };
    match (&run, &shell) {
        (Run::Text(text), _) if text.trim().is_empty() => report.push(empty(entry)),
        (Run::Text(script), Some(shell)) => check_script(script, shell, pos, report),
        (Run::Text(command), None) => check_command(command, pos, report),
        (Run::Argv(_), Some(_)) => {
            let message = "a `shell` reads a script, but `run` is a list of arguments";
            report.push(
                Diagnostic::error("step-shell", pos, message).with_help("remove `shell`, or write `run` as text"),
            );
        }
        (Run::Argv(arguments), None) => check_argv(arguments, pos, report),
    }
    Some(StepAction::Run { run, shell })
}

fn shell(entry: &Entry, report: &mut Report) -> Option<String> {
    let shell = text_of(entry, report)?;
    if !StepAction::SHELLS.contains(&shell) {
        let message = format!("{} is no shell that a step can have", quote(shell));
        let help = format!("the shells are {}; start other programs with `run` itself", list(StepAction::SHELLS));
        report.push(Diagnostic::error("shell-unknown", entry.value.pos, message).with_help(help));
    }
    Some(shell.to_owned())
}

fn argv(items: &[std::rc::Rc<Node>], entry: &Entry, report: &mut Report) -> Option<Run> {
    if items.is_empty() {
        report.push(empty(entry));
        return None;
    }
    let text = |node: &Node, report: &mut Report| match &node.kind {
        Kind::Scalar(scalar) if !scalar.is_null() => Some(scalar.text.clone()),
        _ => {
            report.push(
                wrong_type(node, "each argument of `run`", "text").with_help("write `\"\"` for an empty argument"),
            );
            None
        }
    };
    Some(Run::Argv(items.iter().filter_map(|node| text(node, report)).collect()))
}

fn empty(entry: &Entry) -> Diagnostic {
    Diagnostic::error("run-empty", entry.key.pos, "`run` is empty").with_help("write the command to run")
}

/// A script is handed to its shell as it is, so braces mean nothing in it. One that expects them to would, filled in, run
/// the value as code.
fn check_script(script: &str, shell: &str, pos: Pos, report: &mut Report) {
    check_nul(script, pos, report);
    let is_value = |inside: &&str| {
        let name = inside.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next();
        name.is_some_and(|name| ROOTS.contains(&name))
    };
    if let Some(inside) = script.split("{{").skip(1).find(is_value) {
        let expression = inside.split("}}").next().unwrap_or(inside).trim();
        report.push(code_injection(expression, shell, pos));
    } else if script.contains("${{") {
        report.push(
            bad_expression(&ExprError::Dollar, pos)
                .with_help("a script has no expressions; set a variable with `env:`"),
        );
    }
}

fn code_injection(expression: &str, shell: &str, pos: Pos) -> Diagnostic {
    let expression: String = expression.chars().take_while(|c| !c.is_control()).take(60).collect();
    let field = expression.rsplit('.').next().unwrap_or_default();
    let variable: String =
        field.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let message = format!("`{{{{ {expression} }}}}` in a script would run its value as code");
    let written = if shell == "python" { format!("os.environ['{variable}']") } else { format!("\"${variable}\"") };
    let help = format!(
        "add `env: {{ {variable}: '{{{{ {expression} }}}}' }}` to the step and write `{written}` in the script"
    );
    Diagnostic::error("shell-expression", pos, message).with_help(help)
}

fn check_command(command: &str, pos: Pos, report: &mut Report) {
    check_nul(command, pos, report);
    let words = match words::split(command) {
        Ok(words) => words,
        Err(WordsError::Expr(error)) => return report.push(bad_expression(&error, pos)),
        Err(error) => {
            let help = "close the quote, write `run` as a list of arguments, or add `shell: bash`";
            return report.push(Diagnostic::error("run-quote", pos, error.to_string()).with_help(help));
        }
    };
    check_words(&words, pos, report);
    let shell_word = words.iter().filter_map(Template::literal).find(|word| SHELL_WORDS.contains(word));
    let lines = command.trim().replace("\\\n", " ").lines().count();
    let message = match shell_word {
        Some(word) => format!("without a shell, {} is an argument like any other", quote(word)),
        None if lines > 1 => "without a shell, all lines are one command".to_owned(),
        None => return,
    };
    let help = "add `shell: bash`, or make a step of each command";
    report.push(Diagnostic::warning("run-without-shell", pos, message).with_help(help));
}

fn check_argv(arguments: &[String], pos: Pos, report: &mut Report) {
    let mut words = Vec::new();
    for argument in arguments {
        check_nul(argument, pos, report);
        match Template::parse(argument) {
            Ok(word) => words.push(word),
            Err(error) => report.push(bad_expression(&error, pos)),
        }
    }
    if arguments.first().is_some_and(|program| program.trim().is_empty()) {
        report.push(Diagnostic::error("run-empty", pos, "the program to run is empty"));
    }
    check_words(&words, pos, report);
}

/// `bash -c 'echo {{ input.x }}'` is a script as well, whatever splits it.
fn check_words(words: &[Template], pos: Pos, report: &mut Report) {
    let interprets = |word: &Template| {
        word.literal().is_some_and(|word| INTERPRETERS.contains(&word.rsplit('/').next().unwrap_or(word)))
    };
    let is_flag = |word: &&Template| word.literal().is_some_and(|word| word.starts_with('-'));
    for at in (0..words.len()).filter(|at| interprets(&words[*at])) {
        let after = &words[at + 1..];
        let flags = after.iter().take_while(is_flag).count();
        let takes_code = after[..flags]
            .last()
            .and_then(Template::literal)
            .is_some_and(|flag| !flag.starts_with("--") && flag.ends_with(['c', 'e']));
        if let Some(value) = after.get(flags).filter(|_| takes_code).and_then(|code| code.expressions().next()) {
            report.push(code_injection(value.source(), "sh", pos));
        }
    }
}
