//! One entity into the catalog, by compare-and-set, so that two imports at once cannot give one dataset two kinds.

use std::collections::HashMap;
use std::sync::Arc;

use honk_bus::{BusError, Entry, Mirror};
use honk_protocol::entity::Entity;
use honk_protocol::subject::dataset_key;

use super::{at_name, refusal};
use crate::problem::{ApiError, conflict};
use crate::state::Api;
use crate::wire::{Fault, ImportStatus, ImportedDocument};

/// How often a write is decided again because another writer was faster.
const TRIES: usize = 10;

/// The datasets that the catalog has, by name in lower case.
#[derive(Default)]
pub(super) struct Known(HashMap<String, Arc<Entity>>);

impl Known {
    pub(super) fn of(catalog: &Mirror<Entity>) -> Self {
        let datasets = catalog.find("dataset.").into_iter().map(|(_, entity)| entity);
        Self(datasets.map(|entity| (entity.metadata.name.as_str().to_ascii_lowercase(), entity)).collect())
    }

    /// A dataset is asked for by its name alone, so there can be no two of one name.
    pub(super) fn conflict(&self, entity: &Entity) -> Option<Fault> {
        let name = entity.dataset_name()?;
        let other = self.0.get(&name.as_str().to_ascii_lowercase())?;
        taken_by(other, entity)
    }

    /// Where an earlier version of the entity is kept, if that is under another key: it was a dataset and is none now, or the
    /// other way round.
    fn earlier_key(&self, entity: &Entity) -> Option<String> {
        if entity.is_dataset() {
            return Some(entity.reference().key());
        }
        let same_name = self.0.get(entity.reference().name().as_str())?;
        (same_name.reference() == entity.reference()).then(|| dataset_key(&same_name.metadata.name))
    }
}

fn taken_by(other: &Entity, entity: &Entity) -> Option<Fault> {
    let reference = other.reference();
    if reference != entity.reference() {
        let message = format!("the catalog has a dataset of this name already: `{reference}`");
        return Some(at_name(message, "give it another name, or change the one that is there"));
    }
    let spelt = &other.metadata.name;
    (*spelt != entity.metadata.name)
        .then(|| at_name(format!("the catalog spells this dataset `{spelt}`"), "write the name the same way"))
}

/// Stores the entity. Returns its answer and the revision of what was written, 0 if nothing was.
pub(super) async fn store(
    api: &Api,
    known: &Known,
    index: usize,
    entity: Entity,
) -> Result<(ImportedDocument, u64), ApiError> {
    let key = entity.key();
    let reference = Some(entity.reference().to_string());
    let answer = |status| ImportedDocument { index, reference, status, problems: Vec::new() };
    for _ in 0..TRIES {
        let entry = api.bus.catalog().get(&key).await?;
        let stored: Option<Entity> = entry.as_ref().and_then(|entry| serde_json::from_slice(&entry.value).ok());
        if stored.as_ref() == Some(&entity) {
            return Ok((answer(ImportStatus::Unchanged), 0));
        }
        if let Some(fault) = stored.as_ref().filter(|_| entity.is_dataset()).and_then(|other| taken_by(other, &entity))
        {
            return Ok((refusal(index, Some(&entity.reference()), vec![fault]), 0));
        }
        let status = if entry.is_some() { ImportStatus::Updated } else { ImportStatus::Created };
        match write(api, &key, &entity, entry.as_ref()).await {
            Ok(revision) => {
                let moved = forget_earlier(api, known, &entity).await?;
                return Ok((answer(if moved { ImportStatus::Updated } else { status }), revision));
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict().detail(format!("`{key}` is being changed by others")))
}

async fn write(api: &Api, key: &str, entity: &Entity, entry: Option<&Entry>) -> Result<u64, BusError> {
    let value = serde_json::to_vec(entity).unwrap_or_default();
    match entry {
        Some(entry) => api.bus.catalog().update(key, value, entry.revision).await,
        None => api.bus.catalog().create(key, value).await,
    }
}

async fn forget_earlier(api: &Api, known: &Known, entity: &Entity) -> Result<bool, ApiError> {
    match known.earlier_key(entity) {
        Some(key) if api.catalog.get(&key).is_some() => {
            api.bus.catalog().delete(&key).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, name: &str, what: &str) -> Entity {
        let document = serde_json::json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"type": what, "lifecycle": "x", "owner": "o"},
        });
        Entity::check(document).unwrap()
    }

    fn known() -> Known {
        Known(HashMap::from([("my-data".to_owned(), Arc::new(entity("Component", "My-Data", "dataset")))]))
    }

    #[test]
    fn a_datasets_name_belongs_to_one_entity_in_one_spelling() {
        let conflict = |entity: Entity| known().conflict(&entity).map(|fault| fault.message);
        assert_eq!(conflict(entity("Component", "My-Data", "dataset")), None);
        assert!(conflict(entity("Resource", "My-Data", "dataset")).unwrap().contains("component:default/my-data"));
        assert!(conflict(entity("Component", "my-data", "dataset")).unwrap().contains("`My-Data`"));
        assert_eq!(conflict(entity("Component", "my-data", "service")), None);
    }

    #[test]
    fn an_entity_that_becomes_a_dataset_or_ceases_to_be_one_leaves_nothing_behind() {
        let key = |entity: Entity| known().earlier_key(&entity);
        assert_eq!(key(entity("Component", "my-data", "service")).as_deref(), Some("dataset.My-Data"));
        assert_eq!(key(entity("Resource", "my-data", "service")), None);
        assert_eq!(key(entity("Component", "x", "dataset")).as_deref(), Some("entity.component.default.x"));
    }
}
