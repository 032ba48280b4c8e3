//! Answers that are not written as S3 writes them, so that the client cannot read them, or would read too much. Only those are
//! here without which a store could not be used.

use std::future::Future;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
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

/// What [`NotTheObject`] says.
pub(crate) const OBJECT_INSTEAD: &str =
    "the server answers with the object, as if it had not been asked for something of it";

/// Refuses an answer that is the object itself before a byte of it is read: a server that does not know a question in the query
/// (`?tagging`) answers the plain request, with an object that may be of any size. `rclone serve s3` 1.75 does.
#[derive(Debug)]
pub(crate) struct NotTheObject;

impl Intercept for NotTheObject {
    fn name(&self) -> &'static str {
        "NotTheObject"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if answer.status().is_success() && answer.headers().contains_key("etag") {
            return Err(OBJECT_INSTEAD.into());
        }
        Ok(())
    }
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
