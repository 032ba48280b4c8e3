//! What the command line may say. Every command's `--help` ends with examples.

mod dataset;
mod examples;
mod local;
mod logs;
mod provision;
mod workflow;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use honk_protocol::dataset::S3Place;
use honk_protocol::name::{DatasetName, PoolName, RunId, WorkflowName};
use honk_protocol::reason::Reason;
use honk_protocol::run::RunState;
use honk_protocol::selector::Selector;
use reqwest::Url;

pub(crate) use self::dataset::{
    ConsumerCommand, DatasetCommand, LocationArguments, RetireArguments, RollbackArguments,
};
pub(crate) use self::local::{
    BenchArguments, BenchCommand, ChainsArguments, CopyArguments, DemoArguments, DevArguments, StepsArguments,
};
pub(crate) use self::logs::LogArguments;
pub(crate) use self::provision::ProvisionArguments;
pub(crate) use self::workflow::{RegisterArguments, WorkflowCommand};
use crate::output::Format;
use crate::place::parse_s3_url;

/// Where the API listens unless it is told otherwise.
const DEFAULT_API_URL: &str = "http://127.0.0.1:8080";

/// Migrates datasets across a fleet
#[derive(Debug, Parser)]
#[command(name = "honk", version, after_help = examples::HONK, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArguments {
    /// How data is printed on standard output
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
    /// Where Honk's API listens
    #[arg(long, global = true, env = "HONK_API_URL", hide_env_values = true, value_name = "URL", value_parser = api_url)]
    #[arg(default_value = DEFAULT_API_URL)]
    pub(crate) api_url: Url,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the whole system on this machine
    #[command(after_help = examples::DEV)]
    Dev(DevArguments),
    /// Migrate real and generated datasets, and check every byte
    #[command(after_help = examples::DEMO)]
    Demo(DemoArguments),
    /// Check workflows and register them, with the files that their steps name
    #[command(after_help = examples::REGISTER)]
    Register(RegisterArguments),
    /// Look at workflows and their versions, and at what they print
    #[command(subcommand, after_help = examples::WORKFLOW)]
    Workflow(WorkflowCommand),
    /// Show what is wrong with workflows, without registering them
    #[command(after_help = examples::LINT)]
    Lint(LintArguments),
    /// Tell Honk which datasets there are
    #[command(subcommand, after_help = examples::CATALOG_IMPORT)]
    Catalog(CatalogCommand),
    /// Look at datasets, say where they lie and shall go, and go back
    #[command(subcommand, after_help = examples::DATASET)]
    Dataset(DatasetCommand),
    /// Look at who reads a dataset, and say who has moved
    #[command(subcommand, after_help = examples::CONSUMER)]
    Consumer(ConsumerCommand),
    /// Say what a migration of a dataset would do, without moving a byte
    #[command(after_help = examples::PLAN)]
    Plan(PlanArguments),
    /// Migrate datasets
    #[command(after_help = examples::MIGRATE)]
    Migrate(MigrateArguments),
    /// Look at runs, and follow them
    #[command(subcommand, after_help = examples::RUN)]
    Run(RunCommand),
    /// Look at dead letters, and replay or discard them
    #[command(subcommand, after_help = examples::DLQ)]
    Dlq(DlqCommand),
    /// Find out what is wrong with the set-up
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArguments),
    /// Make the NATS server's streams and consumers what Honk needs
    #[command(after_help = examples::PROVISION)]
    Provision(ProvisionArguments),
    /// Measure how much work an installation can do
    #[command(after_help = examples::BENCH)]
    Bench(BenchArguments),
    /// Print a script that completes commands in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FilesArguments {
    /// The files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LintArguments {
    /// The workflows; `-` is standard input
    #[arg(required_unless_present = "schema", conflicts_with = "schema", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print the JSON Schema of a workflow's file, for editors
    #[arg(long)]
    pub(crate) schema: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Import entities in Backstage's format, YAML or JSON, many documents a file if need be
    #[command(after_help = examples::CATALOG_IMPORT)]
    Import(FilesArguments),
}

