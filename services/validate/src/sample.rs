//! The dry run: the first objects are really copied, to the target's probe folder, in the way in which the migration will copy
//! them; read back, compared, and removed. It shows what no question shows, and how fast it goes.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use honk_protocol::dataset::Side;
use honk_protocol::settle::Failed;
use honk_storage::probe::PROBE_FOLDER;
use honk_storage::{ByteRange, ErrorKind, Keep, ObjectInfo, StorageError, Store};
use tokio::time::Instant;

use crate::options::SampleOptions;

/// Objects that are copied at a time: as many as a migration has under way at least.
const AT_ONCE: usize = 4;

/// What was copied, and how long it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sampled {
    /// Objects, each to its end or to the sample's.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first request to the last.
    pub took: Duration,
}

/// Both ends of the dry run.
#[derive(Debug)]
pub struct Ends<'s> {
    /// Only read.
    pub source: &'s Store,
    /// Where the copies go.
    pub target: &'s Store,
    /// The target's prefix.
    pub prefix: &'s str,
    /// Whether the server will copy by itself.
    pub inside: bool,
}

/// What of `objects` fits into the sample: whole objects, or the beginning of the one that does not fit any more.
fn cut(objects: &[ObjectInfo], limits: SampleOptions) -> Vec<(ObjectInfo, u64)> {
    let mut left = limits.bytes;
    let mut cut = Vec::new();
    for object in objects.iter().take(limits.objects) {
        let bytes = object.size.min(left);
        if bytes == 0 && object.size > 0 {
            break;
        }
        left -= bytes;
        cut.push((object.clone(), bytes));
    }
    cut
}

/// Copies, compares and removes. An object that changes meanwhile is left out: its writers go on, and so will the migration.
pub async fn dry_run(ends: &Ends<'_>, objects: &[ObjectInfo], limits: SampleOptions) -> Result<Sampled, Failed> {
    let begin = Instant::now();
    let pieces = cut(objects, limits).into_iter().enumerate();
    let copies = pieces.map(|(number, (object, bytes))| ends.copy(number, object, bytes));
    let mut ended = stream::iter(copies).buffer_unordered(AT_ONCE);
    let mut sampled = Sampled::default();
    while let Some(bytes) = ended.next().await {
        if let Some(bytes) = bytes? {
            sampled.objects += 1;
            sampled.bytes += bytes;
        }
    }
    sampled.took = begin.elapsed();
    Ok(sampled)
}

impl Ends<'_> {
    /// Copies one piece. `None`: the object is no longer what was listed.
    async fn copy(&self, number: usize, object: ObjectInfo, bytes: u64) -> Result<Option<u64>, Failed> {
        let key = format!("{}{PROBE_FOLDER}sample/{number}", self.prefix);
        let copied = Box::pin(self.copy_to(&key, &object, bytes)).await;
        let removed = self.target.delete(&key).await;
        match copied {
            Err((Side::Source, error)) if matches!(error.kind(), ErrorKind::Changed | ErrorKind::NoSuchKey) => Ok(None),
            Err((side, error)) => Err(error.failed(side)),
            Ok(()) => removed.map(|()| Some(bytes)).map_err(|error| error.failed(Side::Target)),
        }
    }

    async fn copy_to(&self, key: &str, object: &ObjectInfo, bytes: u64) -> Result<(), (Side, StorageError)> {
        let (at_source, at_target) = (|error| (Side::Source, error), |error| (Side::Target, error));
        let range = (bytes < object.size).then_some(ByteRange { start: 0, length: bytes });
        let if_match = Some(&object.etag).filter(|etag| !etag.as_str().is_empty());
        let read = self.source.get(&object.key, range, if_match).await.map_err(at_source)?;
        let attributes = read.head.attributes.clone();
        let content = read.collect().await.map_err(at_source)?;
        if self.inside && range.is_none() {
            self.target.copy_object(self.source, object, key, Keep::default()).await.map_err(at_target)?;
        } else {
            self.target.put_small(key, content.clone(), &attributes).await.map_err(at_target)?;
        }
        let back = self.target.get(key, None, None).await.map_err(at_target)?.collect().await.map_err(at_target)?;
        if back == content {
            return Ok(());
        }
        Err(at_target(self.target.corrupt("copy to", key, format!("the copy of {:?} has other bytes", object.key))))
    }
}

#[cfg(test)]
mod tests {
    use honk_storage::Etag;

    use super::*;

    #[test]
    fn a_sample_is_bounded_in_objects_and_in_bytes() {
        let object = |size| ObjectInfo { key: format!("{size}"), size, etag: Etag::new("e"), last_modified: None };
        let objects = [object(10), object(0), object(100), object(5)];
        let bytes = |objects: &[ObjectInfo], limits| -> Vec<u64> {
            cut(objects, limits).into_iter().map(|(_, bytes)| bytes).collect()
        };
        assert_eq!(bytes(&objects, SampleOptions { objects: 4, bytes: 1_000 }), [10, 0, 100, 5]);
        assert_eq!(bytes(&objects, SampleOptions { objects: 4, bytes: 50 }), [10, 0, 40]);
        assert_eq!(bytes(&objects, SampleOptions { objects: 1, bytes: 50 }), [10]);
        assert!(bytes(&objects, SampleOptions { objects: 0, bytes: 50 }).is_empty());
    }
}
