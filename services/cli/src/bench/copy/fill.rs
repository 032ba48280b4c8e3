//! The objects that are copied: written once, and found again by a later measurement.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_storage::{Algorithm, Attributes, Place, StorageError, Store, Stores, listing};

use super::SOURCE;
use crate::arguments::CopyArguments;
use crate::error::CliError;

/// Requests under way while the source is written or a target removed.
const IN_FLIGHT: usize = 64;

/// Bytes of a part of a large object: what clients of S3 take unless they are told otherwise.
const PART: u64 = 8 << 20;

/// What there is to copy.
pub(super) struct Source {
    small: (u64, u64),
    large: (u64, u64),
}

impl Source {
    pub(super) fn new(arguments: &CopyArguments) -> Self {
        Self {
            small: (arguments.objects.into(), arguments.object_size),
            large: (arguments.large.into(), arguments.large_mib << 20),
        }
    }

    pub(super) fn describe(&self) -> String {
        let words: Vec<String> = self.folders().map(|(_folder, what)| what).collect();
        words.join(" and ")
    }

    /// Folders that have objects, and what is in them.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let small = ("small", self.small.0, format!("{} x {} B", self.small.0, self.small.1));
        let large = ("large", self.large.0, format!("{} x {} MiB", self.large.0, self.large.1 >> 20));
        [small, large].into_iter().filter(|(_, count, _)| *count > 0).map(|(folder, _, what)| (folder, what))
    }

    /// Writes what is not there.
    pub(super) async fn fill(&self, stores: &Stores, url: &str) -> Result<(), CliError> {
        let place = Place::new(SOURCE, "").at(url);
        make_bucket(stores, &place).await?;
        let store = open(stores, &place).await?;
        for (folder, (count, size)) in [("small/", self.small), ("large/", self.large)] {
            let found = listing::survey(&store, folder).await.map_err(|error| failed(&error))?;
            if (found.objects, found.bytes) == (count, count * size) {
                continue;
            }
            clear(stores, &Place::new(SOURCE, folder).at(url)).await?;
            let at_a_time = if size > PART { 1 } else { IN_FLIGHT };
            stream::iter(0..count)
                .map(|number| write(&store, format!("{folder}{number:06}"), (number, size)))
                .buffer_unordered(at_a_time)
                .try_collect::<()>()
                .await
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

/// Writes one object: in parts, with a checksum of the whole, if a client of S3 would.
async fn write(store: &Store, key: String, (number, size): (u64, u64)) -> Result<(), StorageError> {
    if size <= PART {
        return store.put_small(&key, content(number, size), &Attributes::default()).await.map(drop);
    }
    let upload = store.create_upload(&key, &Attributes::default(), Algorithm::Crc64Nvme).await?;
    let mut parts = Vec::new();
    for (part, start) in (1_i32..).zip((0..size).step_by(usize::try_from(PART).unwrap_or(usize::MAX))) {
        parts.push(upload.part(part, content(number + start, PART.min(size - start))).await?);
    }
    upload.complete(&parts).await.map(drop)
}

/// Bytes that differ from object to object and from part to part.
fn content(seed: u64, size: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    random.fill(&mut bytes);
    bytes.into()
}

/// Makes the place's bucket, if it is not there.
pub(super) async fn make_bucket(stores: &Stores, place: &Place) -> Result<(), CliError> {
    let store = open(stores, place).await?;
    if !store.bucket_exists().await.map_err(|error| failed(&error))? {
        store.create_bucket().await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Removes every object of a place of this measurement.
pub(super) async fn clear(stores: &Stores, place: &Place) -> Result<(), CliError> {
    let store = open(stores, place).await?;
    let pages = store.list(&place.prefix(), 1_000);
    let objects = pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten();
    let removed = objects.try_for_each_concurrent(IN_FLIGHT, |object| {
        let store = store.clone();
        async move { store.delete(&object.key).await }
    });
    Box::pin(removed).await.map_err(|error| failed(&error))
}

async fn open(stores: &Stores, place: &Place) -> Result<Store, CliError> {
    stores.open(place).await.map_err(|error| failed(&error))
}

fn failed(error: &StorageError) -> CliError {
    CliError::failed("cannot prepare the measurement").caused_by(error)
}