/// What `--help` says about selections.
const SELECTOR_HELP: &str = "\
The datasets of the catalog that this picks, but for those that must not be migrated and those that have a run that is not finished.

Parts are separated by commas, and all must hold: KEY=VALUE, KEY!=VALUE, KEY (it is there) or !KEY (it is not). Keys are owner, lifecycle, \
system, type, name (with * and ?), tag, annotation.NAME and label.NAME. A value with a comma stands in double quotes.";

#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// The datasets
    #[arg(required_unless_present = "selector", value_name = "NAME")]
    pub(crate) names: Vec<DatasetName>,
    /// The datasets of the catalog that this picks, such as `owner=data-team,lifecycle=production`, but for those that must not be
    /// migrated and those that have a run that is not finished
    #[arg(long, value_name = "SELECTION", conflicts_with = "names", long_help = SELECTOR_HELP)]
    pub(crate) selector: Option<Selector>,
    /// Only show what would be migrated, what would not, and why
    #[arg(long, requires = "selector", conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// The workflow to run instead of the one that each dataset's entity names
    #[arg(long, value_name = "WORKFLOW")]
    pub(crate) workflow: Option<WorkflowName>,
    /// Follow the runs to their end; exit with 1 if one did not succeed
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs, the newest first
    #[command(after_help = examples::RUN_LIST)]
    List(RunListArguments),
    /// Show a run: its jobs, and why they failed
    #[command(after_help = examples::RUN_SHOW)]
    Show {
        /// The run
        id: RunId,
    },
    /// Follow a run to its end; exit with 1 if it does not succeed
    #[command(after_help = examples::RUN_WATCH)]
    Watch {
        /// The run
        id: RunId,
    },
    /// Give runs up: their programs are ended wherever they run
    #[command(after_help = examples::RUN_CANCEL)]
    Cancel(RunsArguments),
    /// Let nothing new start in runs; what runs goes on
    #[command(after_help = examples::RUN_PAUSE)]
    Pause(RunsArguments),
    /// Let paused runs go on
    #[command(after_help = examples::RUN_RESUME)]
    Resume(RunsArguments),
    /// Do finished runs again
    #[command(after_help = examples::RUN_RETRY)]
    Retry {
        #[command(flatten)]
        runs: RunsArguments,
        /// Only the jobs that did not succeed, and what depends on them
        #[arg(long)]
        failed_only: bool,
    },
    /// Show what a migration has proved before readers were sent to the target: Markdown, or JSON with `-o json`
    #[command(after_help = examples::RUN_EVIDENCE)]
    Evidence {
        /// The run
        id: RunId,
    },
    /// Show what the steps of a run printed
    #[command(after_help = examples::RUN_LOGS)]
    Logs {
        /// The run
        id: RunId,
        #[command(flatten)]
        selection: LogArguments,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The dataset
    pub(crate) name: DatasetName,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArguments {
    /// The runs
    #[arg(required = true, value_name = "RUN")]
    pub(crate) ids: Vec<RunId>,
}

#[derive(Debug, Args)]
pub(crate) struct RunListArguments {
    /// Only this dataset's
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Only this workflow's
    #[arg(long, value_name = "WORKFLOW")]
    pub(crate) workflow: Option<WorkflowName>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = run_state())]
    pub(crate) state: Option<RunState>,
    /// How many at most
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, the newest first
    #[command(after_help = examples::DLQ_LIST)]
    List {
        #[command(flatten)]
        filter: DlqFilter,
        /// How many at most
        #[arg(long, value_name = "N", default_value = "50")]
        limit: usize,
    },
    /// Show a dead letter with the bytes of its message
    #[command(after_help = examples::DLQ_SHOW)]
    Show {
        /// The dead letter
        id: String,
    },
    /// Do the work of dead letters again
    #[command(after_help = examples::DLQ_REPLAY)]
    Replay(DlqSelection),
    /// Give the work of dead letters up for good
    #[command(after_help = examples::DLQ_DISCARD)]
    Discard(DlqSelection),
}

