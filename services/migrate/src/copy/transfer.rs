//! One version of one object from source to target: the way it takes, and the ways that need no parts.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, TryStreamExt as _};
use honk_storage::{
    Attributes, ByteRange, Checksum, ContentHasher, CopyWay, Download, Etag, Keep, ObjectHead, ObjectInfo, PartLayout,
    StorageError, Store,
};

use super::engine::Engine;
use super::error::CopyError;
use super::large::Cut;

/// What the target has after a transfer.
pub(super) struct Written {
    pub(super) etag: Etag,
    /// Whether the bytes that passed through were checked against what the source says of them.
    pub(super) proved: bool,
}

/// Hashes what a stream carries, and can be looked at afterwards.
#[derive(Clone)]
pub(super) struct Tap(Arc<Mutex<Option<ContentHasher>>>);

impl Tap {
    pub(super) fn new(hasher: Option<ContentHasher>) -> Self {
        Self(Arc::new(Mutex::new(hasher)))
    }

    pub(super) fn update(&self, bytes: &[u8]) {
        if let Some(hasher) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            hasher.update(bytes);
        }
    }

    pub(super) fn hasher(&self) -> Option<ContentHasher> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same bytes, hashed in passing.
    pub(super) fn on<S>(&self, chunks: S) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + use<S>
    where
        S: Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    {
        let tap = self.clone();
        chunks.inspect_ok(move |bytes| tap.update(bytes))
    }
}

/// Compares what was hashed with what it should be. `Ok(false)`: there was nothing to compare with.
pub(super) fn check(
    store: &Store,
    key: &str,
    evidence: Option<&Checksum>,
    hasher: Option<ContentHasher>,
) -> Result<bool, StorageError> {
    let (Some(evidence), Some(hasher)) = (evidence, hasher) else { return Ok(false) };
    let found = hasher.finish();
    if found == *evidence {
        return Ok(true);
    }
    let detail = format!("read bytes with {:?} {}, not {}", found.algorithm, found.value, evidence.value);
    Err(store.corrupt("read", key, detail))
}

pub(super) fn hasher_for(evidence: Option<&Checksum>) -> Option<ContentHasher> {
    evidence.map(|evidence| ContentHasher::new(evidence.algorithm))
}

/// Starts to read a listed version; an answer about another length is no answer.
pub(super) async fn open(
    store: &Store,
    object: &ObjectInfo,
    range: Option<ByteRange>,
) -> Result<Download, StorageError> {
    let if_match = Some(&object.etag).filter(|etag| !etag.as_str().is_empty());
    let download = store.get(&object.key, range, if_match).await?;
    if range.is_none() && download.head.size != object.size {
        return Err(store.corrupt("read", &object.key, "the object's length is not the listed one"));
    }
    Ok(download)
}

/// What a copy keeps of an object that is being read; its tags cost a request, where it has some.
async fn kept(store: &Store, key: &str, head: &ObjectHead, keep: Keep) -> Result<Attributes, StorageError> {
    let mut attributes = head.attributes.kept(keep);
    if keep.tags && head.tag_count.is_some_and(|count| count > 0) {
        attributes.tagging = store.tagging_or_none(key).await?;
    }
    Ok(attributes)
}

