//! Reads the layers and tries every single value, so that all faults are found in one go.
//!
//! A fault in one value must not hide another: each value is laid alone over the defaults and deserialised; only when
//! all pass are the layers merged.

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::faults::{ConfigErrors, Fault, explain, nearest};
use super::{Common, OTHER_VARIABLES, SERVICE_SECTIONS, Settings};
use crate::environment::Environment;

const PREFIX: &str = "HONK_";

/// The standard variables of OpenTelemetry that mean one of our settings; ours win over them.
const OTEL_ALIASES: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp_endpoint"),
    ("OTEL_SDK_DISABLED", "otlp_disabled"),
    ("OTEL_SERVICE_NAME", "service_name"),
    ("OTEL_TRACES_SAMPLER_ARG", "sample_ratio"),
];

pub(super) fn load<T: Settings>(service: &str, environment: &Environment) -> Result<(T, Common), ConfigErrors> {
    let fault = |error: &ConfigError| Fault { at: format!("settings of {service}"), what: explain(error) };
    let defaults = defaults::<T>().map_err(|error| ConfigErrors::new(vec![fault(&error)]))?;
    let mut reader = Reader { known: known_keys(&defaults), values: Vec::new(), faults: Vec::new() };
    reader.read_file(environment, &defaults);
    reader.read_variables(environment, &defaults);
    let Reader { values, mut faults, .. } = reader;
    for value in &values {
        if let Err(what) = try_alone::<T>(&defaults, value) {
            faults.push(Fault { at: value.at.clone(), what });
        }
    }
    if !faults.is_empty() {
        return Err(ConfigErrors::new(faults));
    }
    merge::<T>(&defaults, &values).map_err(|error| ConfigErrors::new(vec![fault(&error)]))
}

/// A nested table as a layer of the `config` crate.
#[derive(Clone, Debug, Default)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// One value that somebody has set.
struct Given {
    at: String,
    layer: Layer,
}

fn merge<T: Settings>(defaults: &Layer, values: &[Given]) -> Result<(T, Common), ConfigError> {
    let merged = lay(defaults, values)?;
    Ok((merged.clone().try_deserialize()?, merged.try_deserialize()?))
}

fn lay(defaults: &Layer, values: &[Given]) -> Result<Config, ConfigError> {
    let base = Config::builder().add_source(defaults.clone());
    values.iter().fold(base, |builder, value| builder.add_source(value.layer.clone())).build()
}

/// Why this value does not do. For an enum the `config` crate does not say what would do; serde's own message does.
fn try_alone<T: Settings>(defaults: &Layer, value: &Given) -> Result<(), String> {
    let alone = std::slice::from_ref(value);
    let Err(error) = merge::<T>(defaults, alone) else { return Ok(()) };
    let what = explain(&error);
    if !what.starts_with("enum ") {
        return Err(what);
    }
    let json = lay(defaults, alone).and_then(Config::try_deserialize::<serde_json::Value>);
    match json.map(serde_json::from_value::<T>) {
        Ok(Err(clearer)) => Err(clearer.to_string()),
        _ => Err(what),
    }
}

/// The defaults of the common sections and of the service's own settings, which are also the schema.
fn defaults<T: Settings>() -> Result<Layer, ConfigError> {
    let json = |error: serde_json::Error| ConfigError::Foreign(Box::new(error));
    let tables =
        [serde_json::to_value(Common::default()).map_err(json)?, serde_json::to_value(T::default()).map_err(json)?];
    let builder = tables.into_iter().fold(Config::builder(), |builder, table| match from_json(table).kind {
        ValueKind::Table(table) => builder.add_source(Layer(table)),
        _ => builder,
    });
    builder.build()?.collect().map(Layer)
}

/// Keeps what the `config` crate's own serialiser drops: empty maps and lists, which are part of the schema.
fn from_json(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => ValueKind::Nil,
        Json::Bool(value) => ValueKind::Boolean(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => ValueKind::I64(value),
            (None, Some(value)) => ValueKind::U64(value),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => ValueKind::String(text),
        Json::Array(items) => ValueKind::Array(items.into_iter().map(from_json).collect()),
        Json::Object(map) => ValueKind::Table(map.into_iter().map(|(key, value)| (key, from_json(value))).collect()),
    };
    Value::new(None, kind)
}

