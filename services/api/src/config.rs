//! The API's settings (`HONK_API__LISTEN`, …).

use std::net::{Ipv4Addr, SocketAddr};

use honk_protocol::name::PoolName;
use serde::{Deserialize, Serialize};

/// The port that producers and the `honk` command try first.
const PORT: u16 = 8080;

/// The sections that only the API reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiSettings {
    /// The listener.
    pub api: ApiConfig,
}

/// Where to listen, and what the outside calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiConfig {
    /// The address; must be on the loopback interface as long as there is no authentication. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// What the URLs in answers begin with, e.g. `https://honk.example.com`; none gives paths alone.
    pub public_url: Option<String>,
    /// Pools beside the built-in ones, so that workflows which use them are registered without a warning.
    pub pools: Vec<PoolName>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), public_url: None, pools: Vec::new() }
    }
}

impl ApiConfig {
    /// The URL of `path`, as answers show it.
    pub fn url(&self, path: &str) -> String {
        let base = self.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        format!("{base}{path}")
    }

    /// Whether the pool exists as far as this configuration knows.
    pub fn knows_pool(&self, pool: &PoolName) -> bool {
        PoolName::built_in(pool.as_str()).is_some() || self.pools.contains(pool)
    }
}

#[cfg(test)]
mod tests {
    use honk_service::Environment;
    use honk_service::config::load_from;

    use super::*;

    #[test]
    fn settings_come_from_the_environment() {
        let environment = Environment::from_iter([
            ("HONK_API__LISTEN", "127.0.0.1:0"),
            ("HONK_API__PUBLIC_URL", "https://honk.example.com"),
            ("HONK_API__POOLS", "arm,gpu"),
        ]);
        let (settings, _) = load_from::<ApiSettings>("honk-api", &environment).unwrap();
        assert_eq!(settings.api.listen.port(), 0);
        assert!(settings.api.public_url.is_some() && settings.api.knows_pool(&"gpu".parse().unwrap()));
        let wrong = Environment::from_iter([("HONK_API__LISTEN", "everywhere")]);
        let error = load_from::<ApiSettings>("honk-api", &wrong).unwrap_err().to_string();
        assert!(error.contains("HONK_API__LISTEN"), "{error}");
    }

    #[test]
    fn urls_are_paths_unless_the_outside_has_a_name() {
        let config = ApiConfig::default();
        assert_eq!(config.url("/api/runs"), "/api/runs");
        let config = ApiConfig { public_url: Some("https://honk.example.com/".into()), ..config };
        assert_eq!(config.url("/api/runs"), "https://honk.example.com/api/runs");
    }
}
