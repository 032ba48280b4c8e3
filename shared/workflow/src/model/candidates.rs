//! Which words of a workflow's `run` steps could be files that lie beside it.

use std::collections::BTreeSet;

use super::{Job, Run, StepAction, Workflow};
use crate::expr::Template;
use crate::words;

impl Workflow {
    /// The candidates of all jobs ([`Job::candidates`]).
    pub fn candidates(&self) -> BTreeSet<String> {
        self.jobs.iter().flat_map(Job::candidates).collect()
    }
}

impl Job {
    /// The words of its `run` steps that could be files beside the workflow: without expressions, relative, below the workflow's folder, and
    /// no options. Whether there are such files is for whoever registers the workflow to find out. `./x.py` is `x.py`, and of
    /// `--config=x.toml` it is what follows the sign.
    pub fn candidates(&self) -> BTreeSet<String> {
        let runs = self.steps.iter().filter_map(|step| match &step.action {
            StepAction::Run { run, shell } => Some((run, shell.is_some())),
            StepAction::Uses { .. } => None,
        });
        runs.flat_map(|(run, is_script)| words_of(run, is_script)).filter_map(|word| candidate(&word)).collect()
    }
}

fn words_of(run: &Run, is_script: bool) -> Vec<String> {
    let literal = |word: &Template| word.literal().map(str::to_owned);
    match run {
        // A script is not read as its shell would: its words are what stands between spaces, quotes and signs.
        Run::Text(script) if is_script => {
            let ends = |c: char| c.is_whitespace() || "'\"`;&|()<>,[]{}".contains(c);
            script.split(ends).map(str::to_owned).collect()
        }
        Run::Text(command) => words::split(command).unwrap_or_default().iter().filter_map(literal).collect(),
        Run::Argv(arguments) => {
            let templates = arguments.iter().filter_map(|argument| Template::parse(argument).ok());
            templates.filter_map(|word| literal(&word)).collect()
        }
    }
}

fn candidate(word: &str) -> Option<String> {
    let value = match word.split_once('=') {
        Some((_, value)) => value,
        None => word,
    };
    let path = value.strip_prefix("./").unwrap_or(value);
    let is_odd = |c: char| c.is_control() || "$*?~\\:".contains(c);
    let is_path = !path.is_empty() && path.len() <= 1_024 && !path.starts_with(['-', '/']) && !path.contains(is_odd);
    let goes_down = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (is_path && goes_down).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn candidates_are_relative_words_without_expressions() {
        let text = "\
name: w
on: dataset_onboard
jobs:
  a:
    steps:
      - run: python ./lib/check.py --config=conf/a.toml --dry-run {{ input.x }}.csv /etc/passwd ../up.py a/../b s3://x/y -v
      - run: [node, tell.js, '{{ input.x }}', '']
      - run: |
          set -e; python 'move.py' \"$HOME/x\" ~/y && ./run.sh>out.txt
        shell: bash
";
        let workflow = crate::parse(text).expect("is a workflow").workflow;
        let found: Vec<String> = workflow.candidates().into_iter().collect();
        let expected = [
            "check.py",
            "conf/a.toml",
            "lib/check.py",
            "move.py",
            "node",
            "out.txt",
            "python",
            "run.sh",
            "set",
            "tell.js",
        ];
        assert_eq!(found, expected[1..]);
    }
}
