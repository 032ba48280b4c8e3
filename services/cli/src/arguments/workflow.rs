//! What `honk register` and `honk workflow` may be told.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use honk_protocol::name::{DatasetName, WorkflowName};

use super::{LogArguments, examples};

#[derive(Debug, Args)]
pub(crate) struct RegisterArguments {
    /// The workflows' files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// List the workflows by name
    #[command(after_help = examples::WORKFLOW_LIST)]
    List,
    /// Show a workflow: its version, its jobs, its files, its text
    #[command(after_help = examples::WORKFLOW_SHOW)]
    Show {
        /// The workflow
        name: WorkflowName,
        /// Another version than the current one, by at least six digits
        #[arg(long, value_name = "HASH")]
        version: Option<String>,
    },
    /// List the versions of a workflow that were current, the newest first
    #[command(after_help = examples::WORKFLOW_HISTORY)]
    History {
        /// The workflow
        name: WorkflowName,
    },
    /// Show what differs between two versions of a workflow: its text, and its files
    #[command(after_help = examples::WORKFLOW_DIFF)]
    Diff {
        /// The workflow
        name: WorkflowName,
        /// The older version, by at least six digits; the one before the current one unless it is given
        #[arg(value_name = "FROM")]
        from: Option<String>,
        /// The newer version; the current one unless it is given
        #[arg(value_name = "TO")]
        to: Option<String>,
    },
    /// Make an earlier version of a workflow the current one again
    #[command(after_help = examples::WORKFLOW_ROLLBACK)]
    Rollback {
        /// The workflow
        name: WorkflowName,
        /// The version, by at least six digits; the one before the current one unless it is given
        #[arg(long, value_name = "HASH")]
        to: Option<String>,
    },
    /// Let no run of the workflows begin; what runs goes on, and what is asked for waits
    #[command(after_help = examples::WORKFLOW_PAUSE)]
    Pause {
        /// The workflows
        #[arg(required = true, value_name = "NAME")]
        names: Vec<WorkflowName>,
    },
    /// Let runs of paused workflows begin again
    #[command(after_help = examples::WORKFLOW_RESUME)]
    Resume {
        /// The workflows
        #[arg(required = true, value_name = "NAME")]
        names: Vec<WorkflowName>,
    },
    /// Delete workflows
    #[command(after_help = examples::WORKFLOW_DELETE)]
    Delete {
        /// The workflows
        #[arg(required = true, value_name = "NAME")]
        names: Vec<WorkflowName>,
        /// Also if datasets name them
        #[arg(long)]
        force: bool,
    },
    /// Show what the steps of a dataset's newest run printed
    #[command(after_help = examples::WORKFLOW_LOGS)]
    Logs {
        /// The dataset
        dataset: DatasetName,
        #[command(flatten)]
        selection: LogArguments,
    },
}
