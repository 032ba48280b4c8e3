//! What must hold before a byte moves: one function a check, cheapest first. Each failure carries its reason, and with it
//! whether trying again can help.

use honk_protocol::dataset::Side;
use honk_protocol::entity::{DO_NOT_MIGRATE, Entity};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_storage::listing::{Survey, survey};
use honk_storage::{PageCursor, Place, StorageError, Store, Stores, overlap};

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

/// The source can be listed and read, and there is something to migrate: how much, and a digest of the listing.
pub async fn is_readable(stores: &Stores, source: &Place) -> Result<Survey, Failed> {
    let failed = |error: StorageError| error.failed(Side::Source);
    let store = stores.open(source).await.map_err(failed)?;
    let prefix = source.prefix();
    let Some(first) = first_key(&store, &prefix).await.map_err(failed)? else {
        let message = format!("there is no object under s3://{}/{prefix}", source.bucket);
        return Err(Failed::reject(Reason::SourceEmpty, message));
    };
    // A listing proves only the right to list.
    store.head(&first).await.map_err(failed)?;
    survey(&store, &prefix).await.map_err(failed)
}

async fn first_key(store: &Store, prefix: &str) -> Result<Option<String>, StorageError> {
    let mut cursor = PageCursor::Start;
    while cursor != PageCursor::End {
        // Two, because a folder's marker may be the first and is left out.
        let (page, next) = store.list_page(prefix, 2, &cursor).await?;
        if let Some(object) = page.into_iter().next() {
            return Ok(Some(object.key));
        }
        cursor = next;
    }
    Ok(None)
}

/// Objects can be written to the target, read back and removed.
pub async fn is_writable(stores: &Stores, target: &Place) -> Result<(), Failed> {
    let failed = |error: StorageError| error.failed(Side::Target);
    let store = stores.open(target).await.map_err(failed)?;
    store.probe_writable(&target.prefix()).await.map_err(failed)
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
