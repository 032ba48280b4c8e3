//! What `honk dataset` and `honk consumer` may be told.

use clap::{Args, Subcommand};
use honk_protocol::dataset::{S3Place, parse_consumer};
use honk_protocol::entity::EntityRef;
use honk_protocol::name::DatasetName;
use reqwest::Url;

use super::examples;
use crate::place::parse_s3_url;

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, for the life of the process")]
pub(crate) enum DatasetCommand {
    /// List the datasets of the catalog by name
    #[command(after_help = examples::DATASET_LIST)]
    List {
        /// How many at most
        #[arg(long, value_name = "N", default_value = "50")]
        limit: usize,
    },
    /// Show a dataset: its owner, where it lies, who reads it, what is written down about it, its newest run
    #[command(after_help = examples::DATASET_SHOW)]
    Show {
        /// The dataset
        name: DatasetName,
    },
    /// Show where a dataset lies; with --source and --target, set it
    #[command(after_help = examples::DATASET_LOCATION)]
    Location(LocationArguments),
    /// Send readers back to the source at once, and show what was written to the target since the cut-over
    #[command(after_help = examples::DATASET_ROLLBACK)]
    Rollback(RollbackArguments),
    /// Give up the source that readers have left: mark it as deprecated, or remove it
    #[command(after_help = examples::DATASET_RETIRE)]
    Retire(RetireArguments),
}

#[derive(Debug, Args)]
pub(crate) struct LocationArguments {
    /// The dataset
    pub(crate) name: DatasetName,
    /// Print it again whenever it changes, until interrupted
    #[arg(long, conflicts_with_all = ["source", "target"])]
    pub(crate) watch: bool,
    /// Where it lies, as `s3://bucket/prefix`
    #[arg(long, value_name = "S3URL", value_parser = parse_s3_url, requires = "target")]
    pub(crate) source: Option<S3Place>,
    /// Where it shall go, as `s3://bucket/prefix`
    #[arg(long, value_name = "S3URL", value_parser = parse_s3_url, requires = "source")]
    pub(crate) target: Option<S3Place>,
    /// The source's S3 endpoint, unless it is the agents' own
    #[arg(long, value_name = "URL", requires = "source")]
    pub(crate) source_endpoint: Option<Url>,
    /// The target's S3 endpoint, unless it is the agents' own
    #[arg(long, value_name = "URL", requires = "target")]
    pub(crate) target_endpoint: Option<Url>,
    /// The source's region
    #[arg(long, value_name = "REGION", requires = "source")]
    pub(crate) source_region: Option<String>,
    /// The target's region
    #[arg(long, value_name = "REGION", requires = "target")]
    pub(crate) target_region: Option<String>,
    /// The data's format, such as parquet
    #[arg(long, value_name = "FORMAT", requires = "source")]
    pub(crate) format: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// The dataset
    pub(crate) name: DatasetName,
    /// Go back although the time for which the source was kept is over
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not wait for the report of what was written to the target
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArguments {
    /// The dataset
    pub(crate) name: DatasetName,
    /// Only list what would be removed: the objects whose bytes the target is proved to have
    #[arg(long, conflicts_with = "remove")]
    pub(crate) dry_run: bool,
    /// Remove those objects from the source
    #[arg(long)]
    pub(crate) remove: bool,
    /// Remove what this list of a dry run has, instead of making a new one
    #[arg(long, value_name = "HASH", requires = "remove")]
    pub(crate) list: Option<String>,
    /// Do not wait for the end
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsumerCommand {
    /// List who is known to read a dataset, and who may still read an old place
    #[command(after_help = examples::CONSUMER_LIST)]
    List {
        /// The dataset
        dataset: DatasetName,
    },
    /// Say that a consumer reads the present place
    #[command(after_help = examples::CONSUMER_ACK)]
    Ack {
        /// The dataset
        dataset: DatasetName,
        /// The consumer, such as component:default/report; `report` means the same
        #[arg(long = "as", value_name = "CONSUMER", value_parser = consumer)]
        consumer: EntityRef,
        /// The epoch of the location that it reads, unless it is the present one
        #[arg(long, value_name = "N")]
        epoch: Option<u64>,
    },
    /// Forget a consumer that is gone, so that nobody waits for it
    #[command(after_help = examples::CONSUMER_FORGET)]
    Forget {
        /// The dataset
        dataset: DatasetName,
        /// The consumer
        #[arg(long = "as", value_name = "CONSUMER", value_parser = consumer)]
        consumer: EntityRef,
    },
}

fn consumer(text: &str) -> Result<EntityRef, String> {
    parse_consumer(text).map_err(|error| format!("it {error}"))
}
