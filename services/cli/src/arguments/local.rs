//! The arguments of the commands that start a system of their own.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// The folder that keeps everything; started again on it, the system goes on where it was
    #[arg(long, value_name = "DIR", default_value = ".honk")]
    pub(crate) state: PathBuf,
    /// Where the API listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where the embedded S3 store listens; a free port of 127.0.0.1 if not given
    #[arg(long, value_name = "ADDR")]
    pub(crate) s3_listen: Option<SocketAddr>,
    /// A NATS server to use instead of starting one
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Keep the system running afterwards, to look around
    #[arg(long)]
    pub(crate) keep: bool,
    /// Migrate this many small generated datasets instead
    #[arg(long, value_name = "N")]
    pub(crate) datasets: Option<NonZeroUsize>,
    /// The folder that keeps everything; a temporary one if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure chains of three jobs that do nothing, through the real services
    #[command(after_help = super::examples::BENCH)]
    Chains(ChainsArguments),
    /// Measure what a step that runs a program costs beside the program itself
    #[command(after_help = super::examples::BENCH_STEPS)]
    Steps(StepsArguments),
    /// Measure the copy engine: objects and bytes a second, CPU time, memory
    #[command(after_help = super::examples::BENCH_COPY)]
    Copy(CopyArguments),
    /// Measure how much faster more agents migrate one dataset
    #[command(after_help = super::examples::BENCH_FLEET)]
    Fleet(FleetArguments),
    /// Serve objects from memory until standard input ends
    #[command(hide = true, after_help = super::examples::BENCH_COPY)]
    Store,
    /// Copy what standard input says
    #[command(hide = true, after_help = super::examples::BENCH_COPY)]
    Mover,
    /// Serve the migrate pool until standard input ends
    #[command(hide = true, after_help = super::examples::BENCH_FLEET)]
    Agent,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// How many small objects
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(crate) objects: u32,
    /// Bytes of a small object
    #[arg(long, value_name = "BYTES", default_value = "4096")]
    pub(crate) object_size: u64,
    /// How many large objects
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) large: u32,
    /// MiB of a large object
    #[arg(long, value_name = "MIB", default_value = "256")]
    pub(crate) large_mib: u64,
    /// How often each case is measured; the medians are shown
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) rounds: NonZeroU32,
    /// Leave the source objects there, for the next measurement
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Stores to measure at.
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// An S3 endpoint; a second one for copies between two. Without any, embedded stores in memory are started
    #[arg(long, value_name = "URL", num_args = 1..=2)]
    pub(crate) endpoint: Vec<reqwest::Url>,
    /// Access key at the endpoints
    #[arg(long, value_name = "KEY", default_value = "honk-bench")]
    pub(crate) access_key: String,
    /// Secret key at the endpoints
    #[arg(long, value_name = "KEY", default_value = "honk-bench-secret", hide_default_value = true)]
    pub(crate) secret_key: String,
    /// Region of the endpoints
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    pub(crate) region: String,
}

#[derive(Debug, Args)]
pub(crate) struct FleetArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// How many objects the dataset has
    #[arg(long, value_name = "N", default_value = "100000")]
    pub(crate) objects: NonZeroU32,
    /// Bytes of an object
    #[arg(long, value_name = "BYTES", default_value = "64")]
    pub(crate) object_size: u64,
    /// Numbers of agents, measured one after the other
    #[arg(long, value_name = "N,…", default_value = "1,2,4", value_delimiter = ',')]
    pub(crate) agents: Vec<NonZeroUsize>,
    /// What every request waits at the embedded store, as it would on its way to a store elsewhere, in milliseconds
    #[arg(long, value_name = "MS", default_value = "200")]
    pub(crate) latency_ms: u64,
    /// A NATS server to use instead of starting one
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ChainsArguments {
    /// How many chains
    #[arg(long, value_name = "N", default_value = "20000")]
    pub(crate) runs: NonZeroU32,
    /// Agents in each pool
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) agents: NonZeroUsize,
    /// Chains that are under way at once
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<NonZeroUsize>,
    /// A NATS server to use instead of starting one
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StepsArguments {
    /// How many steps, fifty of them to a job
    #[arg(long, value_name = "N", default_value = "2000")]
    pub(crate) steps: NonZeroU32,
    /// A NATS server to use instead of starting one
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
}
