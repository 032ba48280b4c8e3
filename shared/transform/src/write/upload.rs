//! One object on its way to the target, in parts of a size that depends on nothing but its bytes, so that its `ETag` is the same every time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use honk_protocol::dataset::Side;
use honk_protocol::transform::FileEvidence;
use honk_storage::{Algorithm, Attributes, Part, StorageError, Store, Upload};
use sha2::{Digest as _, Sha256};

use crate::fault::Fault;

/// Bytes of a part; an object of no more is sent in one request.
const PART: usize = 8 << 20;
/// Bytes of a part after many, so that no object ends at S3's 10,000 parts.
const LARGE_PART: usize = 64 << 20;
const MANY: usize = 1_000;
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);

/// An object that is being written.
pub struct Sending {
    store: Store,
    full_key: String,
    key: String,
    pending: BytesMut,
    upload: Option<Upload>,
    parts: Vec<Part>,
    hash: Sha256,
    bytes: u64,
}

/// Tries again what may pass.
async fn patiently<T, F: Future<Output = Result<T, StorageError>>>(request: impl Fn() -> F) -> Result<T, Fault> {
    let mut pause = PAUSE;
    for _try in 1..TRIES {
        match request().await {
            Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
            done => return done.map_err(|error| Fault::of_store(&error, Side::Target)),
        }
        pause *= 2;
    }
    request().await.map_err(|error| Fault::of_store(&error, Side::Target))
}

impl Sending {
    /// Begins the object `key` below `prefix`. Nothing is sent yet.
    pub fn new(store: &Store, prefix: &str, key: &str) -> Self {
        Self {
            store: store.clone(),
            full_key: format!("{prefix}{key}"),
            key: key.to_owned(),
            pending: BytesMut::new(),
            upload: None,
            parts: Vec::new(),
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Takes bytes, and sends the parts that are full.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.pending.extend_from_slice(bytes);
        while self.pending.len() > self.part_size() {
            let part = self.pending.split_to(self.part_size()).freeze();
            self.part(part).await?;
        }
        Ok(())
    }

    fn part_size(&self) -> usize {
        if self.parts.len() < MANY { PART } else { LARGE_PART }
    }

    async fn part(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let upload = match self.upload.clone() {
            Some(upload) => upload,
            None => self.begin().await?,
        };
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let part = patiently(|| upload.part(number, bytes.clone())).await?;
        self.parts.push(part);
        Ok(())
    }

    /// What a killed attempt left unfinished is freed first.
    async fn begin(&mut self) -> Result<Upload, Fault> {
        self.store.clear_uploads(&self.full_key).await;
        let attributes = Attributes::default();
        let upload = patiently(|| self.store.create_upload(&self.full_key, &attributes, Algorithm::Crc64Nvme)).await?;
        self.upload = Some(upload.clone());
        Ok(upload)
    }

    /// Sends the rest, and says what the object is.
    pub async fn finish(mut self, rows: u64) -> Result<FileEvidence, Fault> {
        let rest = self.pending.split().freeze();
        let etag = match self.upload.clone() {
            None => {
                let attributes = Attributes::default();
                patiently(|| self.store.put_small(&self.full_key, rest.clone(), &attributes)).await?
            }
            Some(upload) => {
                self.part(rest).await?;
                patiently(|| upload.complete(&self.parts)).await?
            }
        };
        let (sha256, etag) = (hex::encode(self.hash.finalize()), etag.as_str().to_owned());
        Ok(FileEvidence { key: self.key, rows, bytes: self.bytes, sha256, etag })
    }
}
