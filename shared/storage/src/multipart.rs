//! Multipart uploads. Attributes are sent when the upload is created: parts do not carry them, and a copy made of parts
//! loses what is not sent here.
//!
//! The `ETag` of what is made says little about the whole object's bytes, so every upload also asks the store to keep a CRC
//! of all of them, which combines from the CRCs of the parts. A store that does not know how is asked again without, and is sent
//! the MD5 of every part instead, which takes many times the CPU time.

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumType, CompletedMultipartUpload, CompletedPart, EncodingType, StorageClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::attributes::Attributes;
use crate::checksum::{Algorithm, Checksum, ContentHasher, Etag, multipart_etag};
use crate::error::{ErrorKind, StorageError};
use crate::lenient::begun;
use crate::list::decoded;
use crate::read::ByteRange;
use crate::store::{Store, quoted};
use crate::write::{Md5Sum, is_keyed, sending};

/// An upload that was begun. It occupies space until it is completed or aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    store: Store,
    key: String,
    id: String,
    checksum: Option<Algorithm>,
}

/// What has to be known of an upload to go on with it elsewhere or later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadId {
    /// The key that is written.
    pub key: String,
    /// The server's name for the upload.
    pub id: String,
    /// The checksum that the store will keep of the whole object.
    pub checksum: Option<Algorithm>,
}

/// A part that the server has.
#[derive(Clone, Debug)]
pub struct Part {
    number: i32,
    etag: String,
    md5: Option<Md5Sum>,
    length: u64,
    checksum: Option<Checksum>,
}

/// The two requests that carry a checksum have the same setters and no common trait.
macro_rules! with_checksum {
    ($request:expr, $checksum:expr) => {{
        let request = $request;
        match $checksum {
            Some(Checksum { algorithm: Algorithm::Crc64Nvme, value }) => request.checksum_crc64_nvme(value),
            Some(Checksum { algorithm: Algorithm::Crc32, value }) => request.checksum_crc32(value),
            Some(Checksum { algorithm: Algorithm::Crc32c, value }) => request.checksum_crc32_c(value),
            _ => request,
        }
    }};
}

impl Store {
    /// Begins an upload of an object with these attributes, of which the store is to keep the checksum `wanted`, or
    /// CRC-64/NVME where `wanted` is none that combines.
    pub async fn create_upload(
        &self,
        key: &str,
        attributes: &Attributes,
        wanted: Algorithm,
    ) -> Result<Upload, StorageError> {
        let wanted = if wanted.combines() { wanted } else { Algorithm::Crc64Nvme };
        match self.begin(key, attributes, Some(wanted)).await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                tracing::debug!(%error, "beginning the upload again without a checksum");
                self.begin(key, attributes, None).await
            }
            other => other,
        }
    }

    async fn begin(
        &self,
        key: &str,
        attributes: &Attributes,
        wanted: Option<Algorithm>,
    ) -> Result<Upload, StorageError> {
        let own = attributes.clone();
        let algorithm = wanted.and_then(Algorithm::crc).map(|(_crc, name)| name);
        let request = self
            .client
            .create_multipart_upload()
            .bucket(self.bucket())
            .key(key)
            .set_checksum_type(algorithm.is_some().then_some(ChecksumType::FullObject))
            .set_checksum_algorithm(algorithm.clone())
            .set_content_type(own.content_type)
            .set_cache_control(own.cache_control)
            .set_content_disposition(own.content_disposition)
            .set_content_encoding(own.content_encoding)
            .set_content_language(own.content_language)
            .set_expires(own.expires)
            .set_website_redirect_location(own.website_redirect)
            .set_metadata((!own.metadata.is_empty()).then_some(own.metadata))
            .set_tagging(own.tagging)
            .set_storage_class(own.storage_class.as_deref().map(StorageClass::from));
        let output = self.call(self.target("begin upload of", Some(key)), 0, begun(request.send())).await?;
        // A server that says nothing of the algorithm has not understood it.
        let understood = algorithm.is_some() && output.checksum_algorithm() == algorithm.as_ref();
        let checksum = wanted.filter(|_| understood);
        match output.upload_id() {
            Some(id) => Ok(Upload { store: self.clone(), key: key.to_owned(), id: id.to_owned(), checksum }),
            None => Err(self.error(ErrorKind::Unavailable, ("begin upload of", key), "the answer has no upload id")),
        }
    }

    /// An upload that was begun before, wherever that was. Sends nothing: if it is gone, its first use fails with `NoSuchUpload`.
    pub fn resume_upload(&self, upload: &UploadId) -> Upload {
        let UploadId { key, id, checksum } = upload.clone();
        Upload { store: self.clone(), key, id, checksum }
    }

    /// Aborts all uploads of exactly this key, which a process that was killed left behind. Returns how many.
    ///
    /// Whoever else is uploading this key right now loses that upload and begins it anew, so the last to start wins.
    pub async fn abort_uploads(&self, key: &str) -> Result<usize, StorageError> {
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(self.bucket())
            .prefix(key)
            .encoding_type(EncodingType::Url)
            .send();
        let output = self.ask(self.target("list uploads of", Some(key)), request).await?;
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        // The key itself sorts before all that begins with it, so that one page is enough.
        let left: Vec<Upload> = output
            .uploads()
            .iter()
            .filter_map(|upload| {
                let name = upload.key()?;
                let name = if encoded { decoded(name)? } else { name.to_owned() };
                let id = upload.upload_id().filter(|_| name == key)?.to_owned();
                Some(Upload { store: self.clone(), key: name, id, checksum: None })
            })
            .collect();
        for upload in &left {
            upload.abort().await?;
        }
        Ok(left.len())
    }

    /// The same before an upload is begun, which does not depend on it: what stays costs space and nothing else.
    pub async fn clear_uploads(&self, key: &str) {
        match self.abort_uploads(key).await {
            Ok(0) => {}
            Ok(aborted) => tracing::info!(key, aborted, "aborted unfinished uploads"),
            Err(error) => tracing::debug!(%error, "unfinished uploads cannot be cleared"),
        }
    }
}

