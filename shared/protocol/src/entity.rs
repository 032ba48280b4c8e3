//! Catalog entities in the format of Backstage. [`Entity::check`] accepts what a real Backstage accepts, and says of the
//! rest everything that is wrong with it, where Backstage drops it without a word.
//!
//! What Honk does not know (`metadata` and `spec` may hold any key) is kept as it is.

mod check;
mod kind;
mod reference;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::reference::{DEFAULT_NAMESPACE, EntityRef, EntityRefError};
use crate::name::DatasetName;
use crate::subject;

/// Annotation: the workflow that migrates the dataset.
pub const WORKFLOW: &str = "honk/workflow";
/// Annotation: where notices about the entity's datasets are sent.
pub const NOTIFY_URL: &str = "honk/notify-url";
/// Annotation: the dataset must not be migrated; the value says why, and `false` lifts it.
pub const DO_NOT_MIGRATE: &str = "honk/do-not-migrate";

/// The `spec.type` of datasets.
const DATASET: &str = "dataset";

/// An entity. Kind, namespace and name are safe in subjects and keys however it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Stored")]
pub struct Entity {
    /// Such as `backstage.io/v1alpha1`.
    pub api_version: String,
    /// Such as `Component`.
    pub kind: String,
    /// Name, annotations, and whatever else describes it.
    pub metadata: Metadata,
    /// What the kind prescribes, and more.
    #[serde(default)]
    pub spec: Map<String, Value>,
}

/// What describes an entity of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name; unique within kind and namespace, whatever the case of its letters.
    pub name: DatasetName,
    /// Its namespace; none means [`DEFAULT_NAMESPACE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What people are shown instead of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Short values to select entities by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Values for programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Pages about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A page about an entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its address.
    pub url: String,
    /// What people are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The key of an icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One fault of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityProblem {
    /// Where, such as `metadata.name`; empty for the document as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Entity {
    /// Reads a document by Backstage's rules.
    ///
    /// # Errors
    /// All faults of the document, in its order.
    pub fn check(document: Value) -> Result<Self, Vec<EntityProblem>> {
        check::document(document)
    }

    /// Its reference, in lower case: `component:default/my-dataset`.
    pub fn reference(&self) -> EntityRef {
        EntityRef::of(&self.kind, self.namespace(), &self.metadata.name)
    }

    /// The key that the catalog's bucket keeps it under.
    pub fn key(&self) -> String {
        if self.is_dataset() { subject::dataset_key(&self.metadata.name) } else { self.reference().key() }
    }

    /// Its namespace, also when it is the default.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
    }

    /// Whether it is a dataset: a `Component` or `Resource` of type `dataset`.
    pub fn is_dataset(&self) -> bool {
        let typed =
            self.spec.get("type").and_then(Value::as_str).is_some_and(|word| word.eq_ignore_ascii_case(DATASET));
        typed && matches!(self.kind.as_str(), "Component" | "Resource")
    }

    /// The dataset's name, if it is a dataset.
    pub fn dataset_name(&self) -> Option<&DatasetName> {
        self.is_dataset().then_some(&self.metadata.name)
    }

    /// Who owns it; a name without a kind is a group's.
    pub fn owner(&self) -> Option<EntityRef> {
        let owner = self.spec.get("owner")?.as_str()?;
        EntityRef::parse(owner, Some("group"), self.namespace()).ok()
    }

    /// What it reads from.
    pub fn depends_on(&self) -> Vec<EntityRef> {
        self.references("dependsOn")
    }

    /// What reads from it.
    pub fn dependency_of(&self) -> Vec<EntityRef> {
        self.references("dependencyOf")
    }

    /// Everyone who reads it: whom it names itself, who names it, and who consumes an API that it provides.
    pub fn readers<'e>(&self, entities: impl IntoIterator<Item = &'e Self>) -> BTreeSet<EntityRef> {
        let (own, provided) = (self.reference(), self.apis("providesApis"));
        let reads = |other: &Self| {
            other.depends_on().contains(&own) || other.apis("consumesApis").iter().any(|api| provided.contains(api))
        };
        let named_by_them = entities.into_iter().filter(|other| reads(other)).map(Self::reference);
        self.dependency_of().into_iter().chain(named_by_them).filter(|reader| *reader != own).collect()
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.get(key).map(String::as_str)
    }

    /// Whether it carries [`DO_NOT_MIGRATE`] with another value than `false`.
    pub fn forbids_migration(&self) -> bool {
        self.annotation(DO_NOT_MIGRATE).is_some_and(|value| !value.eq_ignore_ascii_case("false"))
    }

    fn apis(&self, field: &str) -> Vec<EntityRef> {
        self.references_of(field, Some("api"))
    }

    fn references(&self, field: &str) -> Vec<EntityRef> {
        self.references_of(field, None)
    }

    fn references_of(&self, field: &str, default_kind: Option<&str>) -> Vec<EntityRef> {
        let list = self.spec.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let parse = |value: &Value| EntityRef::parse(value.as_str()?, default_kind, self.namespace()).ok();
        list.iter().filter_map(parse).collect()
    }
}

