//! Stable codes for why something failed. Each says what it means and what a person does about it; `docs/FAILURES.md` is
//! this table, and a test compares the two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($variant:ident $code:literal $meaning:literal $advice:literal;)+) => {
        /// Why an event, a job or a message failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Reason {
            $(#[doc = $meaning] #[serde(rename = $code)] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the data.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What happened.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// What a person does about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

reasons! {
    EventMalformed "event-malformed"
        "The event is not JSON of a form Honk knows, or its dataset name is missing or ill-formed."
        "Correct the producer; `honk dlq show` has the bytes. Discard the dead letter and publish the event again.";
    EventVersion "event-version"
        "The event says a `specversion` other than `1.0`."
        "Publish CloudEvents 1.0, or the bare form with `type` and `payload`.";
    DatasetUnknown "dataset-unknown"
        "No dataset of this name is in the catalog."
        "Import its entity (`honk catalog import`), then replay the dead letter.";
    WorkflowUnknown "workflow-unknown"
        "The dataset's `honk/workflow` annotation, or the event, names a workflow that is not registered."
        "Register it (`honk register`) or correct the annotation, then replay the dead letter.";
    MessageMalformed "message-malformed"
        "A message on a job subject is not a job message."
        "Find out who published it: only Honk's services may. Discard the dead letter.";
    MessageVersion "message-version"
        "A job message is of a schema version that this agent does not know."
        "Bring all services to one version, then replay the dead letter.";
    ActionUnknown "action-unknown"
        "The job uses an action that the agents of its pool do not offer."
        "Correct `uses:` or `runs-on:` in the workflow, register it, and migrate again.";
    ActionFailed "action-failed"
        "An action of somebody's own agent failed, and said that trying again can help."
        "The message has the action's own words. Correct the cause, then replay the dead letter.";
    ActionRejected "action-rejected"
        "An action of somebody's own agent said that the job can never succeed as it is."
        "The message has the action's own words. Correct what it complains of, then replay the dead letter.";
    InputInvalid "input-invalid"
        "The `with:` values of a step are not what its action takes."
        "Correct `with:` in the workflow, register it, and migrate again.";
    StepFailed "step-failed"
        "A step's program ended with an exit status other than 0."
        "`honk run logs` has what it printed. Correct the script or its data, register the workflow, then replay the dead letter.";
    StepRejected "step-rejected"
        "A step's program ended with an exit status that the workflow lists in `reject_codes`: trying again cannot help."
        "`honk run logs` has what it printed. Correct what it complains of, then replay the dead letter.";
    StepTemporary "step-temporary"
        "A step's program ended with exit status 75 (`EX_TEMPFAIL`), and so asked to be tried again, as often as it may."
        "`honk run logs` has what it printed. Look at what it waits for, then replay the dead letter.";
    StepSignalled "step-signalled"
        "A step's program was ended by a signal that Honk did not send."
        "The message names the signal. `SIGKILL` often means that the machine had no memory left.";
    StepLimit "step-limit"
        "A step used more processor time, memory, file space or processes than the agent allows."
        "The message names the limit. Make the step smaller, or raise the limit in the agents' `[steps]` settings.";
    ProgramMissing "program-missing"
        "The program of a step does not exist on the agent, or may not be executed."
        "Install it in the agents' image, correct the name, or take the script along with `include:`, then replay the dead letter.";
    ArgumentInvalid "argument-invalid"
        "An argument or a variable of a step's program is none that a program can be given: it has a NUL byte, or is too large."
        "The message names it. Correct the event's payload or the output it comes from; hand large values over in a file.";
    ExpressionInvalid "expression-invalid"
        "An expression `{{ … }}` of the job names something that is not there, or cannot be evaluated."
        "The message names it. Correct the expression or the event's payload, then migrate again.";
    MatrixInvalid "matrix-invalid"
        "The `matrix` of a job is not a list, is empty of meaning, or has more items than a run may have."
        "Correct the matrix or the output it is made from, then migrate again.";
    OutputsInvalid "outputs-invalid"
        "What a step wrote to the file `$HONK_OUTPUT` is not lines of `name=value`, or is too large."
        "Correct the script; large results belong in an object store, their address in the output.";
    MetadataInvalid "metadata-invalid"
        "A step left a file `<dataset>.meta.json` that is not a JSON object, is too large, or changes what only Honk may change."
        "Correct the script, then replay the dead letter. The dataset keeps the metadata it had.";
    BundleMissing "bundle-missing"
        "The files that belong to the workflow's version are not stored."
        "Register the workflow again from its folder, then migrate again.";
    BundleCorrupt "bundle-corrupt"
        "The files that belong to the workflow's version are not what was registered."
        "Register the workflow again from its folder, then migrate again. Look for who writes to the bucket `honk_bundles`.";
    WorkspaceUnavailable "workspace-unavailable"
        "The agent could not make the work directory of a job, or place files in it."
        "Look at the disk of the agent that the message names. Honk tries again by itself.";
    AgentLost "agent-lost"
        "Every attempt ended with its agent killed, frozen or cut off, before it could say why."
        "Look at the agents' logs and memory at the times of the attempts, then replay the dead letter.";
    JobPanicked "job-panicked"
        "The action stopped with a panic: a defect in it."
        "Report it with the message in the dead letter. Replaying helps only after a repair.";
    JobTimeout "job-timeout"
        "An attempt was not done within the job's `timeout`."
        "Raise `timeout` in the workflow, or find out what was slow, then replay the dead letter.";
    Undeliverable "undeliverable"
        "The server gave up delivering the message, and no agent had settled it."
        "Look for agents that take jobs without settling them, then replay the dead letter.";
    BusUnavailable "bus-unavailable"
        "A write to JetStream was not acknowledged in time."
        "Look at the NATS servers' health and disk space. Honk tries again by itself.";
    EntityMissing "entity-missing"
        "The dataset's entity is no longer in the catalog."
        "Import it again (`honk catalog import`), then replay the dead letter.";
    OwnerMissing "owner-missing"
        "The dataset's entity names no owner."
        "Set `spec.owner`, import the entity, then replay the dead letter.";
    DoNotMigrate "do-not-migrate"
        "The entity carries the annotation `honk/do-not-migrate`."
        "Ask the owner. To migrate after all, remove the annotation and replay the dead letter.";
    LocationMissing "location-missing"
        "Nobody has said where the dataset lies and where it shall go."
        "`honk dataset location NAME --source s3://… --target s3://…`, then replay the dead letter.";
    LocationsOverlap "locations-overlap"
        "Source and target are the same place, or one lies inside the other."
        "Choose another target, then replay the dead letter.";
    LocationChanged "location-changed"
        "The dataset's location was changed while it was being migrated."
        "Make sure that the new location is meant, then replay the dead letter.";
    DatasetHeld "dataset-held"
        "Another run asks writers of the dataset to wait, because it is about to cut over."
        "Nothing: Honk tries again by itself, and a hold ends by its own time. `honk dataset location NAME` shows it.";
    RolledBack "rolled-back"
        "The dataset was rolled back to its source after this run had cut it over, so a late repeat of the run must not cut over again."
        "Discard the dead letter. When the cause of the roll-back is gone, migrate the dataset again: that is a new run.";
    NotRollable "not-rollable"
        "The dataset cannot be rolled back: nothing was cut over, a run holds it, or its source is not kept any more."
        "The message says which. `honk dataset rollback NAME --force` goes back also after the retention, if nothing was removed.";
    SourceRetained "source-retained"
        "The source cannot be retired: it is the active place, or it is kept a while longer."
        "`honk dataset location NAME` says until when it is kept. Retire it after that.";
    ConsumersBehind "consumers-behind"
        "Consumers that are known have not said that they read the new place."
        "`honk consumer list NAME` names them. Ask them to move, or `honk consumer forget` those that are gone.";
    SourceMissing "source-missing"
        "The source bucket does not exist."
        "Correct the location, then replay the dead letter.";
    SourceDenied "source-denied"
        "The credentials may not list or read the source."
        "Grant `s3:ListBucket` and `s3:GetObject` on the source, then replay the dead letter.";
    SourceArchived "source-archived"
        "Objects of the source lie in an archive (a storage class such as `GLACIER`) and cannot be read."
        "The message names some of them. Restore them, then replay the dead letter. What was copied before stays and is not copied again.";
    SourceEmpty "source-empty"
        "There is no object at the source."
        "Correct the location or write the data, then replay the dead letter.";
    SourceChanged "source-changed"
        "Objects at the source were changed or removed while they were being copied."
        "Pause the writers, then replay the dead letter: what is already copied is not copied again.";
    TargetMissing "target-missing"
        "The target bucket does not exist."
        "Create it or correct the location, then replay the dead letter.";
    ObjectsDenied "objects-denied"
        "The credentials may read the source, but not all of its objects."
        "The message names some of them; all others were copied. Grant `s3:GetObject` on them, then replay the dead letter: only they are copied.";
    TargetDenied "target-denied"
        "The credentials may not write to the target."
        "Grant `s3:PutObject`, `s3:GetObject` and `s3:DeleteObject` on the target, then replay the dead letter.";
    TargetConflict "target-conflict"
        "Objects lie at the target under names that the source has too, with other bytes, and were there before the migration; or any at all, where a transformation would write among them."
        "The message names them. Move them away, or say in `with:` of `honk/migrate` what becomes of them (`existing: overwrite` or `existing: skip`), and migrate again.";
    TargetCrowded "target-crowded"
        "Under the target's prefix lie more objects of others than a migration can tell from its own."
        "Choose a folder of its own as the target, then replay the dead letter.";
    NotConverging "not-converging"
        "The source changes faster than its changes can be copied, so that no pause of its writers within `max_hold` is long enough to cut over."
        "Calm the writers, raise `max_hold` or `rounds` in `with: { cut_over: … }`, or choose a `window` in which they rest. Then replay the dead letter: only changes are copied.";
    OutsideWindow "outside-window"
        "Everything is copied, and the cut-over waits for its `window`."
        "Nothing: the job goes on by itself when the window opens, and copies what has changed by then.";
    PlanMissing "plan-missing"
        "The plan that the parts of a migration follow is not stored any more."
        "Replay the dead letter of the job itself (not of a part), or migrate again: the dataset is planned anew, and what is copied is not copied again.";
    InventoryInvalid "inventory-invalid"
        "The inventory that the workflow names is not there, is damaged, is of another bucket, or is written in a way that is not read."
        "The message says which. Name the `manifest.json` of another inventory in `with:` of `honk/migrate`, or take `inventory` out: then both places are listed. Register the workflow, and migrate again.";
    TargetFull "target-full"
        "The target has no room left, a quota of it is used up, or the dataset is larger than the `room` that the workflow gives it."
        "Make room or raise the quota, then replay the dead letter: what is already copied is not copied again.";
    TargetUnable "target-unable"
        "The target cannot do something that the workflow says it `needs`."
        "The message names it. Choose another target, or take it out of `needs` and register the workflow; docs/STORES.md says what each store can do.";
    KeyRefused "key-refused"
        "The target takes no keys like some of the source's: they are longer than 1,024 bytes with the target's prefix, or of a form that it changes or refuses."
        "The message names some of them. Choose a shorter target prefix, rename the objects, or choose another store, then replay the dead letter.";
    CredentialsInvalid "credentials-invalid"
        "The storage does not accept the credentials: they are wrong, expired or absent."
        "The message names the bucket. Renew them in the agents' `[storage]` settings, restart the agents, then replay the dead letter.";
    ClockSkew "clock-skew"
        "The clocks of the agent and of the storage differ by so much that the storage refuses the agent's signatures."
        "Synchronise the agent's clock with NTP. Honk tries again by itself, perhaps on another agent; after that, replay the dead letter.";
    TransformMissing "transform-missing"
        "The program `honk-transform`, which changes datasets on their way, is not on the agent."
        "Put it beside the agent's own program (`cargo install --path shared/transform`), or name it in `HONK_MIGRATE__TRANSFORM_PROGRAM`, then replay the dead letter.";
    TransformFailed "transform-failed"
        "The program `honk-transform` ended without a result: it crashed, or was killed for want of memory."
        "The message has its last words. Give the agent's machine more memory or lower `HONK_MIGRATE__TRANSFORM_MEMORY`; Honk tries again by itself.";
    TransformMemory "transform-memory"
        "The query needed more memory or disk than it may use."
        "Raise `HONK_MIGRATE__TRANSFORM_MEMORY`, give the spill folder more space, or make the query smaller, then replay the dead letter.";
    TransformSqlInvalid "transform-sql-invalid"
        "The query of a transformation cannot be planned or failed on a row, or its result would not be the same twice."
        "The message has the engine's own words. Correct `transform` in the workflow, register it, and migrate again.";
    TransformColumnUnknown "transform-column-unknown"
        "A transformation or its contract names a column that is not there."
        "The message has the name that is closest. Correct the workflow, register it, and migrate again.";
    TransformInputUnknown "transform-input-unknown"
        "An object of the source is not CSV, JSON or Parquet, as far as can be seen."
        "The message names it. Say `input: { format: … }`, or move it out of the dataset, then replay the dead letter.";
    TransformSchema "transform-schema"
        "The objects of the source have columns that do not make one table."
        "The message names the column and two objects. Correct the source, or say the type in `input: { columns: … }`, then migrate again.";
    TransformHeader "transform-header"
        "A CSV object has another header than the first one, or its header changes or comes again halfway."
        "The message names object and line. Correct the source, then replay the dead letter.";
    TransformRagged "transform-ragged"
        "A CSV row has more or fewer fields than the header."
        "The message names object and line. Correct the source, or allow a share of such rows with `expect: { max_rejected: … }`.";
    TransformEncoding "transform-encoding"
        "A row of text is not UTF-8."
        "The message names object and line. Correct the source, or allow a share of such rows with `expect: { max_rejected: … }`.";
    TransformRowTooLong "transform-row-too-long"
        "A row of text is longer than may be held in memory; often a quotation mark that nothing closes."
        "The message names object and line. Correct the source, or raise `input: { max_row_bytes: … }`.";
    TransformTruncated "transform-truncated"
        "An object of the source ends too early or is damaged: Parquet without its footer, or a compressed file cut off."
        "The message names it. Write the object again, then replay the dead letter.";
    TransformValue "transform-value"
        "A row of text is not JSON, or has a value that is not of its column's type."
        "The message names object, line and column. Say the type in `input: { columns: … }`, or allow a share of such rows with `expect: { max_rejected: … }`.";
    TransformContract "transform-contract"
        "The rows before or after a transformation are not what `expect` says."
        "The message names the column. Correct the data or the contract, then migrate again.";
    TransformRejected "transform-rejected"
        "More rows do not fit than `expect: { max_rejected: … }` allows."
        "The quarantine folder that the message names has the rows, each with the reason. Correct the source, then replay the dead letter.";
    CopyCorrupt "copy-corrupt"
        "The bytes that arrived are not the bytes that were sent."
        "Look at the storage and the network between; Honk has copied the object again as often as it may.";
    VerifyMismatch "verify-mismatch"
        "After the copy the target does not hold what the source holds."
        "`honk dlq show` names the first differing object. Pause writers at both ends, then replay the dead letter.";
    StorageRefused "storage-refused"
        "The storage refused a request that will not succeed by being repeated."
        "The message has the storage's own words. Correct the cause, then replay the dead letter.";
    StorageUnavailable "storage-unavailable"
        "The storage did not answer, or answered with a failure of its own."
        "Look at the storage's health. Honk tries again by itself; after that, replay the dead letter.";
    StorageThrottled "storage-throttled"
        "The storage asked for fewer requests."
        "Run fewer migrate agents against it, or raise its limits. Honk slows down and tries again by itself.";
    ReceiverFailed "receiver-failed"
        "A webhook receiver did not answer, or not with a 2xx status."
        "Look at the receiver. Honk tries again on its schedule; after that, replay the dead letter.";
    ReceiverGone "receiver-gone"
        "A webhook receiver answered 410: it wants no more."
        "Remove or correct `honk/notify-url` of the entity, then discard the dead letter.";
    ReceiverInvalid "receiver-invalid"
        "A `honk/notify-url` is not an address that notices may be sent to."
        "Correct the annotation, import the entity, then replay the dead letter.";
    Superseded "superseded"
        "A newer event for the same dataset took this run's place before it began."
        "Nothing: the newer run does its work.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason code")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(code: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code).ok_or_else(|| UnknownReason(code.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_none_stands_for_two_reasons() {
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(*reason));
            assert_eq!(serde_json::to_value(reason).expect("serialises"), reason.code());
        }
    }
}
