//! What an operator sees of migrations.

use honk_service::Metrics;
use prometheus_client::metrics::counter::Counter;

use crate::book::Proved;

/// Counters of this process.
#[derive(Debug, Clone, Default)]
pub struct MigrateMetrics {
    cut_overs: Counter,
    objects: Counter,
    bytes: Counter,
    copied: Counter,
}

impl MigrateMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            cut_overs: counter("cut_overs", "Datasets whose active location was moved to the target"),
            objects: counter("migrated_objects", "Objects verified at the target of a cut-over"),
            bytes: counter("migrated_bytes", "Bytes verified at the target of a cut-over"),
            copied: counter("copied_objects", "Objects that had to be copied for a cut-over by its last attempt"),
        }
    }

    /// Counts a migration.
    pub(crate) fn migrated(&self, proved: &Proved) {
        self.cut_overs.inc();
        self.objects.inc_by(proved.evidence.target.objects);
        self.bytes.inc_by(proved.evidence.target.bytes);
        self.copied.inc_by(proved.copied);
    }
}