impl Part {
    /// The `ETag` that these parts make together, where their MD5s are known: as the store says, whose word was compared with what
    /// was sent by another checksum if not by this one.
    pub fn etag_of(parts: &[Part]) -> Option<Etag> {
        let sums: Option<Vec<Md5Sum>> = parts.iter().map(|part| part.md5).collect();
        sums.map(|sums| multipart_etag(&sums))
    }

    /// Its number, from 1.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Its checksum, where the store or the sender knows it.
    pub fn checksum(&self) -> Option<&Checksum> {
        self.checksum.as_ref()
    }

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The checksum of the whole object that these parts make, where those of all parts are known.
    pub fn checksum_of(parts: &[Part]) -> Option<Checksum> {
        let sums: Option<Vec<_>> = parts.iter().map(|part| Some((part.checksum.as_ref()?, part.length))).collect();
        Checksum::combined(sums?)
    }
}

impl Upload {
    /// The checksum that the store will keep of the whole object.
    pub fn checksum(&self) -> Option<Algorithm> {
        self.checksum
    }

    /// What has to be remembered to go on with it.
    pub fn id(&self) -> UploadId {
        UploadId { key: self.key.clone(), id: self.id.clone(), checksum: self.checksum }
    }

    /// The parts that the store has, in order.
    pub async fn stored_parts(&self) -> Result<Vec<Part>, StorageError> {
        let (mut parts, mut marker) = (Vec::new(), None);
        loop {
            let request = self.store.client.list_parts().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id);
            let request = request.set_part_number_marker(marker.clone());
            let target = self.store.target("list the parts of", Some(&self.key));
            let output = self.store.ask(target, request.send()).await?;
            parts.extend(output.parts().iter().filter_map(|part| self.listed(part)));
            let next = output.next_part_number_marker().map(str::to_owned);
            if output.is_truncated() != Some(true) || next.is_none() || next == marker {
                return Ok(parts);
            }
            marker = next;
        }
    }

    fn listed(&self, part: &aws_sdk_s3::types::Part) -> Option<Part> {
        let value = match self.checksum {
            Some(Algorithm::Crc64Nvme) => part.checksum_crc64_nvme(),
            Some(Algorithm::Crc32) => part.checksum_crc32(),
            Some(Algorithm::Crc32c) => part.checksum_crc32_c(),
            _ => None,
        };
        let checksum =
            self.checksum.zip(value).map(|(algorithm, value)| Checksum { algorithm, value: value.to_owned() });
        let etag = self.store.etag(part.e_tag());
        Some(Part {
            number: part.part_number()?,
            etag: quoted(&etag),
            md5: sum_of(&etag),
            length: u64::try_from(part.size()?).ok()?,
            checksum,
        })
    }

    /// Sends part `number` (from 1) from memory. What is sent along with it, for the store to check, is its CRC if the upload has one,
    /// else its MD5.
    pub async fn part(&self, number: i32, bytes: Bytes) -> Result<Part, StorageError> {
        let md5: Option<Md5Sum> = self.checksum.is_none().then(|| Md5::digest(&bytes).into());
        let checksum = self.checksum.map(|algorithm| {
            let mut hasher = ContentHasher::new(algorithm);
            hasher.update(&bytes);
            hasher.finish()
        });
        let length = bytes.len() as u64;
        let request = self.store.client.upload_part().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id);
        let request = with_checksum!(request.part_number(number), checksum.clone());
        let request = request.set_content_md5(md5.map(|md5| STANDARD.encode(md5)));
        let request = request.body(ByteStream::from(bytes)).customize();
        self.store.moves(length);
        let target = self.store.target("upload part of", Some(&self.key));
        let output = self.store.call(target, length, request.disable_payload_signing().send()).await?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        self.stored(Part { number, etag: String::new(), md5, length, checksum }, output.e_tag(), keyed)
    }

    /// Sends part `number` (from 1) of `length` bytes as they come. Not repeated by itself.
    pub async fn part_stream<S>(&self, number: i32, length: u64, chunks: S) -> Result<Part, StorageError>
    where
        S: Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    {
        self.store.moves(length);
        let (body, sent) = sending(chunks, length, self.checksum);
        let request = self.store.client.upload_part().bucket(self.store.bucket()).key(&self.key).upload_id(&self.id);
        let length_header = i64::try_from(length).unwrap_or(i64::MAX);
        let request = request.part_number(number).content_length(length_header).body(body);
        let algorithm = self.checksum.and_then(Algorithm::crc).map(|(_crc, name)| name);
        let request = match algorithm {
            // The checksum is known at the end only and is sent behind the body.
            Some(name) => request.checksum_algorithm(name).customize().config_override(
                aws_sdk_s3::Config::builder().request_checksum_calculation(RequestChecksumCalculation::WhenSupported),
            ),
            None => request.customize().disable_payload_signing(),
        };
        let target = self.store.target("upload part of", Some(&self.key));
        let answer = self.store.call(target, length, request.send()).await;
        let output = sent.or_source_error(answer)?;
        let keyed = is_keyed(output.server_side_encryption(), output.sse_customer_algorithm());
        let (md5, checksum) = (sent.md5(), sent.checksum());
        self.stored(Part { number, etag: String::new(), md5, length, checksum }, output.e_tag(), keyed)
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
            Some(etag) => Ok(Part { number, etag: etag.to_owned(), md5: None, length: range.length, checksum: None }),
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
            .set_checksum_type(self.checksum.map(|_| ChecksumType::FullObject))
            .multipart_upload(listed);
        let request = with_checksum!(request, Part::checksum_of(parts));
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
            Ok(head) if Part::checksum_of(parts).is_some_and(|made| head.checksums.contains(&made)) => Ok(head.etag),
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

    fn stored(&self, sent: Part, etag: Option<&str>, keyed: bool) -> Result<Part, StorageError> {
        let etag = self.store.confirmed(("upload part of", &self.key), etag, keyed, sent.md5)?;
        Ok(Part { etag: quoted(&etag), md5: sum_of(&etag), ..sent })
    }

    fn error(&self, operation: &'static str, kind: ErrorKind, detail: &str) -> StorageError {
        self.store.error(kind, (operation, &self.key), detail)
    }
}

/// The MD5 that an `ETag` is.
fn sum_of(etag: &Etag) -> Option<Md5Sum> {
    hex::decode(etag.md5()?).ok()?.try_into().ok()
}
