//! What must hold before a byte moves: one function a check, cheapest first. Each failure carries its reason, and with it
//! whether trying again can help.

use std::collections::BTreeSet;

use honk_protocol::entity::{DO_NOT_MIGRATE, Entity};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_storage::probe::{Abilities, Ability};
use honk_storage::{Place, overlap};

use crate::walk::Walked;

/// The entity is a dataset.
pub fn is_dataset(entity: &Entity) -> Result<(), Failed> {
    if entity.is_dataset() {
        return Ok(());
    }
    let message = format!("{} is not a dataset: its `spec.type` is another", entity.reference());
    Err(Failed::reject(Reason::EntityMissing, message))
}

/// Nobody has forbidden to migrate it.
pub fn may_migrate(entity: &Entity) -> Result<(), Failed> {
    if !entity.forbids_migration() {
        return Ok(());
    }
    let why = entity.annotation(DO_NOT_MIGRATE).unwrap_or_default();
    Err(Failed::reject(Reason::DoNotMigrate, format!("{} says `{DO_NOT_MIGRATE}: {why}`", entity.reference())))
}

/// Somebody answers for it.
pub fn has_owner(entity: &Entity) -> Result<(), Failed> {
    match entity.owner() {
        Some(_owner) => Ok(()),
        None => Err(Failed::reject(Reason::OwnerMissing, format!("{} names no owner", entity.reference()))),
    }
}

/// Source and target share no object.
pub fn are_apart(source: &Place, target: &Place) -> Result<(), Failed> {
    if !overlap(source, target) {
        return Ok(());
    }
    let shown = |place: &Place| format!("s3://{}/{}", place.bucket, place.prefix());
    let message = format!("source {} and target {} share objects", shown(source), shown(target));
    Err(Failed::reject(Reason::LocationsOverlap, message))
}

/// There is something to migrate, and nothing in it that cannot be: archived objects, keys that the target cannot have, more bytes
/// than it has room for.
pub fn can_be_moved(walked: &Walked, source: &Place, room: Option<u64>) -> Result<(), Failed> {
    let at = format!("s3://{}/{}", source.bucket, source.prefix());
    if walked.survey.objects == 0 {
        return Err(Failed::reject(Reason::SourceEmpty, format!("there is no object under {at}")));
    }
    if !walked.archived.is_empty() {
        let (count, keys) = (walked.archived.count(), &walked.archived);
        let message = format!("{count} objects under {at} lie in an archive; restore them first: {keys}");
        return Err(Failed::reject(Reason::SourceArchived, message));
    }
    if !walked.too_long.is_empty() {
        let (count, keys) = (walked.too_long.count(), &walked.too_long);
        let message = format!("{count} keys are longer than 1,024 bytes with the target's prefix: {keys}");
        return Err(Failed::reject(Reason::KeyRefused, message));
    }
    match room {
        Some(room) if walked.survey.bytes > room => {
            let bytes = walked.survey.bytes;
            let message = format!("the dataset has {bytes} bytes, and `room` gives it {room} at the target");
            Err(Failed::reject(Reason::TargetFull, message))
        }
        _ => Ok(()),
    }
}

/// The target can do what the workflow needs.
pub fn is_able(found: &Abilities, needs: &BTreeSet<Ability>, target: &Place) -> Result<(), Failed> {
    let lacking: Vec<_> = needs
        .iter()
        .filter(|ability| !found.can(**ability))
        .map(|ability| {
            let how = found.get(*ability).map_or_else(|| "not tried".to_owned(), ToString::to_string);
            format!("{} ({how})", ability.code())
        })
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let message =
        format!("the workflow needs of s3://{} what it was not seen to do: {}", target.bucket, lacking.join(", "));
    Err(Failed::reject(Reason::TargetUnable, message))
}

/// The dataset's keys of a kind that the target was not seen to keep, in sentences. The migration will show which of them it refuses.
pub fn doubtful_keys(found: &Abilities, walked: &Walked) -> Vec<String> {
    let lacks = |ability| found.get(ability).is_some_and(|finding| !finding.is_yes());
    let doubtful = walked.doubtful().into_iter().filter(|(ability, keys)| !keys.is_empty() && lacks(*ability));
    let told = doubtful.map(|(ability, keys)| {
        format!("the target may not keep {} keys of the kind `{}`: {keys}", keys.count(), ability.code())
    });
    told.collect()
}

/// What will go less well than at a store that can do everything, in sentences.
pub fn shortcomings(found: &Abilities) -> impl Iterator<Item = String> {
    let lacking = found.iter().filter(|(_, finding)| !finding.is_yes());
    lacking.map(|(ability, finding)| format!("{}: {finding}. {}", ability.code(), ability.without()))
}

#[cfg(test)]
mod tests {
    use honk_protocol::settle::Again;
    use serde_json::{Value, json};

    use super::*;

    fn entity(annotations: &Value, spec: &Value) -> Entity {
        serde_json::from_value(json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": "Component",
            "metadata": { "name": "sales", "annotations": annotations }, "spec": spec,
        }))
        .unwrap()
    }

    fn rejected(checked: Result<(), Failed>) -> Reason {
        let failed = checked.unwrap_err();
        assert_eq!(failed.again, Again::Never);
        failed.reason
    }

    #[test]
    fn what_an_entity_lacks_or_forbids_is_rejected_with_its_reason() {
        let fine = entity(&json!({}), &json!({ "type": "dataset", "owner": "team" }));
        assert!(is_dataset(&fine).is_ok() && may_migrate(&fine).is_ok() && has_owner(&fine).is_ok());
        let orphan = entity(&json!({}), &json!({ "type": "dataset", "owner": "" }));
        assert_eq!(rejected(has_owner(&orphan)), Reason::OwnerMissing);
        let held = entity(&json!({ DO_NOT_MIGRATE: "legal hold" }), &json!({ "type": "dataset" }));
        assert_eq!(rejected(may_migrate(&held)), Reason::DoNotMigrate);
        assert!(may_migrate(&held).unwrap_err().message.contains("legal hold"));
        let lifted = entity(&json!({ DO_NOT_MIGRATE: "false" }), &json!({ "type": "dataset" }));
        assert!(may_migrate(&lifted).is_ok());
        assert_eq!(rejected(is_dataset(&entity(&json!({}), &json!({ "type": "service" })))), Reason::EntityMissing);
    }

    #[test]
    fn places_that_share_objects_are_rejected() {
        let place = |prefix: &str| Place::new("bucket", prefix).at("http://localhost:9000");
        for (source, target) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("", "a")] {
            assert_eq!(rejected(are_apart(&place(source), &place(target))), Reason::LocationsOverlap);
        }
        assert!(are_apart(&place("a"), &place("ab")).is_ok());
    }
}