impl Engine<'_> {
    /// Copies one version; fails with `Changed` or `NoSuchKey` when the source no longer has it.
    pub(super) async fn copy_version(&self, key: &str, object: &ObjectInfo) -> Result<(), CopyError> {
        let to = format!("{}{key}", self.target.prefix);
        let layout = self.source_layout(object).await?;
        let written = if self.one_endpoint {
            let written = self.copy_inside(object, &to, layout).boxed().await?;
            self.progress.add_bytes(object.size);
            written
        } else if let Some(cut) = self.parts_wanted(object, layout) {
            self.copy_large(object, &to, cut).boxed().await?
        } else {
            let written = if object.size <= self.settings.largest_buffer() {
                self.copy_small(object, &to).boxed().await?
            } else {
                self.copy_streaming(object, &to).boxed().await?
            };
            self.progress.add_bytes(object.size);
            written
        };
        if self.settings.keep.acl && !self.one_endpoint {
            let (source, target) = (&self.source.store, &self.target.store);
            self.retrying(|| target.copy_acl(source, &object.key, &to)).await?;
        }
        if written.proved && written.etag != object.etag {
            self.remember_proof(key, &object.etag, &written.etag);
        }
        Ok(())
    }

    /// The parts that the source object was made of, where it tells and they can be repeated.
    async fn source_layout(&self, object: &ObjectInfo) -> Result<Option<PartLayout>, CopyError> {
        let Some(count) = object.etag.parts() else { return Ok(None) };
        let first = self.retrying(|| self.source.store.first_part_size(&object.key, &object.etag)).await?;
        Ok(first.and_then(|first| PartLayout::like(object.size, first, count)))
    }

    fn parts_wanted(&self, object: &ObjectInfo, own: Option<PartLayout>) -> Option<Cut> {
        let large = object.size > self.settings.multipart_threshold;
        let ours = || PartLayout::new(object.size, self.settings.part_size);
        own.or_else(|| large.then(ours)).map(|layout| Cut { layout, mirrors: own.is_some() })
    }

    /// Lets the server copy. A multipart object without a checksum keeps its parts, so that its `ETag` proves the copy;
    /// else one request is cheapest.
    async fn copy_inside(&self, object: &ObjectInfo, to: &str, own: Option<PartLayout>) -> Result<Written, CopyError> {
        let (source, target) = (&self.source.store, &self.target.store);
        let ours = || PartLayout::new(object.size, self.settings.copy_part_size);
        let faster_in_parts = target.copy_way(object.size) == CopyWay::Parts;
        let layout = if target.copies_in_parts(object.size) {
            Some(own.unwrap_or_else(ours))
        } else if own.is_some() || faster_in_parts {
            let head = self.retrying(|| source.head(&object.key)).await?;
            // Parts of ours change the `ETag`; what proves the copy then is a checksum of the whole.
            if head.checksums.is_empty() { own } else { faster_in_parts.then(|| own.unwrap_or_else(ours)) }
        } else {
            None
        };
        let keep = self.settings.keep;
        let etag = match layout {
            Some(layout) => self.retrying(|| target.copy_object_in_parts(source, object, to, layout, keep)).await?,
            None => self.retrying(|| target.copy_object(source, object, to, keep)).await?,
        };
        Ok(Written { etag, proved: false })
    }

    /// Reads all of it, checks it, writes it.
    async fn copy_small(&self, object: &ObjectInfo, to: &str) -> Result<Written, CopyError> {
        let _room = self.budget.take(object.size).await;
        let once = || async {
            let download = open(&self.source.store, object, None).await?;
            let head = download.head.clone();
            let bytes = download.collect().await?;
            let evidence = head.evidence();
            let mut hasher = hasher_for(evidence.as_ref());
            if let Some(hasher) = hasher.as_mut() {
                hasher.update(&bytes);
            }
            let proved = check(&self.source.store, &object.key, evidence.as_ref(), hasher)?;
            let attributes = kept(&self.source.store, &object.key, &head, self.settings.keep).await?;
            // The bytes are those of the source's MD5, which need not be computed again.
            let known = evidence.filter(|_| proved).and_then(|evidence| evidence.md5());
            let etag = match known {
                Some(md5) => self.target.store.put_known(to, bytes, md5, &attributes).await?,
                None => self.target.store.put_small(to, bytes, &attributes).await?,
            };
            Ok::<_, StorageError>(Written { etag, proved })
        };
        self.retrying(once).await
    }

    /// Passes the bytes on as they come, for objects that are too large to hold and yet to be sent in one request.
    async fn copy_streaming(&self, object: &ObjectInfo, to: &str) -> Result<Written, CopyError> {
        let once = || async {
            let download = open(&self.source.store, object, None).await?;
            let head = download.head.clone();
            let evidence = head.evidence();
            let tap = Tap::new(hasher_for(evidence.as_ref()));
            let chunks = tap.on(download.into_stream());
            let attributes = kept(&self.source.store, &object.key, &head, self.settings.keep).await?;
            let etag = self.target.store.put_stream(to, object.size, chunks, &attributes).await?;
            let proved = check(&self.source.store, &object.key, evidence.as_ref(), tap.hasher())?;
            Ok::<_, StorageError>(Written { etag, proved })
        };
        self.retrying(once).await
    }
}
