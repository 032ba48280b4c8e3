//! What an operator sees of notices.

use honk_service::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::webhook::Answer;

/// Counters of this process.
#[derive(Debug, Clone, Default)]
pub struct NotifyMetrics {
    webhooks: Family<Outcome, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl NotifyMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let webhooks = Family::default();
        Self {
            webhooks: metrics.register(
                "webhook_attempts",
                "Attempts at webhook receivers, by how they ended",
                webhooks,
            ),
        }
    }

    /// Counts an attempt.
    pub fn attempted(&self, answer: &Answer) {
        let outcome = match answer {
            Answer::Delivered => "delivered",
            Answer::Failed { .. } => "failed",
            Answer::Refused { .. } => "refused",
        };
        self.webhooks.get_or_create(&Outcome { outcome }).inc();
    }
}
