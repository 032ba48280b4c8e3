//! Which lines `honk run logs` and `honk workflow logs` show.

use clap::Args;
use honk_protocol::name::JobName;
use jiff::Timestamp;

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Only this job's
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<JobName>,
    /// Only those of this attempt, from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Only those since then: how long ago, such as `10m`, or a time, such as `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<String>,
    /// Go on with what is printed, until the run's end
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// Refuses here what the API would refuse, and leaves it to the API to say what time it is.
fn since(text: &str) -> Result<String, String> {
    honk_api::wire::since(text, Timestamp::UNIX_EPOCH).map(|_| text.to_owned())
}
