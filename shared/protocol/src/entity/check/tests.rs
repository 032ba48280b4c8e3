//! Documents that a real Backstage accepts or refuses, and what is said of the latter.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn component() -> Value {
    json!({
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "my-dataset"},
        "spec": {"type": "dataset", "lifecycle": "production", "owner": "data-team"},
    })
}

/// The component with the value at `pointer` set; its parent must be there.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = component();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    document.pointer_mut(parent).expect("the parent is there")[key] = value;
    document
}

fn without(pointer: &str) -> Value {
    let mut document = component();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let map = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is there");
    map.remove(key).expect("the key is there");
    document
}

fn paths(document: Value) -> Vec<String> {
    match Entity::check(document) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.path).collect(),
    }
}

#[test]
fn what_backstage_accepts_passes() {
    for (pointer, value) in [
        ("/apiVersion", json!("backstage.io/v1beta1")),
        ("/metadata/name", json!("a--b__c..d")),
        ("/metadata/namespace", json!("data")),
        ("/metadata/description", json!("")),
        ("/metadata/status", json!({"any": ["thing"]})),
        ("/metadata/labels", json!({"backstage.io/x": "", "tier": "gold"})),
        ("/metadata/annotations", json!({"honk/workflow": "w", "backstage.io/techdocs-ref": "dir:."})),
        ("/metadata/tags", json!(["c++", "a-b:c"])),
        ("/metadata/links", json!([{"url": "https://a.b", "title": "t", "icon": "i", "type": "x", "more": 1}])),
        ("/spec/source", json!({"s3": {"bucket": "b"}})),
        ("/spec/owner", json!("user:default/jane")),
        ("/spec/dependsOn", json!(["resource:x", "component:ns/y"])),
        ("/spec/providesApis", json!(["x"])),
    ] {
        assert_eq!(paths(with(pointer, value)), [""; 0], "{pointer}");
    }
}

#[test]
fn what_backstage_refuses_is_refused_at_its_place() {
    for (pointer, value, path) in [
        ("/status", json!({}), "status"),
        ("/relations", json!([]), "relations"),
        ("/apiVersion", json!("backstage.io/v1"), "apiVersion"),
        ("/apiVersion", json!("example.com/v1alpha1"), "apiVersion"),
        ("/kind", json!("component"), "kind"),
        ("/kind", json!("Dataset"), "kind"),
        ("/kind", json!(1), "kind"),
        ("/metadata", json!([]), "metadata"),
        ("/metadata/name", json!("my dataset"), "metadata.name"),
        ("/metadata/name", json!(""), "metadata.name"),
        ("/metadata/name", json!(2024), "metadata.name"),
        ("/metadata/name", json!("x".repeat(64)), "metadata.name"),
        ("/metadata/namespace", json!("Data"), "metadata.namespace"),
        ("/metadata/title", json!(""), "metadata.title"),
        ("/metadata/description", json!(1), "metadata.description"),
        ("/metadata/labels", json!({"a": "b/c"}), "metadata.labels.a"),
        ("/metadata/labels", json!([]), "metadata.labels"),
        ("/metadata/annotations", json!({"honk/a/b": "x"}), "metadata.annotations.honk/a/b"),
        ("/metadata/annotations", json!({"Honk/a": "x"}), "metadata.annotations.Honk/a"),
        ("/metadata/annotations", json!({"a": true}), "metadata.annotations.a"),
        ("/metadata/annotations", json!({"honk/workflow": "a b"}), "metadata.annotations.honk/workflow"),
        ("/metadata/tags", json!(["ok", "Not-Ok"]), "metadata.tags[1]"),
        ("/metadata/tags", json!("one"), "metadata.tags"),
        ("/metadata/links", json!([{"url": "nowhere"}]), "metadata.links[0].url"),
        ("/metadata/links", json!([{"title": "t"}]), "metadata.links[0].url"),
        ("/metadata/links", json!([{"url": "https://a", "icon": ""}]), "metadata.links[0].icon"),
        ("/metadata/links", json!(["https://a"]), "metadata.links[0]"),
        ("/spec", json!(null), "spec"),
        ("/spec/owner", json!(""), "spec.owner"),
        ("/spec/owner", json!("a:b:c"), "spec.owner"),
        ("/spec/lifecycle", json!(true), "spec.lifecycle"),
        ("/spec/dependsOn", json!(["no-kind"]), "spec.dependsOn[0]"),
        ("/spec/dependencyOf", json!("component:a"), "spec.dependencyOf"),
        ("/spec/system", json!("a/b/c"), "spec.system"),
    ] {
        assert_eq!(paths(with(pointer, value)), [path], "{pointer}");
    }
    for missing in
        ["/apiVersion", "/kind", "/metadata", "/metadata/name", "/spec", "/spec/type", "/spec/lifecycle", "/spec/owner"]
    {
        assert_eq!(paths(without(missing)), [missing[1..].replace('/', ".")], "{missing}");
    }
    for other in [json!(null), json!([]), json!("text")] {
        assert_eq!(paths(other), [""]);
    }
}

