//! Reading back: every object of every target, byte by byte, against what was meant to be there, and nothing beside it.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use honk_storage::{StorageError, Store};
use serde::Serialize;

use super::datasets::{Sample, SampleObject};
use super::stage::Stage;
use crate::error::CliError;

/// Datasets, and objects of each, that are read at once.
const DATASETS_AT_ONCE: usize = 8;
const OBJECTS_AT_ONCE: usize = 8;

/// What reading a dataset back found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Every byte is there, and nothing else.
    Equal,
    /// What is wrong first.
    Differs(String),
}

/// Reads every dataset back, in their order.
pub(super) async fn all(stage: &Stage, samples: &[Sample]) -> Result<Vec<Verdict>, CliError> {
    stream::iter(samples).map(|sample| dataset(stage, sample)).buffered(DATASETS_AT_ONCE).try_collect().await
}

async fn dataset(stage: &Stage, sample: &Sample) -> Result<Verdict, CliError> {
    let place = stage.target(sample);
    let store = stage.open(&place).await?;
    match compare(&store, &place, sample).await {
        Ok(None) => Ok(Verdict::Equal),
        Ok(Some(problem)) => Ok(Verdict::Differs(problem)),
        Err(error) => Ok(Verdict::Differs(error.to_string())),
    }
}

async fn compare(store: &Store, place: &honk_storage::Place, sample: &Sample) -> Result<Option<String>, StorageError> {
    let pages: Vec<Vec<honk_storage::ObjectInfo>> = store.list(&place.prefix(), 1_000).try_collect().await?;
    let found: BTreeSet<String> = pages.into_iter().flatten().map(|object| object.key).collect();
    let wanted: BTreeSet<String> = sample.objects.iter().map(|object| place.key(&object.key)).collect();
    if let Some(key) = wanted.symmetric_difference(&found).next() {
        return Ok(Some(format!(
            "{key} is {}",
            if wanted.contains(key) { "missing" } else { "there and should not be" }
        )));
    }
    let reads = sample.objects.iter().map(|object| is_equal(store, place.key(&object.key), object));
    let differing =
        stream::iter(reads).buffer_unordered(OBJECTS_AT_ONCE).try_filter_map(|problem| async { Ok(problem) });
    futures_util::pin_mut!(differing);
    differing.try_next().await
}

async fn is_equal(store: &Store, key: String, object: &SampleObject) -> Result<Option<String>, StorageError> {
    let download = store.get(&key, None, None).await?;
    let kept = download.head.attributes.content_type.as_deref() == Some(object.content_type);
    if download.head.size != object.size() || !kept {
        return Ok(Some(format!("{key} has another size or content type")));
    }
    let (mut offset, mut expected) = (0, object.chunk(0));
    let chunks = download.into_stream();
    futures_util::pin_mut!(chunks);
    while let Some(mut chunk) = chunks.try_next().await? {
        while !chunk.is_empty() {
            if expected.is_empty() {
                expected = object.chunk(offset);
            }
            let length = chunk.len().min(expected.len());
            if length == 0 || chunk.split_to(length) != expected.split_to(length) {
                return Ok(Some(format!("{key} differs at byte {offset} or soon after")));
            }
            offset += length as u64;
        }
    }
    Ok(None)
}
