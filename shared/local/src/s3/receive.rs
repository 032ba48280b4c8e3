//! Takes the body of an upload in: writes it to blobs, hashes it on the way, and compares it with everything that the
//! client declared about it, in headers or in trailers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt as _;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, StdError, TrailingHeaders, s3_error};

use super::blob::Segment;
use super::checksum::{Algorithm, Checksum, Hasher};
use super::store::{Store, internal};

/// The largest body of one request, as in S3.
pub(super) const MAX_BODY: u64 = 5 * 1024 * 1024 * 1024;

/// What a client says about the body that it sends.
#[derive(Debug, Default)]
pub(super) struct Declared {
    length: Option<u64>,
    md5: Option<String>,
    checksum: Option<(Algorithm, String)>,
    /// The checksum to compute, even if its value comes late or not at all.
    algorithm: Option<Algorithm>,
    trailers: Option<TrailingHeaders>,
}

impl Declared {
    /// Reads what the headers say; `checksums` are the values found in them.
    pub(super) fn read<T>(request: &S3Request<T>, fields: Fields) -> S3Result<Self> {
        if fields.checksums.len() > 1 {
            return Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header"));
        }
        let checksum = fields.checksums.into_iter().next();
        let trailer = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        let in_trailer = trailer.and_then(|names| names.split(',').find_map(Algorithm::from_header));
        let named = fields.algorithm.map(|algorithm| Algorithm::from_name(algorithm.as_str())).transpose()?;
        let algorithm = checksum.as_ref().map(|(algorithm, _)| *algorithm).or(in_trailer).or(named);
        let length = fields.length.and_then(|length| u64::try_from(length).ok());
        if length.is_some_and(|length| length > MAX_BODY) {
            return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        Ok(Self { length, md5: fields.md5, checksum, algorithm, trailers: request.trailing_headers.clone() })
    }

    /// The algorithm that an upload prescribes for its parts, where the request names none.
    pub(super) fn or_algorithm(mut self, algorithm: Option<Algorithm>) -> Self {
        self.algorithm = self.algorithm.or(algorithm);
        self
    }
}

/// The fields of an input that speak of its body.
pub(super) struct Fields {
    pub(super) length: Option<i64>,
    pub(super) md5: Option<String>,
    pub(super) algorithm: Option<ChecksumAlgorithm>,
    pub(super) checksums: Vec<(Algorithm, String)>,
}

/// A body that arrived whole and as declared.
pub(super) struct Received {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
    pub(super) segments: Vec<Segment>,
}

/// Reads the body to its end.
pub(super) async fn receive(store: &Store, body: Option<StreamingBlob>, declared: Declared) -> S3Result<Received> {
    let mut writer = store.writer(declared.length.unwrap_or_default());
    let (mut md5, mut hasher) = (Md5::new(), declared.algorithm.map(Hasher::new));
    let mut size = 0_u64;
    let mut body = body;
    while let Some(chunk) = next_chunk(&mut body).await {
        let chunk = chunk.map_err(|error| broken_body(&error))?;
        size += chunk.len() as u64;
        if size > MAX_BODY {
            return Err(s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size"));
        }
        md5.update(&chunk);
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk);
        }
        writer.write(&chunk).await.map_err(|error| internal("store the body", &error))?;
    }
    if declared.length.is_some_and(|length| length != size) {
        return Err(s3_error!(IncompleteBody, "the body has {size} bytes, not the declared number"));
    }
    let (md5, checksum) = (md5.finalize(), hasher.map(Hasher::finish));
    compare(&declared, md5, checksum.as_ref())?;
    let segments = writer.finish().await.map_err(|error| internal("store the body", &error))?;
    Ok(Received { size, md5, checksum, segments })
}

async fn next_chunk(body: &mut Option<StreamingBlob>) -> Option<Result<bytes::Bytes, StdError>> {
    body.as_mut()?.next().await
}

fn compare(declared: &Declared, md5: [u8; 16], checksum: Option<&Checksum>) -> S3Result<()> {
    if let Some(expected) = &declared.md5 {
        let expected = BASE64.decode(expected).map_err(|_| s3_error!(InvalidDigest))?;
        if expected != md5 {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
    }
    let Some(computed) = checksum else { return Ok(()) };
    let trailer = declared.trailers.as_ref().and_then(|trailers| {
        trailers.read(|headers| headers.get(computed.algorithm.header())?.to_str().ok().map(str::to_owned))
    });
    let expected = declared.checksum.as_ref().map(|(_, value)| value).or(trailer.as_ref().and_then(Option::as_ref));
    match expected {
        Some(expected) if *expected != computed.value => {
            let name = computed.algorithm.name();
            Err(s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum."))
        }
        _ => Ok(()),
    }
}

/// The body could not be read to its end: what `s3s` found wrong is told apart by the names in its error.
fn broken_body(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut mismatch = S3Error::with_message(code, "the body does not have the SHA-256 that was signed");
        mismatch.set_status_code(http::StatusCode::BAD_REQUEST);
        return mismatch;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "a chunk of the body has a wrong signature");
    }
    s3_error!(IncompleteBody, "the body ended early: {text}")
}
