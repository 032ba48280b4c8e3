//! Who is told: the owner and everyone who reads the dataset, by the `honk/notify-url` of each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use honk_bus::Mirror;
use honk_protocol::entity::{Entity, EntityRef, NOTIFY_URL};

/// Everyone who wants notices. Built once for each state of the catalog, so that a night of thousands of migrations does not
/// read through all entities for each.
#[derive(Debug, Default)]
pub struct Directory {
    urls: HashMap<EntityRef, String>,
    /// By what they depend on.
    readers: HashMap<EntityRef, Vec<EntityRef>>,
}

/// The directory of the present catalog.
#[derive(Debug, Clone)]
pub struct Receivers {
    catalog: Mirror<Entity>,
    built: Arc<Mutex<(u64, Arc<Directory>)>>,
}

impl Directory {
    /// The directory of these entities.
    pub fn of<'e>(entities: impl IntoIterator<Item = &'e Entity>) -> Self {
        let mut directory = Self::default();
        for entity in entities {
            let Some(url) = url(entity) else { continue };
            let reference = entity.reference();
            for dependency in entity.depends_on() {
                directory.readers.entry(dependency).or_default().push(reference.clone());
            }
            directory.urls.insert(reference, url.to_owned());
        }
        directory
    }

    /// The addresses to tell about `dataset`, each once, however many entities share it: the dataset's own, its owner's, and those
    /// of the entities that depend on it, whichever of the two sides says so.
    pub fn addresses(&self, dataset: &Entity) -> BTreeSet<String> {
        let owner = dataset.owner();
        let said_by_it = dataset.dependency_of();
        let said_by_them = self.readers.get(&dataset.reference()).map(Vec::as_slice).unwrap_or_default();
        let told = owner.iter().chain(&said_by_it).chain(said_by_them);
        let theirs = told.filter_map(|reference| self.urls.get(reference)).map(String::as_str);
        theirs.chain(url(dataset)).map(str::to_owned).collect()
    }
}

fn url(entity: &Entity) -> Option<&str> {
    entity.annotation(NOTIFY_URL).map(str::trim).filter(|url| !url.is_empty())
}

impl Receivers {
    /// Receivers by what `catalog` says.
    pub fn new(catalog: Mirror<Entity>) -> Self {
        Self { catalog, built: Arc::default() }
    }

    /// The addresses to tell about `dataset`.
    pub fn addresses(&self, dataset: &Entity) -> BTreeSet<String> {
        self.directory().addresses(dataset)
    }

    fn directory(&self) -> Arc<Directory> {
        // Read before the entities: a change in between makes the directory newer than it says, and is seen again.
        let revision = self.catalog.revision();
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if built.0 != revision || revision == 0 {
            let entities: BTreeMap<String, Arc<Entity>> = self.catalog.find("").into_iter().collect();
            *built = (revision, Arc::new(Directory::of(entities.values().map(Arc::as_ref))));
        }
        Arc::clone(&built.1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entity(kind: &str, name: &str, url: Option<&str>, spec: &serde_json::Value) -> Entity {
        let annotations = url.map_or_else(|| json!({}), |url| json!({ NOTIFY_URL: url }));
        serde_json::from_value(json!({
            "apiVersion": "backstage.io/v1alpha1", "kind": kind,
            "metadata": { "name": name, "annotations": annotations }, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn the_owner_and_both_kinds_of_consumers_are_told_and_nobody_twice() {
        let dataset = entity(
            "Resource",
            "Sales",
            Some("https://own.example"),
            &json!({ "type": "dataset", "owner": "data-team", "dependencyOf": ["component:report", "component:silent"] }),
        );
        let everyone = [
            dataset.clone(),
            entity("Group", "data-team", Some("https://team.example"), &json!({})),
            entity("Component", "report", Some("https://shared.example"), &json!({})),
            entity("Component", "silent", None, &json!({})),
            entity("Component", "board", Some(" https://shared.example "), &json!({ "dependsOn": ["resource:sales"] })),
            entity("API", "feed", Some("https://feed.example"), &json!({ "dependsOn": ["Resource:default/Sales"] })),
            entity("Component", "other", Some("https://other.example"), &json!({ "dependsOn": ["resource:costs"] })),
            entity("Component", "blank", Some("  "), &json!({ "dependsOn": ["resource:sales"] })),
        ];
        let addresses = Directory::of(&everyone).addresses(&dataset);
        let expected =
            ["https://feed.example", "https://own.example", "https://shared.example", "https://team.example"];
        assert_eq!(addresses.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_dataset_that_nobody_wants_to_hear_of_has_no_receivers() {
        let dataset = entity("Resource", "quiet", None, &json!({ "type": "dataset" }));
        assert!(Directory::of([&dataset]).addresses(&dataset).is_empty());
    }
}
