//! Large objects between endpoints: ranged reads into the parts of one upload.
//!
//! Several parts are under way at a time, within the byte budget. Parts that fit into it are held, so that they can be sent
//! again and be hashed in order; larger ones pass through. The whole object is checked before the upload is completed, and
//! an upload that cannot be completed is aborted, also when the caller cancels, unless the journal remembers it: then the next attempt
//! sends the parts that the store does not have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use honk_storage::{
    Algorithm, Attributes, ByteRange, Checksum, ErrorKind, ObjectHead, ObjectInfo, Part, PartLayout, StorageError,
    Upload,
};
use tokio::sync::OwnedSemaphorePermit;

use super::engine::Engine;
use super::error::CopyError;
use super::journal::{Notes, Unfinished};
use super::patience::Patience;
use super::transfer::{Tap, Written, check, hasher_for, open};

/// Room in the byte budget for a part that passes through: what sockets and channels hold of it.
const PASSING: u64 = 1 << 20;

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
    /// Parts that the store has from an earlier attempt.
    there: BTreeMap<i32, Part>,
    /// A checksum of the source that those of the parts give together, in whatever order they come.
    combined: Option<Checksum>,
    /// What else the bytes are compared with, which takes them in order.
    ordered: Option<Checksum>,
    /// Bytes of the parts that were sent.
    sent: AtomicU64,
}

/// A part that the store has, or one in memory with its room in the budget.
enum Held {
    There(Part),
    Read { number: i32, bytes: Bytes, room: Option<OwnedSemaphorePermit> },
}

impl<'a> Job<'a> {
    fn new(object: &'a ObjectInfo, cut: Cut, begun: Begun, head: &ObjectHead) -> Self {
        let Begun { upload, there, .. } = begun;
        let combined = head.checksums.iter().find(|checksum| Some(checksum.algorithm) == upload.checksum()).cloned();
        // Parts that are not read cannot be hashed; their object is then compared when it is verified.
        let ordered = if combined.is_some() || !there.is_empty() { None } else { head.evidence() };
        Self { object, cut, upload, there, combined, ordered, sent: AtomicU64::new(0) }
    }
}

/// An upload to send parts to.
struct Begun {
    upload: Upload,
    there: BTreeMap<i32, Part>,
    note: Unfinished,
    /// Whether the journal has it.
    kept: bool,
}

/// The checksum that the target is asked to keep: one that the source has, so that the two can be compared at any time.
fn wanted_checksum(head: &ObjectHead) -> Algorithm {
    let mut known = head.checksums.iter().map(|checksum| checksum.algorithm);
    known.find(|algorithm| algorithm.combines()).unwrap_or(Algorithm::Crc64Nvme)
}

/// Whether beginning the whole upload again may help: damaged bytes, or an upload that somebody else aborted.
fn is_worth_a_new_upload(error: &StorageError) -> bool {
    error.kind() == ErrorKind::Corrupt || error.code() == Some("NoSuchUpload")
}

