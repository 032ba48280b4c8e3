//! What each kind of entity must and may have in `spec`, as a table.

use serde_json::{Map, Value};

use super::check::{Faults, a_text};
use super::{EntityRef, EntityRefError};

/// The versions of all kinds but templates.
const CATALOG_VERSIONS: &[&str] = &["backstage.io/v1alpha1", "backstage.io/v1beta1"];
const TEMPLATE_VERSIONS: &[&str] = &["scaffolder.backstage.io/v1beta3"];

/// A kind that Backstage knows.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) versions: &'static [&'static str],
    fields: &'static [Field],
}

struct Field {
    name: &'static str,
    required: bool,
    form: Form,
    /// What to write if it is missing.
    example: &'static str,
}

enum Form {
    /// A non-empty text.
    Text,
    /// One reference; the kind it has if it names none.
    Reference(&'static str),
    /// A list of references; the kind they have if they name none, if there is such.
    References(Option<&'static str>),
    /// A list.
    List,
    /// Something, such as a text or a placeholder for one.
    Any,
}

const fn must(name: &'static str, form: Form, example: &'static str) -> Field {
    Field { name, required: true, form, example }
}

const fn may(name: &'static str, form: Form) -> Field {
    Field { name, required: false, form, example: "" }
}

const fn typed(example: &'static str) -> Field {
    must("type", Form::Text, example)
}

const fn catalog(name: &'static str, fields: &'static [Field]) -> Kind {
    Kind { name, versions: CATALOG_VERSIONS, fields }
}

const OWNER: Field = must("owner", Form::Reference("group"), "data-team");
const LIFECYCLE: Field = must("lifecycle", Form::Text, "production");
const SYSTEM: Field = may("system", Form::Reference("system"));
const DEPENDS_ON: Field = may("dependsOn", Form::References(None));
const DEPENDENCY_OF: Field = may("dependencyOf", Form::References(None));

pub(super) const KINDS: &[Kind] = &[
    catalog(
        "Component",
        &[
            typed("dataset"),
            LIFECYCLE,
            OWNER,
            SYSTEM,
            may("subcomponentOf", Form::Reference("component")),
            may("providesApis", Form::References(Some("api"))),
            may("consumesApis", Form::References(Some("api"))),
            DEPENDS_ON,
            DEPENDENCY_OF,
        ],
    ),
    catalog("Resource", &[typed("dataset"), OWNER, SYSTEM, DEPENDS_ON, DEPENDENCY_OF]),
    catalog(
        "API",
        &[typed("openapi"), LIFECYCLE, OWNER, must("definition", Form::Any, "{$text: ./openapi.yaml}"), SYSTEM],
    ),
    catalog("System", &[OWNER, may("domain", Form::Reference("domain"))]),
    catalog("Domain", &[OWNER, may("subdomainOf", Form::Reference("domain"))]),
    catalog(
        "Group",
        &[
            typed("team"),
            may("parent", Form::Reference("group")),
            must("children", Form::References(Some("group")), "[]"),
            may("members", Form::References(Some("user"))),
        ],
    ),
    catalog("User", &[may("memberOf", Form::References(Some("group")))]),
    catalog("Location", &[may("type", Form::Text), may("target", Form::Text), may("targets", Form::List)]),
    Kind {
        name: "Template",
        versions: TEMPLATE_VERSIONS,
        fields: &[
            typed("service"),
            must("steps", Form::List, "a list of steps"),
            may("owner", Form::Reference("group")),
        ],
    },
];

impl Kind {
    /// Checks `spec`.
    pub(super) fn check(&self, spec: &Map<String, Value>, namespace: &str, faults: &mut Faults) {
        for field in self.fields {
            let path = format!("spec.{}", field.name);
            match spec.get(field.name) {
                None if field.required => {
                    let message = format!("is missing; a {} must have it", self.name);
                    faults.add_with_fix(path, message, format!("add `{}: {}` under `spec`", field.name, field.example));
                }
                None => {}
                Some(value) => field.form.check(&path, value, namespace, faults),
            }
        }
    }
}

impl Form {
    fn check(&self, path: &str, value: &Value, namespace: &str, faults: &mut Faults) {
        match self {
            Self::Text => {
                let _ = a_text(path, value, faults);
            }
            Self::Reference(kind) => a_reference(path, value, Some(kind), namespace, faults),
            Self::References(kind) => {
                for (index, item) in a_list(path, value, faults).iter().enumerate() {
                    a_reference(&format!("{path}[{index}]"), item, *kind, namespace, faults);
                }
            }
            Self::List => {
                a_list(path, value, faults);
            }
            Self::Any if value.is_null() => faults.add(path, "must not be empty"),
            Self::Any => {}
        }
    }
}

fn a_list<'v>(path: &str, value: &'v Value, faults: &mut Faults) -> &'v [Value] {
    value.as_array().map_or_else(
        || {
            faults.add_with_fix(path, "must be a list", "write `[…]`, or one line with `- ` for each item");
            [].as_slice()
        },
        Vec::as_slice,
    )
}

fn a_reference(path: &str, value: &Value, kind: Option<&str>, namespace: &str, faults: &mut Faults) {
    let Some(text) = a_text(path, value, faults) else { return };
    match EntityRef::parse(text, kind, namespace) {
        Ok(_) => {}
        Err(error @ EntityRefError::NoKind) => {
            faults.add_with_fix(
                path,
                format!("{error}, and here there is none by default"),
                "write `KIND:NAME`, such as `component:my-service`",
            );
        }
        Err(error @ EntityRefError::Form) => {
            faults.add_with_fix(path, error.to_string(), "such as `data-team` or `user:default/jane`");
        }
    }
}
