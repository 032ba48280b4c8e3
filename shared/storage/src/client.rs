//! One SDK client per endpoint, region and credentials.
//!
//! The settings differ from the SDK's where third-party servers or long silent copies break on them: path-style URLs and
//! checksums only when required at custom endpoints, no stalled-stream protection (it ends server-side copies that are
//! silent for long), a retry quota per endpoint instead of one per region name, and deadlines of our own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use tokio::sync::Mutex;

use crate::config::{Credentials, StorageConfig};
use crate::error::{ErrorKind, StorageError, Target};
use crate::limiter::{Gate, Tries};
use crate::place::Place;
use crate::store::Store;
use crate::throttle::{Rates, Throttle};
use crate::ways::Ways;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    endpoint: Option<String>,
    region: String,
    credentials: Option<Credentials>,
    /// The entry of the configuration that has a budget, which is not shared with other places.
    budget: Option<usize>,
}

/// A client, how many requests it may have under way, and what was learnt about its endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) gate: Gate,
    pub(crate) ways: Arc<Ways>,
}

/// All stores that a process talks to.
#[derive(Clone, Debug)]
pub struct Stores {
    config: Arc<StorageConfig>,
    clients: Arc<Mutex<HashMap<ClientKey, Connection>>>,
    /// One for each entry of the configuration, and whether what it lets through is granted by somebody.
    throttles: Arc<[Arc<Throttle>]>,
}

/// A budget that all processes share.
#[derive(Clone, Debug)]
pub struct SharedBudget {
    /// The same in every process with the same configuration.
    pub id: String,
    throttle: Arc<Throttle>,
}

impl SharedBudget {
    /// What all processes together may use.
    pub fn rates(&self) -> Rates {
        self.throttle.budget()
    }

    /// How long ago this process last wanted to send something; none: never.
    pub fn idle(&self) -> Option<Duration> {
        self.throttle.idle()
    }

    /// From now on this process may use this much; `None`: nothing, and whoever wants to send something waits.
    pub fn grant(&self, share: Option<Rates>) {
        self.throttle.grant(share);
    }
}

impl Stores {
    /// No connection is opened before it is needed.
    pub fn new(config: StorageConfig) -> Self {
        let throttles = config.endpoints.iter().map(|entry| Arc::new(Throttle::new(entry.rates()))).collect();
        Self { config: Arc::new(config), clients: Arc::default(), throttles }
    }

    /// The budgets of the configuration. Until somebody grants it less, this process uses each of them alone.
    pub fn budgets(&self) -> Vec<SharedBudget> {
        let entries = self.config.endpoints.iter().zip(self.throttles.iter());
        let limited = entries.filter(|(_entry, throttle)| throttle.budget().is_limited());
        limited.map(|(entry, throttle)| SharedBudget { id: entry.id(), throttle: Arc::clone(throttle) }).collect()
    }

    /// The place itself, or at the configured endpoint if it names none: what must be compared with other places.
    pub fn resolve(&self, place: impl Into<Place>) -> Place {
        let place = place.into();
        Place { endpoint: place.endpoint.clone().or_else(|| self.config.endpoint.clone()), ..place }
    }

    /// The bucket of `place`, through the client of its endpoint. Sends nothing.
    pub async fn open(&self, place: &Place) -> Result<Store, StorageError> {
        let place = &self.resolve(place.clone());
        check(place)?;
        let index = self.config.endpoint_index(place);
        let entry = index.and_then(|index| self.config.endpoints.get(index));
        let fallback = place.endpoint.as_ref().and(self.config.credentials.as_ref());
        let key = ClientKey {
            endpoint: place.endpoint_id(),
            region: place.region.clone().unwrap_or_else(|| self.config.region.clone()),
            credentials: entry.and_then(|entry| entry.credentials.as_ref()).or(fallback).cloned(),
            budget: index.filter(|_| entry.is_some_and(|entry| entry.rates().is_limited())),
        };
        let mut clients = self.clients.lock().await;
        let connection = if let Some(connection) = clients.get(&key) {
            connection.clone()
        } else {
            let connection = self.connection(&key, place.endpoint_url()).await;
            clients.insert(key, connection.clone());
            connection
        };
        let etag_is_md5 = entry.is_none_or(|entry| entry.etag_is_md5);
        Ok(Store::new(connection, place, Arc::clone(&self.config), etag_is_md5))
    }

    async fn connection(&self, key: &ClientKey, url: Option<String>) -> Connection {
        let region = Region::new(key.region.clone());
        let builder = match &key.credentials {
            Some(own) => Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .region(region)
                .credentials_provider(aws_credential_types::Credentials::new(
                    &own.access_key,
                    &own.secret_key,
                    own.session_token.clone(),
                    None,
                    "honk configuration",
                )),
            None => Builder::from(&aws_config::defaults(BehaviorVersion::latest()).region(region).load().await),
        };
        let partition = format!("{} {}", key.endpoint.as_deref().unwrap_or("aws"), key.region);
        let builder = builder
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(self.config.request_attempts.max(1))
                    .with_initial_backoff(Duration::from_millis(self.config.request_backoff_ms)),
            )
            .retry_partition(RetryPartition::new(partition))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(Duration::from_millis(self.config.connect_timeout_ms)).build(),
            );
        let throttle = key.budget.and_then(|index| self.throttles.get(index)).cloned();
        let unlimited = || Arc::new(Throttle::new(Rates::default()));
        let gate = Gate::new(self.config.requests_in_flight, throttle.unwrap_or_else(unlimited));
        let builder = builder.interceptor(Tries(gate.clone()));
        let client = Client::from_conf(at_endpoint(builder, url).build());
        Connection { client, gate, ways: Arc::default() }
    }
}

fn at_endpoint(builder: Builder, url: Option<String>) -> Builder {
    let Some(url) = url else { return builder };
    builder
        .endpoint_url(url)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

fn check(place: &Place) -> Result<(), StorageError> {
    let target = || Target { operation: "open", bucket: place.bucket.clone(), key: None };
    let invalid = |detail: String| Err(StorageError::new(ErrorKind::Invalid, target(), detail));
    if place.bucket.is_empty() || place.bucket.contains(['/', ' ']) {
        return invalid(format!("{:?} is no bucket name", place.bucket));
    }
    match place.endpoint_url() {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            invalid(format!("the endpoint {url:?} is no http:// or https:// URL"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores() -> Stores {
        let credentials = Credentials { access_key: "a".into(), secret_key: "s".into(), session_token: None };
        Stores::new(StorageConfig { credentials: Some(credentials), ..StorageConfig::default() })
    }

    #[tokio::test]
    async fn places_at_one_endpoint_share_a_client() {
        let stores = stores();
        for (bucket, url) in [("a", "http://localhost:1"), ("b", "http://127.0.0.1:1/"), ("c", "http://127.0.0.1:2")] {
            stores.open(&Place::new(bucket, "").at(url)).await.unwrap();
        }
        assert_eq!(stores.clients.lock().await.len(), 2);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_is_refused_before_any_request() {
        for place in [Place::new("", ""), Place::new("a/b", ""), Place::new("a", "").at("localhost:9000")] {
            let error = stores().open(&place).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        }
    }
}