impl Engine<'_> {
    /// Copies `object` in parts.
    pub(super) async fn copy_large(&self, object: &ObjectInfo, to: &str, cut: Cut) -> Result<Written, CopyError> {
        let _turn = self.budget.turn().await;
        let mut patience = Patience::new(&self.settings);
        loop {
            match self.upload_whole(object, to, cut).await {
                Err(CopyError::Storage(error)) if is_worth_a_new_upload(&error) => {
                    patience.wait(error, &self.cancel).await?;
                }
                other => return other,
            }
        }
    }

    async fn upload_whole(&self, object: &ObjectInfo, to: &str, cut: Cut) -> Result<Written, CopyError> {
        let source = &self.source.store;
        let head = self.retrying(|| source.head(&object.key)).await?;
        if head.etag != object.etag || head.size != object.size {
            return Err(source.changed("copy", &object.key, (&object.etag, &head.etag)).into());
        }
        let begun = match self.resumed(object, to, cut).await? {
            Some(begun) => begun,
            None => self.begin(object, to, cut, &head).await?,
        };
        let (note, kept) = (begun.note.clone(), begun.kept);
        let job = Job::new(object, cut, begun, &head);
        let done = self.fill(&job).await;
        match &done {
            Ok(_written) if kept => self.notes().forget(&note).await,
            Ok(_written) => {}
            Err(error) => {
                self.progress.take_back_bytes(job.sent.load(Ordering::Relaxed));
                let is_useless = matches!(error, CopyError::Storage(error) if is_worth_a_new_upload(error));
                if is_useless || !kept {
                    self.give_up(&job.upload, &note).await;
                }
            }
        }
        done
    }

    fn notes(&self) -> Notes<'_> {
        Notes(self.journal.as_deref())
    }

    async fn give_up(&self, upload: &Upload, note: &Unfinished) {
        match upload.abort().await {
            Ok(()) => self.notes().forget(note).await,
            Err(error) => tracing::warn!(%error, "an unfinished upload stays behind"),
        }
    }

    /// Begins an upload, and writes it down before anything is sent.
    async fn begin(&self, object: &ObjectInfo, to: &str, cut: Cut, head: &ObjectHead) -> Result<Begun, CopyError> {
        let (source, target) = (&self.source.store, &self.target.store);
        let keep = self.settings.keep;
        let tagging = if keep.tags { self.retrying(|| source.tagging_or_none(&object.key)).await? } else { None };
        let attributes = Attributes { tagging, ..head.attributes.kept(keep) };
        target.clear_uploads(to).await;
        let wanted = wanted_checksum(head);
        let upload = self.retrying(|| target.create_upload(to, &attributes, wanted)).await?;
        let note = Unfinished {
            bucket: target.bucket().to_owned(),
            upload: upload.id(),
            source_etag: object.etag.as_str().to_owned(),
            size: object.size,
            part_size: cut.layout.part_size(),
        };
        let kept = self.notes().remember(&note).await;
        Ok(Begun { upload, there: BTreeMap::new(), note, kept })
    }

    /// The upload of an earlier attempt with the parts that the store has of it, if the journal knows one that is cut alike and the store
    /// still has it.
    async fn resumed(&self, object: &ObjectInfo, to: &str, cut: Cut) -> Result<Option<Begun>, CopyError> {
        let target = &self.target.store;
        let Some(note) = self.notes().find(target.bucket(), to, &object.etag).await else { return Ok(None) };
        if (note.size, note.part_size) != (object.size, cut.layout.part_size()) {
            return Ok(None);
        }
        let upload = target.resume_upload(&note.upload);
        let stored = match self.retrying(|| upload.stored_parts()).await {
            Ok(stored) => stored,
            Err(CopyError::Cancelled) => return Err(CopyError::Cancelled),
            Err(error) => {
                tracing::info!(%error, "beginning the upload anew");
                self.notes().forget(&note).await;
                return Ok(None);
            }
        };
        let lengths: BTreeMap<i32, u64> = cut.layout.parts().map(|(number, range)| (number, range.length)).collect();
        let is_whole = |part: &Part| lengths.get(&part.number()) == Some(&part.length());
        let there: BTreeMap<i32, Part> =
            stored.into_iter().filter(is_whole).map(|part| (part.number(), part)).collect();
        tracing::info!(key = to, parts = there.len(), "going on with an unfinished upload");
        Ok(Some(Begun { upload, there, note, kept: true }))
    }

    async fn fill(&self, job: &Job<'_>) -> Result<Written, CopyError> {
        let tap = Tap::new(hasher_for(job.ordered.as_ref()));
        let (parts, tap) = if job.cut.layout.part_size() <= self.settings.largest_buffer() {
            (self.parts_held(job, &tap).try_collect().await?, tap)
        } else if job.ordered.is_none() {
            (self.parts_passing(job).try_collect().await?, tap)
        } else {
            self.parts_in_turn(job, tap).boxed().await?
        };
        let proved = self.checked(job, &parts, &tap)?;
        let etag = self.retrying(|| job.upload.complete(&parts)).await?;
        self.parts.fetch_add((parts.len() - job.there.len()) as u64, Ordering::Relaxed);
        Ok(Written { etag, proved })
    }

    /// Parts that are read ahead, hashed in order and sent, several at a time.
    ///
    /// Nobody waits in a circle for room: it is given in the order in which it is asked for, and the parts of an upload ask
    /// in their order, so the first unfinished part of every upload that holds room has its room.
    fn parts_held<'a>(&'a self, job: &'a Job<'a>, tap: &'a Tap) -> BoxStream<'a, Result<Part, CopyError>> {
        let at_a_time = self.settings.parts_in_flight.max(1);
        let read = stream::iter(job.cut.layout.parts())
            .map(move |(number, range)| self.read_held(job, number, range))
            .buffered(at_a_time)
            .inspect_ok(move |held| {
                if let Held::Read { bytes, .. } = held {
                    tap.update(bytes);
                }
            });
        read.map_ok(move |held| self.send_held(job, held)).try_buffered(at_a_time).boxed()
    }

    fn read_held<'a>(
        &'a self,
        job: &'a Job<'a>,
        number: i32,
        range: ByteRange,
    ) -> BoxFuture<'a, Result<Held, CopyError>> {
        let read = async move {
            if let Some(part) = job.there.get(&number) {
                self.count(job, range.length);
                return Ok(Held::There(part.clone()));
            }
            let room = self.budget.take(range.length).await;
            let read = || async { open(&self.source.store, job.object, Some(range)).await?.collect().await };
            let bytes = self.retrying(read).await?;
            Ok::<_, CopyError>(Held::Read { number, bytes, room })
        };
        read.boxed()
    }

    fn send_held<'a>(&'a self, job: &'a Job<'a>, held: Held) -> BoxFuture<'a, Result<Part, CopyError>> {
        let send = async move {
            let (number, bytes, _room) = match held {
                Held::There(part) => return Ok(part),
                Held::Read { number, bytes, room } => (number, bytes, room),
            };
            let part = self.retrying(|| job.upload.part(number, bytes.clone())).await?;
            self.count(job, bytes.len() as u64);
            Ok::<_, CopyError>(part)
        };
        send.boxed()
    }

    /// Parts that are too large to be held and need not come in order, several at a time.
    fn parts_passing<'a>(&'a self, job: &'a Job<'a>) -> BoxStream<'a, Result<Part, CopyError>> {
        let pass = move |(number, range): (i32, ByteRange)| {
            let pass = async move {
                if let Some(part) = job.there.get(&number) {
                    self.count(job, range.length);
                    return Ok(part.clone());
                }
                let _room = self.budget.take(PASSING).await;
                let (part, _tap) = self.pass(job, (number, range), None).await?;
                Ok::<_, CopyError>(part)
            };
            pass.boxed()
        };
        stream::iter(job.cut.layout.parts()).map(pass).buffered(self.settings.parts_in_flight.max(1)).boxed()
    }

    /// Parts that are too large to be held and are hashed in order: one after the other.
    async fn parts_in_turn(&self, job: &Job<'_>, mut tap: Tap) -> Result<(Vec<Part>, Tap), CopyError> {
        let mut parts = Vec::new();
        for (number, range) in job.cut.layout.parts() {
            let _room = self.budget.take(PASSING).await;
            let (part, after) = self.pass(job, (number, range), Some(&tap)).await?;
            parts.push(part);
            tap = after;
        }
        Ok((parts, tap))
    }

    /// Passes one part on. One that is tried again is hashed again from where it began.
    async fn pass(
        &self,
        job: &Job<'_>,
        (number, range): (i32, ByteRange),
        before: Option<&Tap>,
    ) -> Result<(Part, Tap), CopyError> {
        let once = || async {
            let tap = Tap::new(before.and_then(Tap::hasher));
            let chunks = open(&self.source.store, job.object, Some(range)).await?.into_stream();
            let part = job.upload.part_stream(number, range.length, tap.on(chunks)).await?;
            Ok::<_, StorageError>((part, tap))
        };
        let passed = self.retrying(once).await?;
        self.count(job, range.length);
        Ok(passed)
    }

    fn count(&self, job: &Job<'_>, bytes: u64) {
        job.sent.fetch_add(bytes, Ordering::Relaxed);
        self.progress.add_bytes(bytes);
    }

    /// Whether the bytes read are proved to be the source's: by its checksum or MD5, or by the `ETag` that its own parts
    /// make.
    fn checked(&self, job: &Job<'_>, parts: &[Part], tap: &Tap) -> Result<bool, CopyError> {
        let (store, key) = (&self.source.store, &job.object.key);
        let damaged = |made: &str, known: &str| -> Result<bool, CopyError> {
            Err(store.corrupt("read", key, format!("the parts read make {made}, not {known}")).into())
        };
        match (&job.combined, Part::checksum_of(parts)) {
            (Some(known), Some(made)) if made == *known => return Ok(true),
            (Some(known), Some(made)) => return damaged(&made.value, &known.value),
            _ => {}
        }
        if check(store, key, job.ordered.as_ref(), tap.hasher())? {
            return Ok(true);
        }
        match Part::etag_of(parts) {
            Some(made) if job.cut.mirrors && made == job.object.etag => Ok(true),
            Some(made) if job.cut.mirrors => damaged(made.as_str(), job.object.etag.as_str()),
            _ => Ok(false),
        }
    }
}
