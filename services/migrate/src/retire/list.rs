//! The list of what would be removed: every object of the source whose bytes the target is proved to have. It is stored in pieces by their
//! hashes, so that making it again makes nothing new, and it cannot be changed after it was shown.

use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use honk_agent::action::JobContext;
use honk_agent::registry::unavailable;
use honk_bus::Bus;
use honk_protocol::dataset::{Place, Removal, RemovalList};
use honk_protocol::name::{BundleHash, DatasetName};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Listed, Retire};
use crate::sides::{Ends, Pair};

/// Objects of a piece: some 200 KiB.
const PIECE: usize = 1_000;

/// Objects that are compared at a time.
const AT_ONCE: usize = 16;

/// The most keys that the outputs name; a run's record has to carry them.
const MOST_KEYS: usize = 50;

/// The longest a key may be in the outputs, in characters.
const LONGEST_KEY: usize = 256;

/// Lists what the source has that the target is proved to have too, and stores the list.
pub(super) async fn make(
    retire: &Retire,
    job: &JobContext,
    (source, target): (&Place, &Place),
) -> Result<Listed, Failed> {
    let ends = Ends::open(&retire.stores, source, target).await?;
    let mut draft = Draft::new(&retire.bus, job.dataset(), (source, target));
    let (mut pairs, mut proofs) = (ends.pairs(), FuturesOrdered::new());
    loop {
        let next = if proofs.len() < AT_ONCE { pairs.next().await? } else { None };
        match next {
            Some(pair) => proofs.push_back(prove(&ends, pair)),
            None => match proofs.next().await {
                Some(proved) => draft.add(proved?, job).await?,
                None => return draft.finish().await,
            },
        }
    }
}

/// What is known of an object of the source.
enum Proved {
    /// The target has it.
    There(Removal),
    /// The target has it not, or not with these bytes.
    Kept,
    /// The source has none.
    None,
}

async fn prove(ends: &Ends, pair: Pair) -> Result<Proved, Failed> {
    match (pair.source, pair.target) {
        (Some(source), Some(target)) if ends.proved_same(&source, &target).await? => Ok(Proved::There(Removal {
            key: pair.key,
            size: source.size,
            source: source.etag.as_str().to_owned(),
            target: target.etag.as_str().to_owned(),
        })),
        (Some(_), _) => Ok(Proved::Kept),
        (None, _) => Ok(Proved::None),
    }
}

/// A list that is being made.
struct Draft<'a> {
    bus: &'a Bus,
    list: RemovalList,
    piece: Vec<Removal>,
    keys: Vec<Value>,
}

impl<'a> Draft<'a> {
    fn new(bus: &'a Bus, dataset: &DatasetName, (source, target): (&Place, &Place)) -> Self {
        let (source, target) = (source.clone(), target.clone());
        let list =
            RemovalList { dataset: dataset.clone(), source, target, pieces: vec![], objects: 0, bytes: 0, kept: 0 };
        Self { bus, list, piece: Vec::new(), keys: Vec::new() }
    }

    async fn add(&mut self, proved: Proved, job: &JobContext) -> Result<(), Failed> {
        match proved {
            Proved::None => return Ok(()),
            Proved::Kept => self.list.kept += 1,
            Proved::There(removal) => {
                self.list.objects += 1;
                self.list.bytes += removal.size;
                if self.keys.len() < MOST_KEYS {
                    let key: String = removal.key.chars().take(LONGEST_KEY).collect();
                    self.keys.push(json!({ "key": key, "bytes": removal.size }));
                }
                self.piece.push(removal);
            }
        }
        job.progress.objects.fetch_add(1, Ordering::Relaxed);
        if self.piece.len() >= PIECE { self.store_piece().await } else { Ok(()) }
    }

    async fn store_piece(&mut self) -> Result<(), Failed> {
        let piece = std::mem::take(&mut self.piece);
        self.list.pieces.push(store(self.bus, &piece).await?);
        Ok(())
    }

    async fn finish(mut self) -> Result<Listed, Failed> {
        if !self.piece.is_empty() {
            self.store_piece().await?;
        }
        let name = store(self.bus, &self.list).await?;
        Ok(Listed { name, list: self.list, keys: self.keys })
    }
}

async fn store<T: Serialize>(bus: &Bus, value: &T) -> Result<String, Failed> {
    let json = serde_json::to_vec(value).map_err(|error| Failed::reject(Reason::InputInvalid, error.to_string()))?;
    let name = BundleHash::of(&json).to_string();
    bus.lists().put(&name, &json).await.map_err(|error| unavailable(&error))?;
    Ok(name)
}

/// The list of this name, if it is the dataset's.
pub(super) async fn load(bus: &Bus, dataset: &DatasetName, name: String) -> Result<Listed, Failed> {
    let list: RemovalList = read(bus, &name).await?;
    if list.dataset != *dataset {
        let message = format!("the list {name} is of the dataset `{}`", list.dataset);
        return Err(Failed::reject(Reason::InputInvalid, message));
    }
    Ok(Listed { name, list, keys: Vec::new() })
}

/// A piece of a list.
pub(super) async fn piece(bus: &Bus, name: &str) -> Result<Vec<Removal>, Failed> {
    read(bus, name).await
}

async fn read<T: DeserializeOwned>(bus: &Bus, name: &str) -> Result<T, Failed> {
    let missing = || {
        let message = format!("the list {name} is not stored (any more); make a new one with a dry run");
        Failed::reject(Reason::InputInvalid, message)
    };
    let bytes = bus.lists().get(name).await.map_err(|error| unavailable(&error))?.ok_or_else(missing)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failed::reject(Reason::InputInvalid, format!("the list {name} cannot be read: {error}")))
}
