//! References to entities: `[kind:][namespace/]name`, compared without regard to case.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rule;
use crate::name::DatasetName;
use crate::subject;

/// The namespace of entities that name none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A complete reference in lower case, such as `group:default/data-team`. Each part has the form that it has in an
/// entity, which is narrower than what Backstage's parser lets through, so that a reference is always safe in a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntityRef {
    kind: String,
    namespace: String,
    name: DatasetName,
}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntityRefError {
    /// It names no kind, and here there is none by default.
    #[error("names no kind")]
    NoKind,
    /// It is not of the form.
    #[error("is not of the form `[kind:][namespace/]name`")]
    Form,
}

impl EntityRef {
    /// Reads a reference in which kind and namespace may be left out. Without a default, the kind may not.
    pub fn parse(text: &str, default_kind: Option<&str>, default_namespace: &str) -> Result<Self, EntityRefError> {
        let lower = text.to_ascii_lowercase();
        let (kind, rest) = match lower.split_once(':') {
            Some((kind, rest)) => (Some(kind), rest),
            None => (None, lower.as_str()),
        };
        let (namespace, name) = rest.split_once('/').unwrap_or((default_namespace, rest));
        let name = DatasetName::new(name).map_err(|_| EntityRefError::Form)?;
        let kind = kind.or(default_kind).ok_or(EntityRefError::NoKind)?;
        if rule::is_kind(kind) && rule::is_namespace(namespace) {
            Ok(Self::of(kind, namespace, &name))
        } else {
            Err(EntityRefError::Form)
        }
    }

    /// The reference of parts that are known to have their form.
    pub(super) fn of(kind: &str, namespace: &str, name: &DatasetName) -> Self {
        let lower = DatasetName::new(name.as_str().to_ascii_lowercase()).unwrap_or_else(|_| name.clone());
        Self { kind: kind.to_ascii_lowercase(), namespace: namespace.to_ascii_lowercase(), name: lower }
    }

    /// The kind, such as `group`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name, in lower case.
    pub fn name(&self) -> &DatasetName {
        &self.name
    }

    /// The key that the catalog's bucket keeps the entity under, unless it is a dataset.
    pub fn key(&self) -> String {
        subject::entity_key(&self.kind, &self.namespace, &self.name)
    }
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.kind, self.namespace, self.name)
    }
}

impl FromStr for EntityRef {
    type Err = EntityRefError;

    fn from_str(text: &str) -> Result<Self, EntityRefError> {
        Self::parse(text, None, DEFAULT_NAMESPACE)
    }
}

impl TryFrom<String> for EntityRef {
    type Error = EntityRefError;

    fn try_from(text: String) -> Result<Self, EntityRefError> {
        text.parse()
    }
}

impl From<EntityRef> for String {
    fn from(reference: EntityRef) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in() {
        for (text, kind, expected) in [
            ("data-team", Some("group"), Ok("group:ours/data-team")),
            ("Other/Data-Team", Some("group"), Ok("group:other/data-team")),
            ("User:jane.doe", Some("group"), Ok("user:ours/jane.doe")),
            ("resource:a/b", None, Ok("resource:a/b")),
            ("b", None, Err(EntityRefError::NoKind)),
            ("", Some("group"), Err(EntityRefError::Form)),
            ("a:b:c", None, Err(EntityRefError::Form)),
            ("a:b/c/d", None, Err(EntityRefError::Form)),
            (":a", None, Err(EntityRefError::Form)),
            ("group:/a", None, Err(EntityRefError::Form)),
            ("group:*/a", None, Err(EntityRefError::Form)),
            ("data team", Some("group"), Err(EntityRefError::Form)),
        ] {
            let parsed = EntityRef::parse(text, kind, "ours").map(|reference| reference.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_reference_reads_back_as_it_is_written(
            kind in "[a-zA-Z][a-z0-9A-Z]{0,62}", namespace in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            name in "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
        ) {
            let reference: EntityRef = format!("{kind}:{namespace}/{name}").parse().expect("the patterns are the rules");
            prop_assert_eq!(reference.to_string().parse::<EntityRef>(), Ok(reference));
        }

        #[test]
        fn no_text_makes_a_key_of_other_than_four_tokens(text in ".{0,80}") {
            if let Ok(reference) = EntityRef::parse(&text, Some("group"), DEFAULT_NAMESPACE) {
                prop_assert_eq!(reference.key().split('.').count(), 4);
                prop_assert!(!reference.key().contains(['*', '>', ' ']));
            }
        }
    }
}
