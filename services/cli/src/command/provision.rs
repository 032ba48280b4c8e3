//! `honk provision`: makes the server's streams, consumers and buckets match the topology, and says what it changed. It refuses, with the
//! difference, where a change would lose messages, and deletes nothing. User and password come from the same `HONK_NATS__*` variables
//! that the services read.

use honk_bus::{Bus, Change, ProvisionError, bucket_config, consumer_config, object_store_config, stream_config};
use honk_protocol::topology::Topology;
use honk_service::config::{NoSettings, load_from};
use honk_service::{Context, environment};
use serde::Serialize;
use serde_json::{Value, json};

use crate::arguments::ProvisionArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Something that was done.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Done {
    change: &'static str,
    what: String,
}

/// Runs the command.
pub(crate) async fn run(arguments: ProvisionArguments, output: &Output) -> Result<Exit, CliError> {
    let topology = Topology::new(&arguments.settings());
    if arguments.print {
        let topology =
            print(&topology).map_err(|error| CliError::failed("cannot show the topology").caused_by(&error))?;
        output.data(&topology, |topology| format!("{topology:#}"))?;
        return Ok(Exit::Done);
    }
    let bus = connect(arguments.nats).await?;
    let changes = bus.provision(&topology).await.map_err(|error| refused(&error))?;
    let changes: Vec<Done> = changes.into_iter().map(done).collect();
    if changes.is_empty() {
        output.note("everything is as it should be");
    }
    output.data(&changes, |changes| {
        changes.iter().map(|done| format!("{} {}", done.change, done.what)).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Done)
}

async fn connect(url: Option<String>) -> Result<Bus, CliError> {
    let settings = load_from::<NoSettings>("honk", &environment());
    let (_, mut common) = settings.map_err(|error| CliError::usage("cannot read the settings").caused_by(&error))?;
    if let Some(url) = url {
        common.nats.url = url;
    }
    let context = Context::new("honk-provision", NoSettings::default(), common);
    honk_agent::start::connect(&context).await.map_err(|error| {
        let hint = "--nats says where NATS is, HONK_NATS__USER and HONK_NATS__PASSWORD as whom";
        CliError::unreachable("cannot reach NATS").caused_by(&error).hint(hint)
    })
}

fn refused(error: &ProvisionError) -> CliError {
    let told = CliError::failed("cannot make streams and consumers match the topology").caused_by(error);
    match error {
        ProvisionError::Differs { .. } | ProvisionError::NoRoom { .. } => told,
        ProvisionError::Bus(_) => told.hint("has the server JetStream, and may this user make streams and consumers?"),
    }
}

fn done(change: Change) -> Done {
    match change {
        Change::Created(what) => Done { change: "created", what },
        Change::Updated(what) => Done { change: "updated", what },
    }
}

/// The topology as the server's API has it: what `nats stream add --config` and `nats consumer add --config` read.
fn print(topology: &Topology) -> Result<Value, serde_json::Error> {
    let (mut streams, mut consumers) = (Vec::new(), Vec::new());
    for stream in &topology.streams {
        streams.push(serde_json::to_value(stream_config(stream))?);
        for consumer in &stream.consumers {
            let config = serde_json::to_value(consumer_config(consumer))?;
            consumers.push(json!({ "stream_name": stream.name, "config": config }));
        }
    }
    for bucket in &topology.buckets {
        streams.push(serde_json::to_value(bucket_config(bucket))?);
    }
    for store in &topology.object_stores {
        streams.push(serde_json::to_value(object_store_config(store))?);
    }
    Ok(json!({ "streams": streams, "consumers": consumers }))
}

#[cfg(test)]
mod tests {
    use honk_protocol::topology::Settings;

    use super::*;

    #[test]
    fn what_is_printed_has_every_stream_and_every_consumer_with_its_stream() {
        let pools = vec!["gpu".parse().unwrap()];
        let printed = print(&Topology::new(&Settings { replicas: 3, pools, ..Settings::default() })).unwrap();
        let streams = printed["streams"].as_array().unwrap();
        assert!(streams.iter().all(|stream| stream["num_replicas"] == 3 && stream["name"].is_string()));
        assert!(streams.iter().any(|stream| stream["name"] == "KV_honk_runs"));
        let gpu = printed["consumers"].as_array().unwrap().iter().find(|one| one["config"]["durable_name"] == "gpu");
        assert_eq!(gpu.unwrap()["stream_name"], "HONK_JOBS");
        assert_eq!(gpu.unwrap()["config"]["filter_subject"], "honk.job.gpu.>");
    }

    #[test]
    fn a_refusal_tells_the_difference_and_where_a_connection_failed_what_to_look_at() {
        let differs = ProvisionError::Differs { kind: "stream", name: "S".into(), differences: "a: 1 → 2".into() };
        let error = refused(&differs);
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.to_string().contains("stream `S` exists with a: 1 → 2"), "{error}");
        let lost = ProvisionError::Bus(honk_bus::BusError::Timeout { what: "look".into() });
        assert!(refused(&lost).to_string().contains("hint: "));
    }
}