#[derive(Debug, Args)]
pub(crate) struct DlqFilter {
    /// Only those with this reason code
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<Reason>,
    /// Only those of this pool
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<PoolName>,
    /// Only this dataset's
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
}

#[derive(Debug, Args)]
pub(crate) struct DlqSelection {
    /// The dead letters
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with_all = ["all", "reason", "pool", "dataset"])]
    pub(crate) ids: Vec<String>,
    /// All of them, or with a filter all that it lets through
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filter: DlqFilter,
    /// Do not ask whether that is really meant
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The NATS server, to be looked at as well
    #[arg(long, value_name = "URL", value_parser = nats_url)]
    pub(crate) nats: Option<Url>,
    /// An object store, to be looked at instead: what it can do, tried with real requests that leave nothing behind
    #[arg(long, value_name = "S3URL", value_parser = parse_s3_url, conflicts_with = "nats")]
    store: Option<S3Place>,
    /// The store's S3 endpoint, unless it is AWS
    #[arg(long, value_name = "URL", requires = "store")]
    endpoint: Option<Url>,
    /// The store's region
    #[arg(long, value_name = "REGION", requires = "store")]
    region: Option<String>,
}

impl DoctorArguments {
    /// The store to look at.
    pub(crate) fn place(&self) -> Option<S3Place> {
        let endpoint = self.endpoint.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        self.store.clone().map(|place| S3Place { endpoint, region: self.region.clone(), ..place })
    }
}

fn api_url(text: &str) -> Result<Url, String> {
    // An empty HONK_API_URL counts as unset, as everywhere in Honk.
    let text = if text.is_empty() { DEFAULT_API_URL } else { text };
    url_of(text, &["http", "https"])
}

fn nats_url(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    url_of(&with_scheme, &["nats", "tls"])
}

fn url_of(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let expected = format!("it must look like `{}://host:port`", schemes.first().copied().unwrap_or_default());
    let url = Url::parse(text).map_err(|error| format!("{error}; {expected}"))?;
    if schemes.contains(&url.scheme()) && url.has_host() { Ok(url) } else { Err(expected) }
}

fn run_state() -> impl TypedValueParser<Value = RunState> {
    use RunState::{Cancelled, Error, Failure, Running, Success, Timeout, Waiting};
    const ALL: [RunState; 7] = [Waiting, Running, Success, Failure, Error, Timeout, Cancelled];
    PossibleValuesParser::new(ALL.map(RunState::word)).map(|word| {
        let found = ALL.into_iter().find(|state| state.word() == word);
        found.unwrap_or(Running)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        let (mut seen, mut stack) = (0, vec![Arguments::command()]);
        while let Some(command) = stack.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|line| line.strip_prefix("  honk ")) {
                let words = line.split(" > ").next().unwrap_or_default().split(" | ").next().unwrap_or_default();
                let words = words.split_whitespace().map(|word| word.trim_matches('"'));
                let parsed = Arguments::try_parse_from(std::iter::once("honk").chain(words));
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                seen += 1;
            }
            assert!(help.contains("honk "), "{} has no example", command.get_name());
            stack.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn an_empty_url_in_the_environment_counts_as_unset() {
        assert_eq!(api_url("").unwrap().as_str(), "http://127.0.0.1:8080/");
        assert!(api_url("ftp://host").unwrap_err().contains("http://host:port"));
        assert!(api_url("host:8080").is_err());
    }

    #[test]
    fn every_run_state_is_a_filter() {
        for state in ["waiting", "running", "success", "failure", "error", "timeout", "cancelled"] {
            let parsed = Arguments::try_parse_from(["honk", "run", "list", "--state", state]).unwrap();
            let Command::Run(RunCommand::List(list)) = parsed.command else { panic!("another command") };
            assert_eq!(list.state.map(RunState::word), Some(state));
        }
    }
}
