//! Multipart uploads. Attributes are sent when the upload is created: parts do not carry them, and a copy made of parts
//! loses what is not sent here.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use md5::{Digest as _, Md5};

use aws_sdk_s3::primitives::ByteStream;

use crate::attributes::Attributes;
use crate::checksum::{Etag, multipart_etag};
use crate::error::{ErrorKind, StorageError};
use crate::read::ByteRange;
use crate::store::{Store, quoted};
use crate::write::{Md5Sum, is_keyed, sending};

/// An upload that was begun. It occupies space until it is completed or aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    store: Store,
    key: String,
    id: String,
}

/// A part that the server has.
#[derive(Clone, Debug)]
pub struct Part {
    number: i32,
    etag: String,
    md5: Option<Md5Sum>,
}

impl Store {
    /// Begins an upload of an object with these attributes.
    pub async fn create_upload(&self, key: &str, attributes: &Attributes) -> Result<Upload, StorageError> {
        let own = attributes.clone();
        let request = self
            .client
            .create_multipart_upload()
            .bucket(self.bucket())
            .key(key)
            .set_content_type(own.content_type)
            .set_cache_control(own.cache_control)
            .set_content_disposition(own.content_disposition)
            .set_content_encoding(own.content_encoding)
            .set_content_language(own.content_language)
            .set_expires(own.expires)
            .set_website_redirect_location(own.website_redirect)
            .set_metadata((!own.metadata.is_empty()).then_some(own.metadata));
        let output = self.call(self.target("begin upload of", Some(key)), 0, request.send()).await?;
        match output.upload_id() {
            Some(id) => Ok(Upload { store: self.clone(), key: key.to_owned(), id: id.to_owned() }),
            None => Err(self.error(ErrorKind::Unavailable, ("begin upload of", key), "the answer has no upload id")),
        }
    }
}

impl Part {
    /// The `ETag` that these parts make together, where their MD5s are known.
    pub fn etag_of(parts: &[Part]) -> Option<Etag> {
        let sums: Option<Vec<Md5Sum>> = parts.iter().map(|part| part.md5).collect();
        sums.map(|sums| multipart_etag(&sums))
    }
}

impl Upload {
    /// Sends part `number` (from 1) from memory.
    pub async fn part(&self, number: i32, bytes: Bytes) -> Result<Part, StorageError> {
        let md5: Md5Sum = Md5::digest(&bytes).into();
        let length = bytes.len() as u64;
        let request = self.store.client.upload_part().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id);
        let request =
            request.part_number(number).content_md5(STANDARD.encode(md5)).body(ByteStream::from(bytes)).customize();
        let target = self.store.target("upload part of", Some(&self.key));
        let output = self.store.call(target, length, request.disable_payload_signing().send()).await?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        self.stored(number, output.e_tag(), keyed, md5)
    }

    /// Sends part `number` (from 1) of `length` bytes as they come. Not repeated by itself.
    pub async fn part_stream<S>(&self, number: i32, length: u64, chunks: S) -> Result<Part, StorageError>
    where
        S: Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    {
        let (body, sent) = sending(chunks, length);
        let request = self.store.client.upload_part().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id);
        let length_header = i64::try_from(length).unwrap_or(i64::MAX);
        let request = request.part_number(number).content_length(length_header).body(body).customize();
        let target = self.store.target("upload part of", Some(&self.key));
        let answer = self.store.call(target, length, request.disable_payload_signing().send()).await;
        let output = sent.or_source_error(answer)?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        self.stored(number, output.e_tag(), keyed, sent.md5())
    }

    /// Lets the server copy `range` of one of its objects, only if it still is this version, as part `number` (from 1).
    pub async fn part_copy(
        &self,
        number: i32,
        source: (&Store, &str),
        etag: &Etag,
        range: ByteRange,
    ) -> Result<Part, StorageError> {
        let request = self
            .store
            .client
            .upload_part_copy()
            .bucket(self.store.bucket())
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .copy_source(crate::server_copy::copy_source(source.0.bucket(), source.1))
            .copy_source_range(range.header())
            .copy_source_if_match(quoted(etag));
        let target = self.store.target("copy part to", Some(&self.key));
        let output = self.store.call(target, range.length, request.send()).await?;
        match output.copy_part_result().and_then(|result| result.e_tag()) {
            Some(etag) => Ok(Part { number, etag: etag.to_owned(), md5: None }),
            None => Err(self.error("copy part to", ErrorKind::Unavailable, "the answer has no result")),
        }
    }

    /// Makes the object of its parts, which must be in order, and checks what came out.
    pub async fn complete(&self, parts: &[Part]) -> Result<Etag, StorageError> {
        let listed =
            parts.iter().map(|part| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build());
        let listed = CompletedMultipartUpload::builder().set_parts(Some(listed.collect())).build();
        let request = self
            .store
            .client
            .complete_multipart_upload()
            .bucket(self.store.bucket())
            .key(&self.key)
            .upload_id(&self.id)
            .multipart_upload(listed);
        let target = self.store.target("complete upload of", Some(&self.key));
        let etag = match self.store.call(target, 0, request.send()).await {
            Ok(output) => self.store.etag(output.e_tag()),
            // An earlier try may have succeeded and its answer been lost; the expected object is then there.
            Err(error) if error.code() == Some("NoSuchUpload") => self.after_lost_answer(parts, error).await?,
            Err(error) => return Err(error),
        };
        match Part::etag_of(parts) {
            Some(expected) if etag.parts().is_some() && etag != expected => {
                let detail = format!("sent {}, the store has {}", expected.as_str(), etag.as_str());
                Err(self.error("complete upload of", ErrorKind::Corrupt, &detail))
            }
            _ if etag.as_str().is_empty() => {
                Err(self.error("complete upload of", ErrorKind::Unavailable, "the answer does not say what was stored"))
            }
            _ => Ok(etag),
        }
    }

    async fn after_lost_answer(&self, parts: &[Part], error: StorageError) -> Result<Etag, StorageError> {
        match self.store.head(&self.key).await {
            Ok(head) if Part::etag_of(parts).is_some_and(|expected| expected == head.etag) => Ok(head.etag),
            _ => Err(error),
        }
    }

    /// Frees what was uploaded. An upload that is gone already is no error.
    pub async fn abort(&self) -> Result<(), StorageError> {
        let client = &self.store.client;
        let request =
            client.abort_multipart_upload().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id).send();
        match self.store.call(self.store.target("abort upload of", Some(&self.key)), 0, request).await {
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            other => other.map(|_done| ()),
        }
    }

    fn stored(&self, number: i32, etag: Option<&str>, keyed: bool, md5: Md5Sum) -> Result<Part, StorageError> {
        let etag = self.store.confirmed(("upload part of", &self.key), etag, keyed, md5)?;
        Ok(Part { number, etag: quoted(&etag), md5: etag.md5().is_some().then_some(md5) })
    }

    fn error(&self, operation: &'static str, kind: ErrorKind, detail: &str) -> StorageError {
        self.store.error(kind, (operation, &self.key), detail)
    }
}
