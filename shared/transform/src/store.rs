//! An object as the readers want it: a synchronous stream of its bytes that goes on after broken connections, and ranges of it.
//!
//! Readers are synchronous and run on threads of their own; what they await, they await here. Every request names the version that
//! was listed, so that an object that is replaced meanwhile is found out.

use std::fmt;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};
use honk_protocol::dataset::Side;
use honk_storage::{ByteRange, ObjectInfo, StorageError, Store};
use tokio::runtime::Handle;

use crate::fault::Fault;

/// Tries of one stretch before the attempt is given up.
const TRIES: u32 = 6;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, StorageError>> + Send>>;

/// An object of the source, and how much of the source was read so far.
#[derive(Clone)]
pub struct SourceObject {
    /// Its bucket.
    pub store: Store,
    /// What was listed.
    pub info: Arc<ObjectInfo>,
    /// Bytes read, of all objects together.
    pub read: Arc<AtomicU64>,
}

impl fmt::Debug for SourceObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info.key)
    }
}

impl SourceObject {
    /// Its bytes from the first to the last. Only to be read outside of asynchronous code.
    pub fn bytes(&self, runtime: Handle) -> ObjectBytes {
        ObjectBytes { object: self.clone(), runtime, position: 0, chunks: None, chunk: Bytes::new(), tries: 0 }
    }

    /// A stretch of it.
    pub async fn range(&self, start: u64, length: u64) -> Result<Bytes, Fault> {
        let mut pause = PAUSE;
        for _try in 1..TRIES {
            match self.range_once(start, length).await {
                Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
                done => return done.map_err(|error| Fault::of_store(&error, Side::Source)),
            }
            pause *= 2;
        }
        self.range_once(start, length).await.map_err(|error| Fault::of_store(&error, Side::Source))
    }

    async fn range_once(&self, start: u64, length: u64) -> Result<Bytes, StorageError> {
        let range = ByteRange { start, length };
        let bytes = self.store.get(&self.info.key, Some(range), Some(&self.info.etag)).await?.collect().await?;
        self.read.fetch_add(length, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn open(&self, position: u64) -> Result<Chunks, StorageError> {
        let range = (position > 0).then(|| ByteRange { start: position, length: self.info.size - position });
        let download = self.store.get(&self.info.key, range, Some(&self.info.etag)).await?;
        Ok(Box::pin(download.into_stream()))
    }
}

/// The bytes of an object, in order.
pub struct ObjectBytes {
    object: SourceObject,
    runtime: Handle,
    position: u64,
    chunks: Option<Chunks>,
    chunk: Bytes,
    tries: u32,
}

impl ObjectBytes {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        if self.position >= self.object.info.size {
            return Ok(None);
        }
        loop {
            match self.next_once().await {
                Err(error) if error.is_retryable() && self.tries + 1 < TRIES => {
                    self.chunks = None;
                    tokio::time::sleep(PAUSE * 2_u32.pow(self.tries)).await;
                    self.tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn next_once(&mut self) -> Result<Option<Bytes>, StorageError> {
        let chunks = match &mut self.chunks {
            Some(chunks) => chunks,
            None => self.chunks.insert(self.object.open(self.position).await?),
        };
        let chunk = chunks.next().await.transpose()?;
        if let Some(chunk) = &chunk {
            self.tries = 0;
            self.position += chunk.len() as u64;
            self.object.read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        Ok(chunk)
    }
}

impl Read for ObjectBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            let runtime = self.runtime.clone();
            match runtime.block_on(self.next()) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => return Err(std::io::Error::other(Fault::of_store(&error, Side::Source))),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The fault that a reader passed on inside an error of the standard library, if it is one.
pub fn fault_in(error: &std::io::Error) -> Option<Fault> {
    error.get_ref()?.downcast_ref::<Fault>().cloned()
}
