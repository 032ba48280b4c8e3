//! Objects that a store refuses one by one while it serves the others: forbidden ones, archived ones, keys that the target does
//! not take. They must not keep the rest of a dataset from being copied; the copy fails at its end and names them.

use std::fmt;

use honk_storage::{ErrorKind, StorageError};

/// Keys that are named; the others are counted.
const NAMED: usize = 10;

/// When this many were refused and none was served, it is not about single objects.
const HOPELESS: u64 = 100;

/// Operations that fail on a source object, be it through its copy.
const READING: [&str; 6] = ["read", "describe", "describe the parts of", "read the tags of", "copy to", "copy part to"];

/// Why an object was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The credentials may not read it.
    Denied,
    /// It must be restored from an archive first.
    Archived,
    /// The target does not take its key.
    Key,
    /// A store says that the request about it can never succeed.
    Invalid,
}

impl Refusal {
    /// The refusal that `error` is; nothing if it is about more than one object, or may pass.
    pub(super) fn of(error: &StorageError) -> Option<Self> {
        error.key()?;
        match error.kind() {
            ErrorKind::AccessDenied if READING.contains(&error.operation()) => Some(Self::Denied),
            ErrorKind::Archived => Some(Self::Archived),
            ErrorKind::KeyTooLong => Some(Self::Key),
            ErrorKind::Invalid => Some(Self::Invalid),
            _ => None,
        }
    }
}

/// The objects that were refused. Its text names the first of them and what was said last.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why the first of them was.
    pub why: Refusal,
    /// How many.
    pub objects: u64,
    /// Some of their keys, relative to the prefix.
    pub keys: Vec<String>,
    said: String,
    rest_copied: bool,
}

impl Refused {
    /// Adds one to those that were refused so far.
    pub(super) fn add(so_far: &mut Option<Self>, key: String, why: Refusal, error: &StorageError) {
        let refused = so_far.get_or_insert_with(|| Self {
            why,
            objects: 0,
            keys: Vec::new(),
            said: error.to_string(),
            rest_copied: true,
        });
        refused.objects += 1;
        if refused.keys.len() < NAMED {
            refused.keys.push(key);
        }
    }

    /// Adds those of the range that follows.
    pub(super) fn merge(so_far: &mut Option<Self>, other: Option<Self>) {
        match (so_far.as_mut(), other) {
            (Some(so_far), Some(other)) => {
                so_far.objects += other.objects;
                so_far.keys.extend(other.keys);
                so_far.keys.truncate(NAMED);
                so_far.rest_copied &= other.rest_copied;
            }
            (None, other) => *so_far = other,
            (Some(_), None) => {}
        }
    }

    /// Whether going on would only be refused again.
    pub(super) fn is_hopeless(&self, served: u64) -> bool {
        served == 0 && self.objects >= HOPELESS
    }

    /// The same, of a copy that was ended early.
    pub(super) fn given_up(self) -> Self {
        Self { rest_copied: false, ..self }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(|key| format!("{key:?}")).collect();
        let unnamed = self.objects - keys.len() as u64;
        let more = if unnamed > 0 { format!(" and {unnamed} more") } else { String::new() };
        let rest =
            if self.rest_copied { "all others are copied" } else { "none was accepted, so the rest was not tried" };
        write!(f, "{} objects were refused, {rest}: {}{more}; the first: {}", self.objects, keys.join(", "), self.said)
    }
}
