//! The one registry of metrics of a process, encoded as `OpenMetrics` text for `/metrics`.
//!
//! Names carry the prefix `honk_` and their unit; labels never hold a dataset, a run or an error text, as their number
//! has no bound (<https://prometheus.io/docs/practices/naming>).

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<State>>);

struct State {
    registry: Registry,
    /// What is registered already, so that two services in one process share a metric instead of printing it twice.
    known: BTreeMap<String, Box<dyn Any + Send>>,
}

impl Metrics {
    /// A registry that holds `honk_build_info`.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("honk");
        let commit = option_env!("HONK_BUILD_COMMIT").unwrap_or("unknown");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION")), ("commit", commit)]);
        registry.register("build", "The version that runs", build);
        Self(Arc::new(Mutex::new(State { registry, known: BTreeMap::new() })))
    }

    /// Registers `metric` as `honk_<name>` and returns it, or the metric of the same name and type that is there
    /// already. A counter's name goes without `_total`, which the encoder adds. A name that is taken by another type
    /// leaves the new metric unregistered and logs an error.
    pub fn register<M: Metric + Clone + Any>(&self, name: &str, help: &str, metric: M) -> M {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.known.get(name).map(|known| known.downcast_ref::<M>().cloned()) {
            Some(Some(known)) => known,
            Some(None) => {
                tracing::error!(name, "a metric of this name and another type exists; this one will not be shown");
                metric
            }
            None => {
                state.registry.register(name, help.trim_end_matches('.'), metric.clone());
                state.known.insert(name.to_owned(), Box::new(metric.clone()));
                metric
            }
        }
    }

    /// All metrics as `OpenMetrics` text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &state.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    #[test]
    fn the_build_is_always_shown() {
        let text = Metrics::new().encode().unwrap();
        assert!(text.contains("honk_build_info{version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_metric_registered_twice_is_one() {
        let metrics = Metrics::new();
        let first: Counter = metrics.register("objects_copied", "Objects copied.", Counter::default());
        let second: Counter = metrics.register("objects_copied", "Objects copied.", Counter::default());
        first.inc();
        second.inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("honk_objects_copied_total 2\n"), "{text}");
        assert_eq!(text.matches("# TYPE honk_objects_copied ").count(), 1, "{text}");
    }

    #[test]
    fn a_name_taken_by_another_type_keeps_the_first() {
        let metrics = Metrics::new();
        let counter: Counter = metrics.register("things", "Things.", Counter::default());
        let gauge: Gauge = metrics.register("things", "Things.", Gauge::default());
        gauge.set(7);
        counter.inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("honk_things_total 1\n") && !text.contains("honk_things 7"), "{text}");
    }
}
