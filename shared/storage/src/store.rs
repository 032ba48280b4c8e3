//! One bucket: the calls that move no bytes, and how every call gets its deadline and its error.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::ChecksumMode;
use futures_util::future::BoxFuture;

use crate::attributes::ObjectHead;
use crate::checksum::Etag;
use crate::client::Connection;
use crate::config::StorageConfig;
use crate::error::{ErrorKind, StorageError, Target};
use crate::limiter::{Direction, Gate};
use crate::place::Place;
use crate::ways::{CopyWay, Ways};

/// A bucket behind a client; cheap to clone. Keys are full keys, prefixes are given as listings need them.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) config: Arc<StorageConfig>,
    gate: Gate,
    pub(crate) ways: Arc<Ways>,
    bucket: Arc<str>,
    custom_endpoint: bool,
    etag_is_md5: bool,
}

impl Store {
    pub(crate) fn new(connection: Connection, place: &Place, config: Arc<StorageConfig>, etag_is_md5: bool) -> Self {
        let custom_endpoint = place.endpoint.is_some();
        let Connection { client, gate, ways } = connection;
        Self { client, gate, ways, config, bucket: place.bucket.as_str().into(), custom_endpoint, etag_is_md5 }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Whether the server is one of AWS's own.
    pub(crate) fn is_aws(&self) -> bool {
        !self.custom_endpoint
    }

    pub(crate) fn etag(&self, text: Option<&str>) -> Etag {
        let etag = Etag::new(text.unwrap_or_default());
        if self.etag_is_md5 { etag } else { etag.into_opaque() }
    }

    pub(crate) fn target(&self, operation: &'static str, key: Option<&str>) -> Target {
        Target { operation, bucket: self.bucket.to_string(), key: key.map(str::to_owned) }
    }

    /// The error of bytes of `key` that are not what they must be.
    pub fn corrupt(&self, operation: &'static str, key: &str, detail: impl Into<String>) -> StorageError {
        self.error(ErrorKind::Corrupt, (operation, key), detail)
    }

    /// The error of an object of which another version, `versions.1`, was found than the one wanted, `versions.0`.
    pub fn changed(&self, operation: &'static str, key: &str, versions: (&Etag, &Etag)) -> StorageError {
        let detail = format!("wanted version {}, found {}", versions.0.as_str(), versions.1.as_str());
        self.error(ErrorKind::Changed, (operation, key), detail)
    }

    pub(crate) fn error(&self, kind: ErrorKind, at: (&'static str, &str), detail: impl Into<String>) -> StorageError {
        StorageError::new(kind, self.target(at.0, Some(at.1)), detail)
    }

    /// Counts bytes that a body moves against the endpoint's budget.
    pub(crate) fn moves(&self, bytes: u64) {
        self.gate.throttle.charge_bytes(bytes);
    }

    /// How an object of this size is copied inside this endpoint faster, as far as that was measured.
    pub fn copy_way(&self, size: u64) -> CopyWay {
        self.ways.choose(size)
    }

    /// Awaits room at the endpoint, then a request that reads.
    pub(crate) fn ask<'a, T, E>(
        &self,
        target: Target,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StorageError>>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.send(Direction::Read, target, 0, request)
    }

    /// The same for a request that writes `bytes`, within the time they may take.
    pub(crate) fn call<'a, T, E>(
        &self,
        target: Target,
        bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StorageError>>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.send(Direction::Write, target, bytes, request)
    }

    /// Boxed: the SDK's futures are some 15 KiB.
    fn send<'a, T, E>(
        &self,
        direction: Direction,
        target: Target,
        bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StorageError>>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let deadline = self.config.deadline(bytes);
        let gate = self.gate.clone();
        Box::pin(async move {
            gate.throttle.pass().await;
            let limiter = gate.limiter(direction);
            let entered = Arc::clone(limiter).enter().await;
            let answer = tokio::time::timeout(deadline, request).await;
            drop(entered);
            match answer {
                Ok(Ok(answer)) => {
                    limiter.served();
                    Ok(answer)
                }
                Ok(Err(error)) => {
                    let error = StorageError::of_sdk(target, &error);
                    // Also when it was said in an answer with status 200, which the client takes for another failure.
                    if error.kind() == ErrorKind::Throttled {
                        limiter.refused();
                    }
                    Err(error)
                }
                Err(_elapsed) => {
                    limiter.refused();
                    let detail = format!("no complete answer within {deadline:?}");
                    Err(StorageError::new(ErrorKind::Unavailable, target, detail))
                }
            }
        })
    }

    /// Whether the bucket exists and may be asked about.
    pub async fn bucket_exists(&self) -> Result<bool, StorageError> {
        let request = self.client.head_bucket().bucket(self.bucket()).send();
        match self.ask(self.target("look up bucket", None), request).await {
            Ok(_found) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoSuchBucket => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the bucket; one that is the caller's already is no error.
    pub async fn create_bucket(&self) -> Result<(), StorageError> {
        let request = self.client.create_bucket().bucket(self.bucket()).send();
        match self.call(self.target("make bucket", None), 0, request).await {
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            other => other.map(|_done| ()),
        }
    }

    /// Describes an object, its checksums included.
    pub async fn head(&self, key: &str) -> Result<ObjectHead, StorageError> {
        let request = self.client.head_object().bucket(self.bucket()).key(key).checksum_mode(ChecksumMode::Enabled);
        let output = self.ask(self.target("describe", Some(key)), request.send()).await?;
        let size = self.length(("describe", key), output.content_length())?;
        Ok(self.with_etag_rule(ObjectHead::of_head(&output, size)))
    }

    pub(crate) fn with_etag_rule(&self, head: ObjectHead) -> ObjectHead {
        let etag = if self.etag_is_md5 { head.etag } else { head.etag.into_opaque() };
        ObjectHead { etag, ..head }
    }

    pub(crate) fn length(&self, at: (&'static str, &str), length: Option<i64>) -> Result<u64, StorageError> {
        length
            .and_then(|length| u64::try_from(length).ok())
            .ok_or_else(|| self.error(ErrorKind::Unavailable, at, "the answer has no usable length"))
    }

    /// Bytes of the first part of a multipart object, where the server tells; `None` elsewhere.
    ///
    /// Unconditional, because some servers compare the condition with the part's own tag. If the object is another one by now, whoever
    /// reads it under its tag finds out.
    pub async fn first_part_size(&self, key: &str, etag: &Etag) -> Result<Option<u64>, StorageError> {
        let request = self.client.head_object().bucket(self.bucket()).key(key).part_number(1);
        let output = match self.ask(self.target("describe the parts of", Some(key)), request.send()).await {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::Invalid => return Ok(None),
            Err(error) => return Err(error),
        };
        // A server that ignores the part number answers for the whole object, without a count of parts.
        let told = output.parts_count().and_then(|count| u32::try_from(count).ok()) == etag.parts();
        let size = output.content_length().and_then(|size| u64::try_from(size).ok());
        Ok(size.filter(|size| *size > 0 && (told || etag.parts() == Some(1))))
    }

    /// Removes an object; one that is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let request = self.client.delete_object().bucket(self.bucket()).key(key).send();
        self.call(self.target("delete", Some(key)), 0, request).await.map(|_done| ())
    }
}

/// An `ETag` as `If-Match` headers want it.
pub(crate) fn quoted(etag: &Etag) -> String {
    format!("\"{}\"", etag.as_str())
}
