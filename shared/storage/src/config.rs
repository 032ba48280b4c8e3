//! What a process may say about its stores. Deserialised by the service that owns the configuration.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::place::Place;
use crate::throttle::Rates;

/// Settings of every client, with the defaults that a fleet of small and large objects needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The endpoint of places that name none; none means AWS.
    pub endpoint: Option<String>,
    /// The region of places that name none.
    pub region: String,
    /// For custom endpoints that have no entry of their own in `endpoints`; AWS uses its own default chain.
    pub credentials: Option<Credentials>,
    /// What differs per endpoint.
    pub endpoints: Vec<EndpointConfig>,
    /// Requests under way at one endpoint in each direction, by all of the process, at the most: how many there are, the endpoint's speed
    /// decides.
    pub requests_in_flight: usize,
    /// Tries of one request by the client itself, meant for broken connections; longer patience is the caller's.
    pub request_attempts: u32,
    /// The first pause between these tries, in milliseconds; it doubles and varies.
    pub request_backoff_ms: u64,
    /// How long opening a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a request may take besides moving its bytes, in milliseconds, the client's own retries included.
    pub request_timeout_ms: u64,
    /// How long a body may stay silent while it is read, in milliseconds.
    pub stall_timeout_ms: u64,
    /// A request that moves bytes may take as much longer as they need at this speed.
    pub min_bytes_per_second: u64,
    /// Above this many bytes a server-side copy is made of parts. S3's `CopyObject` ends at 5 GiB.
    pub copy_object_limit: u64,
    /// Keys per listing request; S3 answers with at most 1,000.
    pub page_size: i32,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            credentials: None,
            endpoints: Vec::new(),
            requests_in_flight: 256,
            request_attempts: 3,
            request_backoff_ms: 100,
            connect_timeout_ms: 5_000,
            request_timeout_ms: 30_000,
            stall_timeout_ms: 30_000,
            min_bytes_per_second: 1 << 20,
            copy_object_limit: 5 << 30,
            page_size: 1_000,
        }
    }
}

impl StorageConfig {
    /// How long a request that moves `bytes` may take.
    pub(crate) fn deadline(&self, bytes: u64) -> Duration {
        let moving = bytes.saturating_mul(1_000) / self.min_bytes_per_second.max(1);
        Duration::from_millis(self.request_timeout_ms.saturating_add(moving))
    }

    /// Which entry of `endpoints` is for `place`: the first that matches.
    pub(crate) fn endpoint_index(&self, place: &Place) -> Option<usize> {
        self.endpoints.iter().position(|entry| entry.matches(place))
    }
}

/// What is particular to one endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// The URL as locations spell it; left out for AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Only for places in this region; left out for all.
    #[serde(default)]
    pub region: Option<String>,
    /// Only for this bucket; left out for all. Entries are looked at in their order.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Left out: the default AWS chain.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// False for servers whose `ETag` of a plain upload is not its MD5; their objects are then verified by checksums
    /// or by reading both sides.
    #[serde(default = "yes")]
    pub etag_is_md5: bool,
    /// Requests a second that all agents together may send; left out for any number.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    /// Bytes a second that all agents together may read and write; left out for any number.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
}

impl EndpointConfig {
    fn matches(&self, place: &Place) -> bool {
        let own = Place { endpoint: self.endpoint.clone(), ..Place::new("", "") };
        let is_or_any = |wanted: Option<&String>, found: Option<&String>| wanted.is_none() || wanted == found;
        own.endpoint_id() == place.endpoint_id()
            && is_or_any(self.region.as_ref(), place.region.as_ref())
            && is_or_any(self.bucket.as_ref(), Some(&place.bucket))
    }

    /// The budget; one of zero would stop everything for ever and counts as the smallest.
    #[expect(clippy::cast_precision_loss, reason = "a rate, of which a few digits matter")]
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            requests: self.requests_per_second.map(|rate| f64::from(rate.max(1))),
            bytes: self.bytes_per_second.map(|rate| rate.max(1) as f64),
        }
    }

    /// A name for the entry that is the same wherever the same places are meant.
    pub(crate) fn id(&self) -> String {
        let own = Place { endpoint: self.endpoint.clone(), ..Place::new("", "") };
        let parts = [own.endpoint_id(), self.region.clone(), self.bucket.clone()];
        parts.map(Option::unwrap_or_default).join(" ")
    }
}

fn yes() -> bool {
    true
}

/// A key pair; never printed.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Only for temporary credentials.
    #[serde(default)]
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let json = r#"{"credentials":{"access_key":"AK","secret_key":"hidden","session_token":"token"}}"#;
        let config: StorageConfig = serde_json::from_str(json).unwrap();
        let text = format!("{config:?}");
        assert!(text.contains("AK") && !text.contains("hidden") && !text.contains("token\""), "{text}");
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let error = serde_json::from_str::<StorageConfig>(r#"{"regoin":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("regoin"), "{error}");
    }

    #[test]
    fn a_request_gets_more_time_for_more_bytes() {
        let config = StorageConfig { request_timeout_ms: 1_000, min_bytes_per_second: 100, ..StorageConfig::default() };
        assert_eq!(config.deadline(0), Duration::from_secs(1));
        assert_eq!(config.deadline(200), Duration::from_secs(3));
        let endless = StorageConfig { min_bytes_per_second: 0, ..config };
        assert!(endless.deadline(u64::MAX) > Duration::from_secs(1));
    }

    #[test]
    fn an_entry_is_found_by_any_spelling_of_its_endpoint() {
        let json = r#"{"endpoints":[{"endpoint":"http://LOCALHOST:80/"},{"region":"eu-west-1"}]}"#;
        let config: StorageConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.endpoint_index(&Place::new("b", "").at("http://127.0.0.1")), Some(0));
        assert_eq!(config.endpoint_index(&Place::new("b", "").at("http://127.0.0.1:81")), None);
        assert_eq!(config.endpoint_index(&Place::new("b", "")), None);
        let west = Place { region: Some("eu-west-1".into()), ..Place::new("b", "") };
        assert_eq!(config.endpoint_index(&west), Some(1));
    }

    #[test]
    fn an_entry_may_be_for_one_bucket_and_have_a_budget() {
        let json = r#"{"endpoints":[{"bucket":"busy","requests_per_second":100},{"bytes_per_second":5}]}"#;
        let config: StorageConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.endpoint_index(&Place::new("busy", "")), Some(0));
        assert_eq!(config.endpoint_index(&Place::new("other", "")), Some(1));
        assert_eq!(config.endpoints[0].rates(), Rates { requests: Some(100.0), bytes: None });
        assert_eq!(config.endpoints[1].rates(), Rates { requests: None, bytes: Some(5.0) });
        assert_ne!(config.endpoints[0].id(), config.endpoints[1].id());
    }
}
