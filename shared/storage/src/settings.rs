//! The `[storage]` section of the services that touch objects. It is flat where [`StorageConfig`] is nested, so that a single
//! environment variable (`HONK_STORAGE__ACCESS_KEY`) sets each value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Credentials, EndpointConfig, StorageConfig};

/// How to reach object stores (`HONK_STORAGE__REGION`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSettings {
    /// The endpoint of places that name none; none means AWS.
    pub endpoint: Option<String>,
    /// The region of places that name none.
    pub region: String,
    /// Access key at custom endpoints that have no entry of their own; AWS uses its own default chain.
    pub access_key: Option<String>,
    /// Secret key of `access_key`.
    pub secret_key: Option<SecretText>,
    /// Session token of `access_key`; only for temporary credentials.
    pub session_token: Option<SecretText>,
    /// What differs per endpoint; only in the file (`[[storage.endpoints]]`).
    pub endpoints: Vec<EndpointSettings>,
    /// How long opening a connection may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a request may take besides moving its bytes, in milliseconds, the client's own retries included.
    pub request_timeout_ms: u64,
    /// How long a body may stay silent while it is read, in milliseconds.
    pub stall_timeout_ms: u64,
}

/// What is particular to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSettings {
    /// The URL as locations spell it; left out for AWS.
    pub endpoint: Option<String>,
    /// Only for places in this region; left out for all.
    pub region: Option<String>,
    /// Access key; left out: AWS's default chain.
    pub access_key: Option<String>,
    /// Secret key of `access_key`.
    pub secret_key: Option<SecretText>,
    /// Session token of `access_key`.
    pub session_token: Option<SecretText>,
    /// Only for this bucket; left out for all. Entries are looked at in their order.
    pub bucket: Option<String>,
    /// False for servers whose `ETag` of a plain upload is not its MD5.
    #[serde(default = "yes")]
    pub etag_is_md5: bool,
    /// Requests a second that all migrate agents together may send there; left out for any number.
    pub requests_per_second: Option<u32>,
    /// Bytes a second that all migrate agents together may read and write there; left out for any number.
    pub bytes_per_second: Option<u64>,
}

/// A secret; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

fn yes() -> bool {
    true
}

impl Default for StorageSettings {
    fn default() -> Self {
        let config = StorageConfig::default();
        Self {
            endpoint: config.endpoint,
            region: config.region,
            access_key: None,
            secret_key: None,
            session_token: None,
            endpoints: Vec::new(),
            connect_timeout_ms: config.connect_timeout_ms,
            request_timeout_ms: config.request_timeout_ms,
            stall_timeout_ms: config.stall_timeout_ms,
        }
    }
}

/// A key without its secret is no credentials.
fn credentials(access: Option<String>, secret: Option<SecretText>, token: Option<SecretText>) -> Option<Credentials> {
    let (access_key, SecretText(secret_key)) = access.zip(secret)?;
    Some(Credentials { access_key, secret_key, session_token: token.map(|SecretText(token)| token) })
}

impl From<EndpointSettings> for EndpointConfig {
    fn from(settings: EndpointSettings) -> Self {
        Self {
            endpoint: settings.endpoint,
            region: settings.region,
            credentials: credentials(settings.access_key, settings.secret_key, settings.session_token),
            bucket: settings.bucket,
            etag_is_md5: settings.etag_is_md5,
            requests_per_second: settings.requests_per_second,
            bytes_per_second: settings.bytes_per_second,
        }
    }
}

impl From<StorageSettings> for StorageConfig {
    fn from(settings: StorageSettings) -> Self {
        Self {
            endpoint: settings.endpoint,
            region: settings.region,
            credentials: credentials(settings.access_key, settings.secret_key, settings.session_token),
            endpoints: settings.endpoints.into_iter().map(EndpointConfig::from).collect(),
            connect_timeout_ms: settings.connect_timeout_ms,
            request_timeout_ms: settings.request_timeout_ms,
            stall_timeout_ms: settings.stall_timeout_ms,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flat_form_becomes_credentials_and_shows_no_secret() {
        let json =
            r#"{"access_key":"AK","secret_key":"hidden","endpoints":[{"endpoint":"http://h:1","etag_is_md5":false}]}"#;
        let settings: StorageSettings = serde_json::from_str(json).unwrap();
        assert!(!format!("{settings:?}").contains("hidden"));
        let config = StorageConfig::from(settings);
        let own = config.credentials.expect("both halves are there");
        assert_eq!((own.access_key.as_str(), own.secret_key.as_str()), ("AK", "hidden"));
        assert!(!config.endpoints[0].etag_is_md5 && config.endpoints[0].credentials.is_none());
    }

    #[test]
    fn every_key_is_shown_by_the_default() {
        let shown = serde_json::to_value(StorageSettings::default()).unwrap();
        assert_eq!(shown.as_object().map(serde_json::Map::len), Some(9));
        assert!(StorageConfig::from(StorageSettings::default()).credentials.is_none());
    }
}
