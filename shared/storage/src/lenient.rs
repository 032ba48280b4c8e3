//! Answers that mean what they should and are not written as S3 writes them, so that the client cannot read them. Only those are
//! here without which a store could not be used.

use std::future::Future;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::create_multipart_upload::{CreateMultipartUploadError, CreateMultipartUploadOutput};

/// What a begun upload may answer.
type Begun = Result<CreateMultipartUploadOutput, SdkError<CreateMultipartUploadError, HttpResponse>>;

/// Takes the id of an upload that was begun from an answer whose outermost element has another name than S3's. `rclone serve s3` 1.75
/// calls it `InitiateMultipartUpload`.
pub(crate) async fn begun(request: impl Future<Output = Begun>) -> Begun {
    let answer = request.await;
    match answer.as_ref().err().and_then(|error| upload_id(error.raw_response()?)) {
        Some(id) => Ok(CreateMultipartUploadOutput::builder().upload_id(id).build()),
        None => answer,
    }
}

fn upload_id(response: &HttpResponse) -> Option<String> {
    let text = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, rest) = text.split_once("<UploadId>").filter(|_| response.status().is_success())?;
    let (id, _) = rest.split_once("</UploadId>")?;
    // An id that is escaped is left alone: no server is known that gives one.
    (!id.is_empty() && !id.contains(['&', '<'])).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn id_in(status: u16, body: &str) -> Option<String> {
        upload_id(&HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
    }

    #[test]
    fn the_id_is_found_whatever_the_element_around_it_is_called() {
        let body = "<InitiateMultipartUpload><Key>k</Key><UploadId>7</UploadId></InitiateMultipartUpload>";
        assert_eq!(id_in(200, body).as_deref(), Some("7"));
        assert_eq!(id_in(500, body), None, "a failure is a failure");
        for other in ["", "<Error/>", "<UploadId></UploadId>", "<UploadId>7", "<UploadId>a&amp;b</UploadId>"] {
            assert_eq!(id_in(200, other), None, "{other}");
        }
    }
}
