//! `GetObject` and `HeadObject`: conditions, ranges, parts, and the body as a stream of chunks.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream;
use s3s::dto::{
    ChecksumMode, ChecksumType, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StorageClass,
    StreamingBlob,
};
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::blob::{Reader, Segment, slice};
use super::checksum::fill_checksum;
use super::conditions::ReadCondition;
use super::model::{DEFAULT_CONTENT_TYPE, Object, timestamp};
use super::store::{Store, internal};

/// Which bytes of an object a request is about.
struct Selection {
    object: Arc<Object>,
    range: Range<u64>,
    /// Set when the answer is 206.
    content_range: Option<String>,
}

/// The conditions of a GET or HEAD input.
macro_rules! read_condition {
    ($input:expr) => {
        ReadCondition {
            matches: $input.if_match.clone(),
            none_matches: $input.if_none_match.clone(),
            modified_since: $input.if_modified_since.clone(),
            unmodified_since: $input.if_unmodified_since.clone(),
        }
    };
}

/// Fills in what GET and HEAD answer alike.
macro_rules! describe {
    ($output:expr, $selection:expr, $mode:expr) => {{
        let (object, attributes) = (&$selection.object, &$selection.object.attributes);
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = i64::try_from($selection.range.end - $selection.range.start).ok();
        $output.content_range = $selection.content_range.clone();
        $output.e_tag = Some(object.e_tag());
        $output.last_modified = Some(object.last_modified());
        $output.cache_control = attributes.cache_control.clone();
        $output.content_disposition = attributes.content_disposition.clone();
        $output.content_encoding = attributes.content_encoding.clone();
        $output.content_language = attributes.content_language.clone();
        let content_type = attributes.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE);
        $output.content_type = Some(content_type.to_owned());
        $output.expires = attributes.expires.map(timestamp);
        $output.website_redirect_location = attributes.website_redirect_location.clone();
        $output.storage_class = attributes.storage_class.clone().map(StorageClass::from);
        let metadata = attributes.metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
        $output.metadata = (!attributes.metadata.is_empty()).then(|| metadata.collect());
        let is_enabled = $mode.as_ref().is_some_and(|mode: &ChecksumMode| mode.as_str() == ChecksumMode::ENABLED);
        if is_enabled && $selection.is_whole() {
            $output.checksum_type =
                object.checksum.as_ref().map(|checksum| ChecksumType::from_static(checksum.type_name()));
            fill_checksum!($output, &object.checksum);
        }
    }};
}

pub(super) async fn get(store: &Store, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
    let input = &request.input;
    let object = store.bucket(&input.bucket)?.object(&input.key)?;
    read_condition!(input).check(&object)?;
    let selection = Selection::new(object, input.range, input.part_number)?;
    let mut output = GetObjectOutput::default();
    describe!(output, selection, input.checksum_mode);
    output.parts_count = selection.parts_count(input.part_number);
    output.tag_count = i32::try_from(selection.object.attributes.tags.len()).ok().filter(|count| *count > 0);
    output.body = Some(body_of(slice(&selection.object.segments, &selection.range)).await?);
    Ok(output)
}

pub(super) fn head(store: &Store, request: &S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
    let input = &request.input;
    let object = store.bucket(&input.bucket)?.object(&input.key)?;
    read_condition!(input).check(&object)?;
    let selection = Selection::new(object, input.range, input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, selection, input.checksum_mode);
    output.parts_count = selection.parts_count(input.part_number);
    Ok(output)
}

impl Selection {
    fn new(object: Arc<Object>, range: Option<s3s::dto::Range>, part: Option<i32>) -> S3Result<Self> {
        let whole = 0..object.size;
        let selected = match (range, part) {
            (Some(_), Some(_)) => {
                return Err(s3_error!(InvalidRequest, "a range and a part number exclude each other"));
            }
            (Some(range), None) => Some(range.check(object.size).map_err(|_| s3_error!(InvalidRange))?),
            (None, Some(number)) => Some(part_range(&object, number)?),
            (None, None) => None,
        };
        // The whole of an empty object has no first and last byte to name.
        let content_range = selected.as_ref().filter(|range| !range.is_empty());
        let content_range = content_range.map(|r| format!("bytes {}-{}/{}", r.start, r.end - 1, object.size));
        Ok(Self { range: selected.unwrap_or(whole), content_range, object })
    }

    fn is_whole(&self) -> bool {
        self.range == (0..self.object.size)
    }

    /// Told only to who asks for a part.
    fn parts_count(&self, part: Option<i32>) -> Option<i32> {
        part.and_then(|_| i32::try_from(self.object.part_sizes.len()).ok()).filter(|count| *count > 0)
    }
}

fn part_range(object: &Object, number: i32) -> S3Result<Range<u64>> {
    let invalid = || {
        let code = S3ErrorCode::Custom("InvalidPartNumber".into());
        let mut error = S3Error::with_message(code, "The requested partnumber is not satisfiable");
        error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
        error
    };
    if object.part_sizes.is_empty() && number == 1 {
        return Ok(0..object.size);
    }
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(invalid)?;
    let size = object.part_sizes.get(index).ok_or_else(invalid)?;
    let start: u64 = object.part_sizes[..index].iter().sum();
    Ok(start..start + size)
}

/// The first chunk is read at once, so that a file which cannot be read is an error and not a broken answer.
async fn body_of(segments: Vec<Segment>) -> S3Result<StreamingBlob> {
    let mut reader = Reader::new(segments);
    let Some(first) = reader.next().await else { return Ok(StreamingBlob::from(Body::empty())) };
    let first = first.map_err(|error| internal("read the object", &error))?;
    if reader.is_at_end() {
        return Ok(StreamingBlob::from(Body::from(first)));
    }
    let chunks = stream::unfold((Some(first), reader), |(first, mut reader)| async move {
        let chunk = match first {
            Some(first) => Some(Ok(first)),
            None => reader.next().await,
        };
        chunk.map(|chunk| (chunk, (None, reader)))
    });
    Ok(StreamingBlob::wrap(chunks))
}