/// What an entity is read from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    api_version: String,
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Map<String, Value>,
}

impl TryFrom<Stored> for Entity {
    type Error = EntityProblem;

    fn try_from(stored: Stored) -> Result<Self, EntityProblem> {
        if !rule::is_kind(&stored.kind) {
            return Err(EntityProblem::new("kind", rule::KIND));
        }
        if !stored.metadata.namespace.as_deref().is_none_or(rule::is_namespace) {
            return Err(EntityProblem::new("metadata.namespace", rule::NAMESPACE));
        }
        let Stored { api_version, kind, metadata, spec } = stored;
        Ok(Self { api_version, kind, metadata, spec })
    }
}

impl EntityProblem {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), fix: None }
    }

    fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl fmt::Display for EntityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.path, self.message)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, " ({fix})"))
    }
}

impl std::error::Error for EntityProblem {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dataset() -> Value {
        json!({
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": "My.Dataset", "annotations": {"honk/workflow": "migrate-dataset"}, "team": {"size": 3}},
            "spec": {
                "type": "dataset", "lifecycle": "production", "owner": "data-team",
                "dependsOn": ["resource:raw/Events"], "dependencyOf": ["component:report"], "source": {"s3": 1},
            },
        })
    }

    #[test]
    fn a_dataset_says_what_honk_asks_it() {
        let entity = Entity::check(dataset()).expect("a dataset");
        assert_eq!(entity.reference().to_string(), "component:default/my.dataset");
        assert_eq!(entity.dataset_name().map(DatasetName::as_str), Some("My.Dataset"));
        assert_eq!(entity.key(), "dataset.My=Dataset");
        assert_eq!(entity.owner().expect("an owner").to_string(), "group:default/data-team");
        let names = |references: Vec<EntityRef>| references.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(entity.depends_on()), ["resource:raw/events"]);
        assert_eq!(names(entity.dependency_of()), ["component:default/report"]);
        assert_eq!((entity.annotation(WORKFLOW), entity.annotation(NOTIFY_URL)), (Some("migrate-dataset"), None));
        assert!(!entity.forbids_migration());
    }

    #[test]
    fn readers_are_those_that_either_side_names_and_those_that_consume_its_apis() {
        let entity = |kind: &str, name: &str, spec: Value| -> Entity {
            let document = json!({
                "apiVersion": "backstage.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec,
            });
            serde_json::from_value(document).expect("an entity")
        };
        let dataset = entity(
            "Component",
            "Sales",
            json!({ "type": "dataset", "dependencyOf": ["component:report"], "providesApis": ["sales-feed"] }),
        );
        let everyone = [
            dataset.clone(),
            entity("Component", "board", json!({ "dependsOn": ["Component:default/Sales"] })),
            entity("Component", "app", json!({ "consumesApis": ["api:default/sales-feed"] })),
            entity("Component", "other", json!({ "dependsOn": ["component:costs"], "consumesApis": ["costs-feed"] })),
        ];
        let readers: Vec<String> = dataset.readers(&everyone).iter().map(ToString::to_string).collect();
        assert_eq!(readers, ["component:default/app", "component:default/board", "component:default/report"]);
    }

    #[test]
    fn keys_that_honk_does_not_know_are_kept() {
        let entity = Entity::check(dataset()).expect("a dataset");
        assert_eq!(serde_json::to_value(&entity).expect("serialises"), dataset());
        assert_eq!(serde_json::from_value::<Entity>(dataset()).expect("reads back"), entity);
    }

    #[test]
    fn only_components_and_resources_are_datasets() {
        let group = json!({"apiVersion": "backstage.io/v1alpha1", "kind": "Group", "metadata": {"name": "Data-Team"},
            "spec": {"type": "dataset", "children": []}});
        let group = Entity::check(group).expect("a group");
        assert!(!group.is_dataset() && group.dataset_name().is_none());
        assert_eq!(group.key(), "entity.group.default.data-team");
        let mut service = dataset();
        service["spec"]["type"] = json!("service");
        assert!(!Entity::check(service).expect("a service").is_dataset());
    }

    #[test]
    fn a_migration_is_forbidden_by_any_value_but_false() {
        for (value, forbidden) in [("true", true), ("under legal hold", true), ("", true), ("false", false)] {
            let mut document = dataset();
            document["metadata"]["annotations"][DO_NOT_MIGRATE] = json!(value);
            assert_eq!(Entity::check(document).expect("a dataset").forbids_migration(), forbidden, "{value}");
        }
    }

    #[test]
    fn what_was_stored_by_somebody_else_cannot_bring_an_unsafe_key() {
        for (pointer, value) in [("/kind", "a.>"), ("/metadata/namespace", "x.*"), ("/metadata/name", "a b")] {
            let mut document = dataset();
            document["metadata"]["namespace"] = json!("default");
            *document.pointer_mut(pointer).expect("the field is there") = json!(value);
            assert!(serde_json::from_value::<Entity>(document).is_err(), "{pointer}");
        }
    }
}
