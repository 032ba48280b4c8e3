//! Datasets: made with their objects, entity and location, and compared when they have been migrated.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, pin_mut};
use honk_bus::Bus;
use honk_protocol::dataset::{Location, LocationSpec, Place, S3Place, Side};
use honk_protocol::entity::Entity;
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::subject;
use honk_service::Clock;
use honk_storage::{Algorithm, Attributes, ContentHasher, Store};
use serde_json::{Value, json};

use crate::Harness;
use crate::harness::{SOURCE_BUCKET, TARGET_BUCKET};

/// A dataset of the harness's own store, under a prefix of its name in both buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: DatasetName,
}

/// Size and SHA-256 of every object under a prefix, by relative key.
pub type Content = BTreeMap<String, (u64, String)>;

impl Harness {
    /// A dataset with `objects` small objects, ready to migrate inside the harness's own store.
    pub async fn dataset(&self, name: &str, objects: usize) -> Dataset {
        let url = self.s3.url();
        self.dataset_between(name, objects, (&url, &url)).await
    }

    /// A dataset whose location names these endpoints: the store's own, or proxies before it.
    pub async fn dataset_between(&self, name: &str, objects: usize, (source, target): (&str, &str)) -> Dataset {
        let dataset = Dataset { name: name.parse().unwrap() };
        let store = self.store(SOURCE_BUCKET).await;
        for number in 0..objects {
            let text = format!("{name} {number} {}\n", "0123456789".repeat(number % 50));
            let key = format!("{name}/part-{number:04}.csv");
            store.put_small(&key, Bytes::from(text), &Attributes::default()).await.unwrap();
        }
        self.import(name, "Resource", &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
        self.locate(name, (source, target)).await;
        dataset
    }

    /// Registers where a dataset lies and goes: its prefix in both buckets, at these endpoints.
    pub async fn locate(&self, name: &str, (source, target): (&str, &str)) {
        let spec = LocationSpec {
            source: place(source, SOURCE_BUCKET, name),
            target: place(target, TARGET_BUCKET, name),
            format: None,
        };
        let location = serde_json::to_vec(&Location::registered(spec, Clock::system().now())).unwrap();
        self.bus.locations().put(&subject::location_key(&name.parse().unwrap()), location).await.unwrap();
    }

    /// Puts an entity into the catalog.
    pub async fn import(&self, name: &str, kind: &str, annotations: &Value, spec: &Value) {
        import(&self.bus, (kind, name), annotations, spec).await;
    }

    /// The dataset's location as it is registered now.
    pub async fn location(&self, dataset: &Dataset) -> Location {
        let entry = self.bus.locations().get(&subject::location_key(&dataset.name)).await.unwrap();
        serde_json::from_slice(&entry.expect("it has a location").value).unwrap()
    }

    /// The dataset was migrated by `run` and by no other: its target holds what its source holds, byte for byte, and readers are
    /// sent there.
    pub async fn assert_migrated(&self, dataset: &Dataset, run: &RunId) {
        let location = self.location(dataset).await;
        assert_eq!((location.active, location.run.as_ref()), (Side::Target, Some(run)), "location of {}", dataset.name);
        self.assert_equal(dataset).await;
    }

    /// The dataset was not migrated: readers are sent to its source.
    pub async fn assert_not_migrated(&self, dataset: &Dataset) {
        let location = self.location(dataset).await;
        assert_eq!((location.active, location.run), (Side::Source, None), "location of {}", dataset.name);
    }

    async fn assert_equal(&self, dataset: &Dataset) {
        let prefix = format!("{}/", dataset.name);
        let source = content(&self.store(SOURCE_BUCKET).await, &prefix).await;
        let target = content(&self.store(TARGET_BUCKET).await, &prefix).await;
        assert!(!source.is_empty(), "the source of {} is empty", dataset.name);
        assert_eq!(source, target, "source and target of {}", dataset.name);
    }

    /// One of the two buckets, straight, past all proxies.
    pub async fn store(&self, bucket: &str) -> Store {
        self.store_at(&self.s3.url(), bucket).await
    }

    /// A bucket at another endpoint that takes the same keys.
    pub async fn store_at(&self, endpoint: &str, bucket: &str) -> Store {
        self.stores.open(&honk_storage::Place::new(bucket, "").at(endpoint)).await.unwrap()
    }
}

/// Puts an entity into the catalog. Returns the revision.
pub(crate) async fn import(bus: &Bus, (kind, name): (&str, &str), annotations: &Value, spec: &Value) -> u64 {
    let entity: Entity = serde_json::from_value(json!({
        "apiVersion": "backstage.io/v1alpha1", "kind": kind,
        "metadata": { "name": name, "annotations": annotations }, "spec": spec,
    }))
    .unwrap();
    bus.catalog().put(&entity.key(), serde_json::to_vec(&entity).unwrap()).await.unwrap()
}

/// A place, as locations have it.
pub fn place(endpoint: &str, bucket: &str, prefix: &str) -> Place {
    Place::S3(S3Place { bucket: bucket.into(), prefix: prefix.into(), endpoint: Some(endpoint.into()), region: None })
}

/// Reads everything under a prefix.
pub async fn content(store: &Store, prefix: &str) -> Content {
    let pages = store.list(prefix, 1_000);
    pin_mut!(pages);
    let mut content = Content::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        for object in page {
            let chunks = store.get(&object.key, None, None).await.unwrap().into_stream();
            pin_mut!(chunks);
            let mut hasher = ContentHasher::new(Algorithm::Sha256);
            while let Some(chunk) = chunks.try_next().await.unwrap() {
                hasher.update(&chunk);
            }
            let key = object.key.strip_prefix(prefix).unwrap_or(&object.key).to_owned();
            content.insert(key, (object.size, hasher.finish().value));
        }
    }
    content
}