#[test]
fn a_resource_needs_no_lifecycle_and_a_template_needs_a_type() {
    let mut resource = without("/spec/lifecycle");
    resource["kind"] = json!("Resource");
    assert_eq!(paths(resource), [""; 0]);
    let template = json!({"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": {"name": "t"},
        "spec": {"steps": []}});
    assert_eq!(paths(template.clone()), ["spec.type"]);
    let mut wrong_version = template;
    wrong_version["apiVersion"] = json!("backstage.io/v1alpha1");
    assert_eq!(paths(wrong_version), ["apiVersion", "spec.type"]);
}

#[test]
fn all_faults_of_a_document_are_told_each_with_what_to_do() {
    let document = json!({
        "apiVersion": "v1", "kind": "component", "extra": 1,
        "metadata": {"name": "-", "annotations": {"a": 1}},
        "spec": {"type": "dataset"},
    });
    let problems = Entity::check(document).expect_err("it has faults");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told[..2],
        [
            "extra: is not a key of an entity (only `apiVersion`, `kind`, `metadata` and `spec` are allowed here)",
            "kind: `component` is not a kind that Backstage knows (write `kind: Component`)",
        ]
    );
    assert!(told[2].starts_with("metadata.name: `-` must be 1 to 63"), "{told:?}");
    assert_eq!(told[3..], ["metadata.annotations.a: must be a text, and is a number (quote it: `\"1\"`)"]);
}

#[test]
fn a_document_of_many_faults_or_hostile_text_makes_no_long_or_dangerous_answer() {
    let tags: Vec<String> = (0..1_000).map(|n| format!("NO {n}")).collect();
    assert_eq!(paths(with("/metadata/tags", json!(tags))).len(), MAX_FAULTS);
    let problems = Entity::check(with("/metadata/name", json!("\u{1b}[31m".repeat(1_000)))).expect_err("no name");
    assert!(problems[0].message.len() < 400 && !problems[0].message.contains('\u{1b}'), "{problems:?}");
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![
            "[a-z/]{1,8}",
            prop::sample::select(vec![
                "name",
                "namespace",
                "labels",
                "annotations",
                "tags",
                "links",
                "url",
                "type",
                "owner",
                "dependsOn"
            ])
            .prop_map(str::to_owned),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_makes_it_panic_and_each_refusal_has_a_reason(metadata in json_values(), spec in json_values()) {
        let document = json!({"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": metadata, "spec": spec});
        if let Err(problems) = Entity::check(document) {
            prop_assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.message.is_empty()));
        }
    }

    #[test]
    fn what_passes_is_stored_and_read_back_without_loss(
        name in "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", more in json_values(), tag in "[a-z0-9:+#]{1,20}",
        value in ".{0,40}", owner in "(user:)?[a-z0-9]{1,20}",
    ) {
        let mut document = component();
        document["metadata"]["name"] = json!(name);
        document["metadata"]["more"] = more.clone();
        document["metadata"]["tags"] = json!([tag]);
        document["metadata"]["annotations"] = json!({"note": value});
        document["spec"]["owner"] = json!(owner);
        document["spec"]["more"] = more;
        let entity = Entity::check(document.clone()).expect("it follows the rules");
        let stored = serde_json::to_vec(&entity).expect("serialises");
        prop_assert_eq!(serde_json::to_value(&entity).expect("serialises"), document);
        prop_assert_eq!(serde_json::from_slice::<Entity>(&stored).expect("reads back"), entity);
    }
}
