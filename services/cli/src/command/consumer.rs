//! `honk consumer`: who reads a dataset, and who of them has moved.

use honk_api::wire::{ConsumerAck, ConsumerList};
use honk_protocol::dataset::Consumer;
use reqwest::Method;

use crate::api::{Api, Body, Doing};
use crate::arguments::ConsumerCommand;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view;

pub(super) async fn run(command: ConsumerCommand, api: &Api, output: &Output) -> Result<Exit, CliError> {
    match command {
        ConsumerCommand::List { dataset } => {
            let doing = format!("list the consumers of {dataset}");
            let found: ConsumerList =
                api.get(&["api", "datasets", dataset.as_str(), "consumers"]).await.doing(&doing)?;
            output.data(&found.consumers, |known| view::consumers(known))?;
            if found.consumers.is_empty() {
                output.note(&format!("nobody is known to read {dataset}"));
            }
        }
        ConsumerCommand::Ack { dataset, consumer, epoch } => {
            let doing = format!("say that {consumer} reads {dataset} where it lies");
            let body = Body::json(&ConsumerAck { epoch }).doing(&doing)?;
            let path = ["api", "datasets", dataset.as_str(), "consumers", &consumer.to_string(), "ack"];
            let heard: Consumer = api.send(Method::POST, &path, Some(body)).await.doing(&doing)?;
            output.data(&heard, |heard| view::consumers(std::slice::from_ref(heard)))?;
        }
        ConsumerCommand::Forget { dataset, consumer } => {
            let doing = format!("forget the consumer {consumer} of {dataset}");
            let path = ["api", "datasets", dataset.as_str(), "consumers", &consumer.to_string()];
            api.delete(&path).await.doing(&doing)?;
            output.note(&format!("forgot {consumer}"));
        }
    }
    Ok(Exit::Done)
}
