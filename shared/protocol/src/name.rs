//! Names from outside, checked once at the edge and carried as types from there on. Each is safe as a token of a NATS
//! subject and as part of a KV key, so nothing behind the edge needs to escape or check again. They are cloned with every move of a
//! record, so a clone copies no heap.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};

/// Why a text is not a name. The message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{}` {problem}", shorten(.text))]
pub struct NameError {
    kind: &'static str,
    text: String,
    problem: &'static str,
}

/// Hostile text ends up in messages and logs: without control characters, and cut at 80 characters.
fn shorten(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: impl Into<SmolStr>) -> Result<Self, NameError> {
                let text = text.into();
                match $check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(problem) => Err(NameError { kind: $kind, text: text.into(), problem }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = NameError;
            fn try_from(text: SmolStr) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": concat!("^", $pattern, "$") })
            }
        }

        #[cfg(test)]
        impl $name {
            /// The rule as a regular expression, which is what schemas have.
            const PATTERN: &'static str = $pattern;
        }
    };
}

name_type!(
    /// A dataset's name, by Backstage's rule for `metadata.name`: 1 to 63 letters, digits, `-`, `_` or `.`, with a
    /// letter or digit at both ends.
    DatasetName,
    "dataset name",
    backstage_name,
    "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
);
name_type!(
    /// A workflow's name: the same rule as a dataset's, so that an annotation can carry it.
    WorkflowName,
    "workflow name",
    backstage_name,
    "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
);
name_type!(
    /// A job's name inside a workflow, by GitHub's rule: a letter or `_`, then letters, digits, `-` or `_`; at most 63. An item of a
    /// job with a matrix is called by the job's name, a colon, and its number: `copy:17`.
    JobName,
    "job name",
    job_name,
    "[A-Za-z_][A-Za-z0-9_-]{0,62}(:(0|[1-9][0-9]{0,3}))?"
);
name_type!(
    /// A pool of agents: 1 to 63 lower-case letters, digits or `-`, beginning with a letter.
    PoolName,
    "pool name",
    pool_name,
    "[a-z][a-z0-9-]{0,62}"
);
name_type!(
    /// A run's id, derived from its event ([`RunId::of_event`]), so that a repeated event is the same run.
    RunId,
    "run id",
    run_id,
    "r[0-9a-f]{20}"
);
name_type!(
    /// SHA-256 of a workflow's canonical JSON, as 64 lower-case hexadecimal digits: the version a run is pinned to.
    WorkflowHash,
    "workflow hash",
    sha256_hex,
    "[0-9a-f]{64}"
);

name_type!(
    /// SHA-256 of a bundle of files, as 64 lower-case hexadecimal digits: the name it is kept under.
    BundleHash,
    "bundle hash",
    sha256_hex,
    "[0-9a-f]{64}"
);

/// A name as one token of a subject or key. A name may contain `.`, which separates tokens; `=` takes its place, which no name
/// contains.
fn token(name: &str) -> Cow<'_, str> {
    if name.contains('.') { name.replace('.', "=").into() } else { name.into() }
}

impl WorkflowName {
    /// The name as one token of a key.
    pub fn token(&self) -> Cow<'_, str> {
        token(&self.0)
    }
}

impl DatasetName {
    /// The name as one token of a subject or key.
    pub fn token(&self) -> Cow<'_, str> {
        token(&self.0)
    }

    /// Reads a token that [`DatasetName::token`] wrote.
    pub fn from_token(token: &str) -> Result<Self, NameError> {
        if token.contains('.') {
            return Err(NameError { kind: "dataset name", text: token.to_owned(), problem: "is not one token" });
        }
        Self::new(token.replace('=', "."))
    }
}

impl PoolName {
    /// The pool that serves jobs which name no other and have no built-in pool of their own name.
    pub const DEFAULT: &'static str = "default";

    /// The pools that exist on every server, with the actions that their agents bring.
    pub const BUILT_IN: [&'static str; 4] = ["validate", "migrate", "notify", Self::DEFAULT];

    /// The built-in pool of this name, if there is one.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN.contains(&name).then(|| Self(name.into()))
    }

    /// The pool [`PoolName::DEFAULT`].
    pub fn default_pool() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl RunId {
    /// The run of the event that `source` identifies as `id` (`CloudEvents` 1.0: the two together are unique): `r` and the
    /// first 20 hexadecimal digits (80 bits) of their SHA-256.
    pub fn of_event(source: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(source.as_bytes());
        hash.update([0]);
        hash.update(id.as_bytes());
        Self(format_smolstr!("r{}", &hex::encode(hash.finalize())[..20]))
    }
}

impl WorkflowHash {
    /// The hash of a workflow's canonical JSON.
    pub fn of(canonical_json: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(canonical_json)).into())
    }
}

impl JobName {
    /// The name of the item `number`, from 0, of this job.
    #[must_use]
    pub fn item(&self, number: u32) -> Self {
        Self(format_smolstr!("{}:{number}", self.0))
    }

