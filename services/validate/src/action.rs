//! `honk/validate`: everything that would make the migration fail, found before a byte moves. It changes nothing but a probe
//! object at the target, which it removes.

use honk_agent::action::{Action, JobContext};
use honk_agent::registry::Registry;
use honk_protocol::dataset::{LocationSpec, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::Stores;
use honk_storage::listing::Survey;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

use crate::checks;

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Validate {
    /// What is known of the dataset.
    pub registry: Registry,
    /// Where its objects are.
    pub stores: Stores,
}

#[async_trait::async_trait]
impl Action for Validate {
    fn name(&self) -> &'static str {
        "honk/validate"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let stopped = || Failed::retry(Reason::JobTimeout, "stopped before every check was done");
        let checks = Box::pin(self.validate(job));
        job.cancelled.run_until_cancelled(checks).await.unwrap_or_else(|| Err(stopped()))
    }
}

impl Validate {
    async fn validate(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let entity = self.registry.entity(job.dataset()).await?;
        checks::is_dataset(&entity)?;
        checks::may_migrate(&entity)?;
        checks::has_owner(&entity)?;
        let location = self.registry.location(job.dataset()).await?.location;
        if location.active == Side::Target {
            // Nothing will be moved, and its source may be gone by now.
            return Ok(outputs(&location.spec, &json!({ "already_migrated": true })));
        }
        let (source, target) = (self.stores.resolve(&location.spec.source), self.stores.resolve(&location.spec.target));
        checks::are_apart(&source, &target)?;
        let Survey { objects, bytes, digest } = checks::is_readable(&self.stores, &source).await?;
        checks::is_writable(&self.stores, &target).await?;
        job.progress.objects_total.store(objects, Ordering::Relaxed);
        job.progress.bytes_total.store(bytes, Ordering::Relaxed);
        job.progress.done(objects, bytes);
        Ok(outputs(&location.spec, &json!({ "objects": objects, "bytes": bytes, "digest": digest })))
    }
}

/// What was found, and the places it was found for: a migration compares them with what is registered when it begins.
fn outputs(spec: &LocationSpec, found: &Value) -> Outputs {
    let mut outputs = found.as_object().cloned().unwrap_or_default();
    outputs.insert("source".to_owned(), json!(spec.source));
    outputs.insert("target".to_owned(), json!(spec.target));
    outputs
}
