//! Setting the stage: objects in the old store, and through the API what a person would register.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use honk_api::wire::{EventAccepted, ImportAnswer, LocationView, WorkflowRegistered};
use honk_protocol::event::OnboardEvent;
use honk_protocol::name::{DatasetName, RunId};
use honk_storage::{Algorithm, Attributes, Place, Store, Stores};
use reqwest::Method;
use serde_json::{Value, json};

use super::datasets::{CHUNK, Sample, SampleObject};
use crate::api::{Api, Body, Doing};
use crate::error::CliError;

/// The workflow that ships with Honk.
const WORKFLOW: &str = include_str!("../../../../workflows/migrate-dataset.yml");

const OLD_BUCKET: &str = "warehouse";
const NEW_BUCKET: &str = "lakehouse";

/// Requests under way at once, to the API and to the stores.
const IN_FLIGHT: usize = 32;

/// Documents of one import.
const DOCUMENTS: usize = 200;

/// The two stores, and the API.
pub(super) struct Stage {
    pub(super) api: Api,
    pub(super) stores: Stores,
    /// The old store's URL.
    pub(super) old: String,
    /// The new store's URL.
    pub(super) new: String,
}

impl Stage {
    /// Where a dataset lies.
    fn source(&self, sample: &Sample) -> Place {
        Place::new(OLD_BUCKET, sample.name.as_str()).at(&self.old)
    }

    /// Where it goes.
    pub(super) fn target(&self, sample: &Sample) -> Place {
        let store = if sample.stays_in_store { &self.old } else { &self.new };
        Place::new(NEW_BUCKET, sample.name.as_str()).at(store)
    }

    /// Writes the objects that are there from the start, and registers everything. Notices go to `receiver`.
    pub(super) async fn prepare(&self, samples: &[Sample], receiver: &str) -> Result<(), CliError> {
        for place in [
            Place::new(OLD_BUCKET, "").at(&self.old),
            Place::new(NEW_BUCKET, "").at(&self.old),
            Place::new(NEW_BUCKET, "").at(&self.new),
        ] {
            let store = self.open(&place).await?;
            if !store.bucket_exists().await.map_err(|error| failed("look for a bucket", &error))? {
                store.create_bucket().await.map_err(|error| failed("create a bucket", &error))?;
            }
        }
        let present = samples.iter().filter(|sample| !sample.is_empty_at_first);
        stream::iter(present).map(|sample| self.upload(sample)).buffer_unordered(4).try_collect::<()>().await?;
        let workflow = Some(Body::yaml(WORKFLOW));
        let _registered: WorkflowRegistered =
            self.api.send(Method::POST, &["api", "workflows"], workflow).await.doing("register the workflow")?;
        for batch in samples.chunks(DOCUMENTS) {
            let documents: Vec<Value> = batch.iter().map(|sample| entity(sample, receiver)).collect();
            let body = Some(Body::json(&documents).doing("register the datasets")?);
            let _imported: ImportAnswer = self
                .api
                .send(Method::POST, &["api", "catalog", "import"], body)
                .await
                .doing("register the datasets")?;
        }
        stream::iter(samples).map(|sample| self.locate(sample)).buffer_unordered(IN_FLIGHT).try_collect::<()>().await
    }

    /// Writes a dataset's objects to the old store.
    pub(super) async fn upload(&self, sample: &Sample) -> Result<(), CliError> {
        let place = self.source(sample);
        let store = self.open(&place).await?;
        let (store, place) = (&store, &place);
        let uploads = sample.objects.iter().map(|object| put(store, place.key(&object.key), object));
        stream::iter(uploads).buffer_unordered(IN_FLIGHT).try_collect::<()>().await
    }

    /// Publishes an event for each dataset.
    pub(super) async fn publish(&self, samples: &[Sample]) -> Result<HashMap<DatasetName, RunId>, CliError> {
        let events = samples.iter().map(|sample| self.publish_one(&sample.name));
        stream::iter(events).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    pub(super) async fn open(&self, place: &Place) -> Result<Store, CliError> {
        self.stores.open(place).await.map_err(|error| failed("open a store", &error))
    }

    async fn publish_one(&self, dataset: &DatasetName) -> Result<(DatasetName, RunId), CliError> {
        let event = OnboardEvent {
            id: uuid::Uuid::new_v4().to_string(),
            source: "/honk/demo".into(),
            dataset: dataset.clone(),
            workflow: None,
            time: None,
            input: serde_json::Map::new(),
        };
        let body = Body { content_type: "application/cloudevents+json", bytes: event.to_structured() };
        let accepted: EventAccepted =
            self.api.send(Method::POST, &["events"], Some(body)).await.doing("publish an event")?;
        Ok((dataset.clone(), accepted.run))
    }

    async fn locate(&self, sample: &Sample) -> Result<(), CliError> {
        let spec = json!({ "source": spec(&self.source(sample)), "target": spec(&self.target(sample)) });
        let body = Some(Body::json(&spec).doing("register a location")?);
        let path = ["api", "datasets", sample.name.as_str(), "location"];
        let _location: LocationView = self.api.send(Method::PUT, &path, body).await.doing("register a location")?;
        Ok(())
    }
}

fn spec(place: &Place) -> Value {
    json!({ "s3": { "bucket": place.bucket, "prefix": place.prefix, "endpoint": place.endpoint } })
}

fn entity(sample: &Sample, receiver: &str) -> Value {
    json!({
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Resource",
        "metadata": { "name": sample.name, "description": sample.shows, "annotations": { "honk/notify-url": receiver } },
        "spec": { "type": "dataset", "owner": "data-team" },
    })
}

async fn put(store: &Store, key: String, object: &SampleObject) -> Result<(), CliError> {
    let attributes = Attributes { content_type: Some(object.content_type.to_owned()), ..Attributes::default() };
    if object.size() <= CHUNK {
        let put = store.put_small(&key, object.chunk(0), &attributes).await;
        return put.map(drop).map_err(|error| failed("write an object", &error));
    }
    let written = async {
        let upload = store.create_upload(&key, &attributes, Algorithm::Crc64Nvme).await?;
        let mut parts = Vec::new();
        for (number, offset) in (1..).zip((0..object.size()).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX))) {
            parts.push(upload.part(number, object.chunk(offset)).await?);
        }
        upload.complete(&parts).await
    };
    written.await.map(drop).map_err(|error| failed("write an object in parts", &error))
}

fn failed(doing: &str, error: &honk_storage::StorageError) -> CliError {
    CliError::failed(format!("cannot {doing}")).caused_by(error)
}