    /// Which item it is, if it is one.
    pub fn item_number(&self) -> Option<u32> {
        self.0.split_once(':').and_then(|(_, number)| number.parse().ok())
    }

    /// The job that it is an item of.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once(':').map(|(job, _)| Self(job.into()))
    }

    /// The name of a job in a workflow's text, where there are no items yet.
    pub fn of_workflow(text: &str) -> Result<Self, NameError> {
        let problem = |problem| NameError { kind: "job name", text: text.to_owned(), problem };
        plain_job_name(text).map_err(problem)?;
        Ok(Self(text.into()))
    }
}

impl BundleHash {
    /// The hash of a bundle's bytes.
    pub fn of(bundle: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bundle)).into())
    }
}

fn backstage_name(text: &str) -> Result<(), &'static str> {
    const RULE: &str = "must be 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends";
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric));
    if ends && bytes.len() <= 63 && bytes.iter().all(allowed) { Ok(()) } else { Err(RULE) }
}

fn job_name(text: &str) -> Result<(), &'static str> {
    let Some((job, item)) = text.split_once(':') else { return plain_job_name(text) };
    let number = item.parse::<u16>().is_ok_and(|number| number.to_string() == item);
    if number { plain_job_name(job) } else { Err("must have a number without leading zeros after its colon") }
}

fn plain_job_name(text: &str) -> Result<(), &'static str> {
    const RULE: &str = "must be a letter or `_`, then letters, digits, `-` or `_`, at most 63 in all";
    let first = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let rest = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(first) && bytes.len() <= 63 && bytes.iter().all(rest) { Ok(()) } else { Err(RULE) }
}

fn pool_name(text: &str) -> Result<(), &'static str> {
    const RULE: &str = "must be 1 to 63 lower-case letters, digits or `-`, beginning with a letter";
    let rest = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_lowercase) && bytes.len() <= 63 && bytes.iter().all(rest) {
        Ok(())
    } else {
        Err(RULE)
    }
}

fn run_id(text: &str) -> Result<(), &'static str> {
    let digits = text.strip_prefix('r').unwrap_or_default();
    if digits.len() == 20 && lower_hex(digits) { Ok(()) } else { Err("must be `r` and 20 hexadecimal digits") }
}

fn sha256_hex(text: &str) -> Result<(), &'static str> {
    if text.len() == 64 && lower_hex(text) { Ok(()) } else { Err("must be 64 hexadecimal digits") }
}

fn lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dataset_names_follow_backstage() {
        for good in ["a", "my-dataset", "A.b_c-9", "a--b__c..d", &"x".repeat(63)] {
            assert!(DatasetName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a b", "a/b", "a*", "a>", "ä", "a\n", &"x".repeat(64)] {
            assert!(DatasetName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_shows_hostile_text_without_control_characters() {
        let error = DatasetName::new("a\u{1b}[31m").expect_err("an escape sequence is no name");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
        assert!(error.to_string().contains("1 to 63"), "{error}");
    }

    #[test]
    fn a_repeated_event_is_the_same_run_and_source_and_id_do_not_run_together() {
        assert_eq!(RunId::of_event("a", "b"), RunId::of_event("a", "b"));
        assert_ne!(RunId::of_event("ab", "c"), RunId::of_event("a", "bc"));
        assert!(RunId::new(RunId::of_event("a", "b").as_str()).is_ok());
    }

    proptest! {
        #[test]
        fn a_token_holds_a_dataset_name_without_loss(text in "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?") {
            let name = DatasetName::new(text).expect("the pattern is the rule");
            prop_assert!(!name.token().contains('.'));
            prop_assert_eq!(DatasetName::from_token(&name.token()).expect("reads back"), name);
        }

        #[test]
        fn what_schemas_say_of_names_is_true(
            dataset in DatasetName::PATTERN, workflow in WorkflowName::PATTERN, job in JobName::PATTERN, pool in PoolName::PATTERN,
            run in RunId::PATTERN, version in WorkflowHash::PATTERN, bundle in BundleHash::PATTERN,
        ) {
            prop_assert!(DatasetName::new(dataset).is_ok() && WorkflowName::new(workflow).is_ok() && JobName::new(job).is_ok());
            prop_assert!(PoolName::new(pool).is_ok() && RunId::new(run).is_ok());
            prop_assert!(WorkflowHash::new(version).is_ok() && BundleHash::new(bundle).is_ok());
        }

        #[test]
        fn no_text_makes_a_name_that_is_unsafe_in_a_subject(text in ".{0,70}") {
            let tokens = [DatasetName::new(text.as_str()).map(|n| n.token().into_owned()), JobName::new(text.as_str()).map(String::from),
                PoolName::new(text.as_str()).map(String::from)];
            for token in tokens.into_iter().flatten() {
                prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !b".*>".contains(&b)));
            }
        }
    }
}