/// The dotted names of all settings.
fn known_keys(defaults: &Layer) -> Vec<String> {
    fn walk(prefix: &str, table: &Map<String, Value>, keys: &mut Vec<String>) {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match &value.kind {
                ValueKind::Table(table) if !table.is_empty() => walk(&format!("{path}."), table, keys),
                _ => keys.push(path),
            }
        }
    }
    let mut keys = Vec::new();
    walk("", &defaults.0, &mut keys);
    keys.sort();
    keys
}

fn variable_of(path: &[String]) -> String {
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

fn nested(path: &[String], value: Value) -> Map<String, Value> {
    let wrap = |inner: Value, key: &String| Value::new(None, ValueKind::Table(Map::from_iter([(key.clone(), inner)])));
    match path.iter().rev().fold(value, wrap).kind {
        ValueKind::Table(table) => table,
        _ => Map::new(),
    }
}

/// Where the values of a layer come from.
enum Origin<'a> {
    Variable(&'a str),
    File(&'a str),
}

impl Origin<'_> {
    fn at(&self, path: &[String]) -> String {
        match self {
            Self::Variable(name) => (*name).to_owned(),
            Self::File(file) => format!("{} in {file}", path.join(".")),
        }
    }

    fn spell(&self, key: &str) -> String {
        match self {
            Self::Variable(_) => variable_of(&key.split('.').map(str::to_owned).collect::<Vec<_>>()),
            Self::File(_) => key.to_owned(),
        }
    }
}

struct Reader {
    known: Vec<String>,
    values: Vec<Given>,
    faults: Vec<Fault>,
}

impl Reader {
    fn read_file(&mut self, environment: &Environment, defaults: &Layer) {
        let Some(path) = environment.get("HONK_CONFIG") else { return };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault("HONK_CONFIG".to_owned(), format!("cannot read {path}: {error}")),
        };
        match File::from_str(&text, FileFormat::Toml).collect() {
            Ok(table) => self.walk(&mut Vec::new(), &table, &defaults.0, &Origin::File(path)),
            Err(error) => self.fault(path.to_owned(), explain(&error).trim_end().to_owned()),
        }
    }

    fn read_variables(&mut self, environment: &Environment, defaults: &Layer) {
        for (name, key) in OTEL_ALIASES {
            if let Some(value) = environment.get(name) {
                let path = ["telemetry".to_owned(), key.to_owned()];
                let table = nested(&path, Value::from(value));
                self.walk(&mut Vec::new(), &table, &defaults.0, &Origin::Variable(name));
            }
        }
        for (name, value) in environment.iter().filter(|(name, _)| !OTHER_VARIABLES.contains(name)) {
            if let Some(key) = name.strip_prefix(PREFIX) {
                let path: Vec<String> = key.to_lowercase().split("__").map(str::to_owned).collect();
                let table = nested(&path, Value::from(value));
                self.walk(&mut Vec::new(), &table, &defaults.0, &Origin::Variable(name));
            }
        }
    }

    /// Takes the values of a table that the schema knows and notes a fault for each key that it does not.
    fn walk(
        &mut self,
        path: &mut Vec<String>,
        table: &Map<String, Value>,
        schema: &Map<String, Value>,
        origin: &Origin<'_>,
    ) {
        for (key, value) in table {
            path.push(key.clone());
            match (schema.get(key).map(|known| &known.kind), &value.kind) {
                (None, _) if path.len() == 1 && SERVICE_SECTIONS.contains(&key.as_str()) => {}
                (None, _) => self.unknown(path, origin),
                (Some(ValueKind::Table(schema)), ValueKind::Table(table)) if !schema.is_empty() => {
                    self.walk(path, table, schema, origin);
                }
                (Some(ValueKind::Table(schema)), _) if !schema.is_empty() => {
                    self.fault(origin.at(path), "is a section, expected one of the keys in it".to_owned());
                }
                (Some(ValueKind::Array(_)), ValueKind::String(list)) => {
                    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
                    self.take(path, Value::from(items.map(Value::from).collect::<Vec<_>>()), origin);
                }
                (Some(_), _) => self.take(path, value.clone(), origin),
            }
            path.pop();
        }
    }

    fn take(&mut self, path: &[String], value: Value, origin: &Origin<'_>) {
        self.values.push(Given { at: origin.at(path), layer: Layer(nested(path, value)) });
    }

    fn unknown(&mut self, path: &[String], origin: &Origin<'_>) {
        let what = match nearest(&path.join("."), &self.known) {
            Some(key) => format!("unknown setting; did you mean {}?", origin.spell(key)),
            None => "unknown setting".to_owned(),
        };
        self.fault(origin.at(path), what);
    }

    fn fault(&mut self, at: String, what: String) {
        self.faults.push(Fault { at, what });
    }
}
