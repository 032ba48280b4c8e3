//! The compose file as a container engine would read it: variables filled in, merge keys followed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use honk_testkit::users::{password, root};

/// The compose file.
pub(crate) struct Compose(Value);

/// What matters here of a service.
pub(crate) struct Service {
    pub command: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub volumes: Vec<String>,
    pub ports: Vec<String>,
    pub network_mode: Option<String>,
    pub stop_grace_period: String,
}

/// A file of the repository.
pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A YAML file of the repository.
pub(crate) fn yaml(file: &str) -> Value {
    parse(file, &read(file))
}

fn parse(file: &str, text: &str) -> Value {
    let parsed = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    merged(parsed)
}

/// The names in `.env.example`, and what they are set to.
pub(crate) fn example_variables() -> Vec<(String, String)> {
    let text = read("deploy/.env.example");
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Compose {
    /// With a password for everyone, and everything else as in `.env.example`.
    pub(crate) fn read() -> Self {
        let variables: BTreeMap<String, String> = example_variables().into_iter().map(with_password).collect();
        Self(parse("compose.yaml", &filled_in(&read("deploy/compose.yaml"), &variables)))
    }

    pub(crate) fn services(&self) -> Vec<(String, Service)> {
        self.0["services"].as_object().unwrap().keys().map(|name| (name.clone(), self.service(name))).collect()
    }

    pub(crate) fn service(&self, name: &str) -> Service {
        let service = &self.0["services"][name];
        assert!(service.is_object(), "there is no service {name}");
        let list = |key: &str| -> Vec<String> { service[key].as_array().into_iter().flatten().map(text).collect() };
        let environment = service["environment"].as_object().cloned().unwrap_or_default();
        Service {
            command: list("command"),
            environment: environment.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            volumes: list("volumes"),
            ports: list("ports"),
            network_mode: service["network_mode"].as_str().map(ToOwned::to_owned),
            stop_grace_period: service["stop_grace_period"].as_str().unwrap_or("10s").to_owned(),
        }
    }
}

impl Service {
    /// Files and folders of the host, and where they are in the container.
    pub(crate) fn mounts(&self) -> Vec<(String, String)> {
        let parts = self.volumes.iter().map(|volume| volume.split(':').collect::<Vec<_>>());
        parts.filter(|parts| parts[0].starts_with('.')).map(|parts| (parts[0].into(), parts[1].into())).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn with_password((name, value): (String, String)) -> (String, String) {
    let user = name.strip_prefix("NATS_").and_then(|rest| rest.strip_suffix("_PASSWORD")).map(str::to_lowercase);
    (name, user.map_or(value, |user| password(&user)))
}

/// Replaces `${NAME}`, `${NAME:-default}` and `${NAME:?why}`.
fn filled_in(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once('}').unwrap();
        let (name, otherwise) = expression.split_once(':').unwrap_or((expression, "-"));
        let value = variables.get(name).filter(|value| !value.is_empty()).cloned();
        filled += &value.unwrap_or_else(|| match otherwise.strip_prefix('-') {
            Some(default) => default.to_owned(),
            None => panic!("{name} is not set"),
        });
        filled += rest;
    }
    filled
}

/// Follows the merge keys that the parser leaves in place.
fn merged(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(merged).collect()),
        Value::Object(map) => {
            let mut map: Map<String, Value> = map.into_iter().map(|(key, value)| (key, merged(value))).collect();
            let bases = match map.remove("<<") {
                Some(Value::Array(bases)) => bases,
                base => base.into_iter().collect(),
            };
            for (key, value) in bases.iter().filter_map(Value::as_object).flatten() {
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
            Value::Object(map)
        }
        other => other,
    }
}
