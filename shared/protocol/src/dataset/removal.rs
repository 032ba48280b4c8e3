//! What a retirement would remove from a source: a list that is made before anything is removed, and stored by its hash, so that what is
//! removed is what was listed, whoever goes on with it.

use serde::{Deserialize, Serialize};

use super::Place;
use crate::name::DatasetName;

/// A list of objects to remove. Its entries are in pieces, so that neither making nor following it takes memory for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalList {
    /// Whose source it is.
    pub dataset: DatasetName,
    /// Where the objects are.
    pub source: Place,
    /// Where their copies are.
    pub target: Place,
    /// The names of the pieces, each a JSON list of [`Removal`]s, in the order of the keys.
    pub pieces: Vec<String>,
    /// How many objects are listed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many objects of the source are not listed, because the target does not have them with the same bytes.
    pub kept: u64,
}

/// An object whose bytes the target was proved to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Its key, relative to both places.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its version at the source, as an `ETag`.
    pub source: String,
    /// The version of its copy.
    pub target: String,
}
