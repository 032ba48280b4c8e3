//! Large objects between endpoints: ranged reads into the parts of one upload.
//!
//! Parts that fit into the byte budget are read and sent several at a time, and hashed in order as they arrive, so that the
//! whole object is checked before the upload is completed. Larger parts pass through one after the other. An upload that
//! cannot be completed is aborted, also when the caller cancels.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use honk_storage::{ByteRange, Checksum, ErrorKind, ObjectInfo, Part, PartLayout, StorageError, Upload};

use super::engine::Engine;
use super::error::CopyError;
use super::patience::Patience;
use super::transfer::{Tap, Written, check, hasher_for, open};

/// How an object is cut into parts.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) layout: PartLayout,
    /// Whether these are the source's own parts.
    pub(super) mirrors: bool,
}

/// An upload and what it is made from.
struct Job<'a> {
    object: &'a ObjectInfo,
    cut: Cut,
    upload: Upload,
    evidence: Option<Checksum>,
    /// Bytes of the parts that were sent.
    sent: AtomicU64,
}

impl Engine<'_> {
    /// Copies `object` in parts; damaged bytes begin the whole upload again.
    pub(super) async fn copy_large(&self, object: &ObjectInfo, to: &str, cut: Cut) -> Result<Written, CopyError> {
        let mut patience = Patience::new(&self.settings);
        loop {
            match self.upload_whole(object, to, cut).await {
                Err(CopyError::Storage(error)) if error.kind() == ErrorKind::Corrupt => {
                    patience.wait(error, &self.cancel).await?;
                }
                other => return other,
            }
        }
    }

    async fn upload_whole(&self, object: &ObjectInfo, to: &str, cut: Cut) -> Result<Written, CopyError> {
        let head = self.retrying(|| self.source.store.head(&object.key)).await?;
        if head.etag != object.etag || head.size != object.size {
            return Err(self.source.store.changed("copy", &object.key, (&object.etag, &head.etag)).into());
        }
        let evidence = head.evidence();
        let upload = self.retrying(|| self.target.store.create_upload(to, &head.attributes)).await?;
        let job = Job { object, cut, upload, evidence, sent: AtomicU64::new(0) };
        let done = self.fill(&job).await;
        if done.is_err() {
            self.progress.take_back_bytes(job.sent.load(Ordering::Relaxed));
            if let Err(error) = job.upload.abort().await {
                tracing::warn!(%error, "an unfinished upload stays behind");
            }
        }
        done
    }

    async fn fill(&self, job: &Job<'_>) -> Result<Written, CopyError> {
        let tap = Tap::new(hasher_for(job.evidence.as_ref()));
        let (parts, tap) = if job.cut.layout.part_size() <= self.settings.largest_buffer() {
            (self.parts_buffered(job, &tap).await?, tap)
        } else {
            self.parts_streamed(job, tap).await?
        };
        let proved = self.checked(job, &parts, &tap)?;
        let etag = self.retrying(|| job.upload.complete(&parts)).await?;
        self.parts.fetch_add(parts.len() as u64, Ordering::Relaxed);
        Ok(Written { etag, proved })
    }

    /// Room for a part is taken in order and before it is read, so that an earlier part never waits for a later one.
    async fn parts_buffered(&self, job: &Job<'_>, tap: &Tap) -> Result<Vec<Part>, CopyError> {
        let downloads = stream::iter(job.cut.layout.parts())
            .then(|(number, range)| {
                async move { (number, range, self.budget.take(range.length).await) }.boxed()
            })
            .map(|(number, range, room)| {
                let read = async move {
                    let bytes = self.retrying(|| self.read_part(job.object, range)).await?;
                    Ok::<_, CopyError>((number, bytes, room))
                };
                read.boxed()
            })
            .buffered(self.settings.parts_in_flight.max(1));
        let uploads = downloads.map_ok(|(number, bytes, room)| {
            tap.update(&bytes);
            let send = async move {
                let part = self.retrying(|| job.upload.part(number, bytes.clone())).await?;
                self.count(job, bytes.len() as u64);
                drop(room);
                Ok::<_, CopyError>(part)
            };
            send.boxed()
        });
        uploads.try_buffered(self.settings.parts_in_flight.max(1)).try_collect().await
    }

    async fn read_part(&self, object: &ObjectInfo, range: ByteRange) -> Result<Bytes, StorageError> {
        open(&self.source.store, object, Some(range)).await?.collect().await
    }

    /// One part after the other, none of them held. A part that is tried again is hashed again from where it began.
    async fn parts_streamed(&self, job: &Job<'_>, mut tap: Tap) -> Result<(Vec<Part>, Tap), CopyError> {
        let mut parts = Vec::new();
        for (number, range) in job.cut.layout.parts() {
            let before = tap.hasher();
            let once = || async {
                let tap = Tap::new(before.clone());
                let chunks = open(&self.source.store, job.object, Some(range)).await?.into_stream();
                let part = job.upload.part_stream(number, range.length, tap.on(chunks)).await?;
                Ok::<_, StorageError>((part, tap))
            };
            let (part, after) = self.retrying(once).await?;
            self.count(job, range.length);
            parts.push(part);
            tap = after;
        }
        Ok((parts, tap))
    }

    fn count(&self, job: &Job<'_>, bytes: u64) {
        job.sent.fetch_add(bytes, Ordering::Relaxed);
        self.progress.add_bytes(bytes);
    }

    /// Whether the bytes read are proved to be the source's: by its MD5 or checksum, or by the `ETag` that its own parts
    /// make.
    fn checked(&self, job: &Job<'_>, parts: &[Part], tap: &Tap) -> Result<bool, CopyError> {
        let store = &self.source.store;
        if check(store, &job.object.key, job.evidence.as_ref(), tap.hasher())? {
            return Ok(true);
        }
        match Part::etag_of(parts) {
            Some(made) if job.cut.mirrors && made == job.object.etag => Ok(true),
            Some(made) if job.cut.mirrors => {
                let detail = format!("the parts read make {}, not {}", made.as_str(), job.object.etag.as_str());
                Err(store.corrupt("read", &job.object.key, detail).into())
            }
            _ => Ok(false),
        }
    }
}
