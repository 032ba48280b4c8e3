//! The arguments of `honk provision`.

use std::time::Duration;

use clap::Args;
use honk_protocol::name::PoolName;
use honk_protocol::topology::Settings;

#[derive(Debug, Args)]
pub(crate) struct ProvisionArguments {
    /// The NATS server, if not the one that `HONK_NATS__URL` names
    #[arg(long, value_name = "URL")]
    pub(crate) nats: Option<String>,
    /// Copies of every stream and bucket: 1, or 3 in a cluster
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// A pool beside the built-in ones; once for each
    #[arg(long = "pool", value_name = "NAME")]
    pools: Vec<PoolName>,
    /// How long an agent may go without a sign of life before its job is given to another
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = ack_wait)]
    ack_wait: Duration,
    /// Print what should exist, as JSON, and change nothing
    #[arg(long, conflicts_with = "nats")]
    pub(crate) print: bool,
}

impl ProvisionArguments {
    /// What should exist.
    pub(crate) fn settings(&self) -> Settings {
        Settings { replicas: self.replicas.into(), ack_wait: self.ack_wait, pools: self.pools.clone() }
    }
}

fn ack_wait(text: &str) -> Result<Duration, String> {
    let time = honk_service::config::human_duration::parse(text);
    // An agent gives three signs of life in it, and shorter pauses are everyday business for a network.
    time.filter(|time| *time >= Duration::from_secs(1))
        .ok_or_else(|| "it must be a time of 1s or more, like 30s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_time_of_a_second_or_more() {
        assert_eq!(ack_wait("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "30", "0s", "900ms", "-5s", "soon"] {
            assert!(ack_wait(wrong).is_err(), "{wrong}");
        }
    }
}
