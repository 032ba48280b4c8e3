//! `honk/plan`: looks at both places of a dataset as a migration would, and says what there is to do. It copies nothing and writes nothing.
//! Only objects whose checksums tell nothing of each other are read, to be compared.

use std::sync::Arc;

use honk_agent::action::{Action, JobContext};
use honk_agent::registry::Registry;
use honk_protocol::dataset::{Location, Side};
use honk_protocol::reason::Reason;
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use honk_storage::Stores;
use serde_json::json;

use crate::copy::pass::Pass;
use crate::copy::{Budget, CopyPlan, CopySettings, Engine, Existing, KeyRange, Progress, Tally};
use crate::fault;
use crate::migration::object;
use crate::with::With;

/// What the action works with.
#[derive(Debug, Clone)]
pub struct Planning {
    /// Where the dataset lies.
    pub registry: Registry,
    /// Its objects.
    pub stores: Stores,
    /// Limits of one look.
    pub settings: CopySettings,
}

#[async_trait::async_trait]
impl Action for Planning {
    fn name(&self) -> &'static str {
        "honk/plan"
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        let with = With::of(job)?;
        if with.transform.is_some() {
            let message = "`with: transform`: a plan says what a copy would do; what a transformation writes is known when it has read all rows";
            return Err(Failed::reject(Reason::InputInvalid, message));
        }
        let Location { spec, active, .. } = self.registry.location(job.dataset()).await?.location;
        let (source, target) = (self.stores.resolve(&spec.source), self.stores.resolve(&spec.target));
        let mut settings = self.settings.clone();
        settings.policy = with.policy();
        // To be told apart from what is to be copied; a plan names them, whatever the migration may do about them.
        settings.policy.existing = Existing::Fail;
        let plan = CopyPlan {
            stores: self.stores.clone(),
            source: source.clone(),
            target: target.clone(),
            // Nothing is held in memory: nothing is copied.
            budget: Budget::new(0),
            settings,
            journal: None,
        };
        let looked = async {
            let engine = Engine::open(plan, Progress::default(), job.cancelled.child_token(), Arc::default()).await?;
            engine.go_over(KeyRange::default(), Pass::Begin).await
        };
        let tally = looked.await.map_err(|error| fault::failed(&error, &source, &target))?;
        let mut outputs = said(&tally, &with);
        outputs.insert("from".into(), json!(spec.source));
        outputs.insert("to".into(), json!(spec.target));
        outputs.insert("moved_already".into(), json!(active == Side::Target));
        Ok(outputs)
    }
}

fn said(tally: &Tally, with: &With) -> Outputs {
    let mut copy = tally.wanted;
    if with.existing == Existing::Overwrite {
        copy.objects += tally.conflicts.count;
    }
    object(json!({
        "objects": tally.objects, "bytes": tally.bytes,
        "to_copy": { "objects": copy.objects, "bytes": copy.bytes },
        "already_there": tally.equal,
        "in_the_way": tally.conflicts, "existing": with.existing,
        "others_at_target": tally.foreign,
        "parts": tally.chunks.len().max(1),
    }))
}
