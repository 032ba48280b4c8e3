//! Reading objects: a stream that ends in an error when the server stops talking or stops early.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{Stream, try_unfold};
use futures_util::{TryStreamExt as _, pin_mut};
use std::time::Duration;

use crate::attributes::ObjectHead;
use crate::checksum::Etag;
use crate::error::{ErrorKind, StorageError, Target, chain};
use crate::store::{Store, quoted};

/// A stretch of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// How many bytes; at least one.
    pub length: u64,
}

impl ByteRange {
    pub(crate) fn header(self) -> String {
        format!("bytes={}-{}", self.start, self.start + self.length - 1)
    }
}

/// An object, or a stretch of it, that is being read.
#[derive(Debug)]
pub struct Download {
    /// What the answer says of the object. Its size is that of the stretch when a range was asked for.
    pub head: ObjectHead,
    reader: Reader,
}

#[derive(Debug)]
struct Reader {
    body: ByteStream,
    left: u64,
    stall: Duration,
    target: Target,
}

impl Store {
    /// Starts to read an object or `range` of it, only if it still is the version `if_match`.
    pub async fn get(
        &self,
        key: &str,
        range: Option<ByteRange>,
        if_match: Option<&Etag>,
    ) -> Result<Download, StorageError> {
        let mut request = self.client.get_object().bucket(self.bucket()).key(key);
        request = request.set_range(range.map(ByteRange::header)).set_if_match(if_match.map(quoted));
        // The SDK checks what the server's checksums say, where the ETag cannot. Some servers fail on it with a range.
        if range.is_none() && (self.is_aws() || if_match.is_some_and(|etag| etag.md5().is_none())) {
            request = request.checksum_mode(ChecksumMode::Enabled);
        }
        let mut output = self.ask(self.target("read", Some(key)), request.send()).await?;
        let size = self.length(("read", key), output.content_length())?;
        if let Some(range) = range
            && size != range.length
        {
            let detail = format!("asked for {} bytes, offered {size}", range.length);
            return Err(self.error(ErrorKind::Unavailable, ("read", key), detail));
        }
        self.moves(size);
        let body = std::mem::take(&mut output.body);
        let head = self.with_etag_rule(ObjectHead::of_get(&output, size));
        if let Some(wanted) = if_match
            && *wanted != head.etag
        {
            return Err(self.changed("read", key, (wanted, &head.etag)));
        }
        let stall = Duration::from_millis(self.config.stall_timeout_ms);
        let reader = Reader { body, left: size, stall, target: self.target("read", Some(key)) };
        Ok(Download { head, reader })
    }
}

impl Download {
    /// The bytes as they arrive; exactly as many as were announced, or an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
        try_unfold(self.reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Ok(chunk.map(|chunk| (chunk, reader)))
        })
    }

    /// All bytes at once; for objects whose size the caller has bounded.
    pub async fn collect(self) -> Result<Bytes, StorageError> {
        let mut whole = BytesMut::with_capacity(usize::try_from(self.head.size).unwrap_or_default());
        let chunks = self.into_stream();
        pin_mut!(chunks);
        while let Some(chunk) = chunks.try_next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let failed = |kind, detail: String| Err(StorageError::new(kind, self.target.clone(), detail));
        match tokio::time::timeout(self.stall, self.body.next()).await {
            Err(_elapsed) => failed(ErrorKind::Unavailable, format!("no byte arrived for {:?}", self.stall)),
            Ok(None) if self.left > 0 => {
                failed(ErrorKind::Unavailable, format!("the body ended {} bytes early", self.left))
            }
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => {
                let causes = chain(&error);
                let damaged = causes.to_ascii_lowercase().contains("checksum");
                failed(if damaged { ErrorKind::Corrupt } else { ErrorKind::Unavailable }, causes)
            }
            Ok(Some(Ok(chunk))) => {
                let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                    return failed(ErrorKind::Corrupt, "more bytes arrived than were announced".to_owned());
                };
                self.left = left;
                Ok(Some(chunk))
            }
        }
    }
}
