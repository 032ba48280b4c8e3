//! Writing objects. Whatever is written is checked: the server is told the MD5 where it is known beforehand, and what it
//! answers is compared with the MD5 of what was sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use md5::{Digest as _, Md5};

use crate::attributes::Attributes;
use crate::checksum::{Algorithm, Checksum, ContentHasher, Etag};
use crate::error::{ErrorKind, StorageError};
use crate::store::Store;

/// The MD5 of some bytes.
pub type Md5Sum = [u8; 16];

impl Store {
    /// Writes an object from memory.
    pub async fn put_small(&self, key: &str, bytes: Bytes, attributes: &Attributes) -> Result<Etag, StorageError> {
        let md5 = Md5::digest(&bytes).into();
        self.put_known(key, bytes, md5, attributes).await
    }

    /// The same for bytes whose MD5 is known.
    pub async fn put_known(
        &self,
        key: &str,
        bytes: Bytes,
        md5: Md5Sum,
        attributes: &Attributes,
    ) -> Result<Etag, StorageError> {
        let length = bytes.len() as u64;
        self.moves(length);
        let request = with_attributes(self.client.put_object().bucket(self.bucket()).key(key), attributes)
            .content_md5(STANDARD.encode(md5))
            .body(ByteStream::from(bytes));
        // The MD5 protects the bytes; hashing them a second time for the signature would cost most of the CPU.
        let request = request.customize().disable_payload_signing().send();
        let output = self.call(self.target("write", Some(key)), length, request).await?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        self.confirmed(("write", key), output.e_tag(), keyed, Some(md5))
    }

    /// Writes an object of `length` bytes as they come. Not repeated by itself: the stream can be read once.
    pub async fn put_stream<S>(
        &self,
        key: &str,
        length: u64,
        chunks: S,
        attributes: &Attributes,
    ) -> Result<Etag, StorageError>
    where
        S: Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    {
        self.moves(length);
        let (body, sent) = sending(chunks, length, None);
        let request = with_attributes(self.client.put_object().bucket(self.bucket()).key(key), attributes)
            .content_length(i64::try_from(length).unwrap_or(i64::MAX))
            .body(body);
        let request = request.customize().disable_payload_signing().send();
        let answer = self.call(self.target("write", Some(key)), length, request).await;
        let output = sent.or_source_error(answer)?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        self.confirmed(("write", key), output.e_tag(), keyed, sent.md5())
    }

    /// Compares what the server says it stored with what was sent, where that was hashed.
    pub(crate) fn confirmed(
        &self,
        at: (&'static str, &str),
        etag: Option<&str>,
        keyed: bool,
        md5: Option<Md5Sum>,
    ) -> Result<Etag, StorageError> {
        let etag = self.etag(etag);
        let etag = if keyed { etag.into_opaque() } else { etag };
        match etag.md5().zip(md5) {
            Some((stored, md5)) if stored != hex::encode(md5) => {
                let detail = format!("sent bytes with MD5 {}, the store has {stored}", hex::encode(md5));
                Err(self.error(ErrorKind::Corrupt, at, detail))
            }
            _ if etag.as_str().is_empty() => {
                Err(self.error(ErrorKind::Unavailable, at, "the answer does not say what was stored"))
            }
            _ => Ok(etag),
        }
    }
}

/// Whether an `ETag` is no MD5 because the server encrypts under a key of its own.
pub(crate) fn is_keyed(encryption: Option<&ServerSideEncryption>, customer: Option<&str>) -> bool {
    customer.is_some() || encryption.is_some_and(|kind| kind.as_str().starts_with("aws:kms"))
}

fn with_attributes(request: PutObjectFluentBuilder, attributes: &Attributes) -> PutObjectFluentBuilder {
    let own = attributes.clone();
    request
        .set_content_type(own.content_type)
        .set_cache_control(own.cache_control)
        .set_content_disposition(own.content_disposition)
        .set_content_encoding(own.content_encoding)
        .set_content_language(own.content_language)
        .set_expires(own.expires)
        .set_website_redirect_location(own.website_redirect)
        .set_metadata((!own.metadata.is_empty()).then_some(own.metadata))
        .set_tagging(own.tagging)
        .set_storage_class(own.storage_class.as_deref().map(StorageClass::from))
}

/// What became of a body that the SDK took away.
#[derive(Default)]
struct Fate {
    /// Only where no other checksum is sent along.
    md5: Option<Md5>,
    hasher: Option<ContentHasher>,
    failure: Option<StorageError>,
}

/// The sender's end of a streamed body.
pub(crate) struct Sent(Arc<Mutex<Fate>>);

impl Sent {
    pub(crate) fn md5(&self) -> Option<Md5Sum> {
        let fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fate.md5.clone().map(|md5| md5.finalize().into())
    }

    /// The checksum that was asked for beside the MD5.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hasher.clone().map(ContentHasher::finish)
    }

    /// When the body's own source failed, that is the reason, not the broken-off request.
    pub(crate) fn or_source_error<T>(&self, answer: Result<T, StorageError>) -> Result<T, StorageError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).failure.take() {
            Some(failure) => Err(failure),
            None => answer,
        }
    }
}

/// A body of `length` bytes from a stream, which hashes what passes: with `algorithm`, or MD5 if there is none.
pub(crate) fn sending<S>(chunks: S, length: u64, algorithm: Option<Algorithm>) -> (ByteStream, Sent)
where
    S: Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
{
    let hasher = algorithm.map(ContentHasher::new);
    let md5 = algorithm.is_none().then(Md5::default);
    let fate = Arc::new(Mutex::new(Fate { md5, hasher, failure: None }));
    let body = Sending { chunks: Mutex::new(Box::pin(chunks)), fate: Arc::clone(&fate), left: length };
    (ByteStream::from_body_1_x(body), Sent(fate))
}

/// The mutex is never locked: it makes a stream `Sync`, as the SDK demands of bodies.
struct Sending<S> {
    chunks: Mutex<Pin<Box<S>>>,
    fate: Arc<Mutex<Fate>>,
    left: u64,
}

impl<S: Stream<Item = Result<Bytes, StorageError>>> Body for Sending<S> {
    type Data = Bytes;
    type Error = StorageError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StorageError>>> {
        let chunks = self.chunks.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = chunks.as_mut().poll_next(context);
        let Poll::Ready(Some(chunk)) = next else { return next.map(|_end| None) };
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = match chunk {
            Ok(bytes) => {
                if let Some(md5) = fate.md5.as_mut() {
                    md5.update(&bytes);
                }
                if let Some(hasher) = fate.hasher.as_mut() {
                    hasher.update(&bytes);
                }
                Ok(bytes)
            }
            Err(error) => {
                fate.failure = Some(error.clone());
                Err(error)
            }
        };
        drop(fate);
        if let Ok(bytes) = &frame {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(Some(frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
