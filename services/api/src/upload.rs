//! What `POST /api/workflows` is sent: a workflow's text alone, or with the files that its steps need as `multipart/form-data` (RFC 7578).

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use honk_bundle::BundleFile;
use honk_protocol::name::BundleHash;
use honk_protocol::workflow::SourceFile;

use crate::extract::Body;
use crate::problem::ApiError;

/// The text is stored together with its name and hash, in one message.
const MAX_WORKFLOW_BYTES: usize = 256 * 1024;

/// The most that a request may have: a bundle's own limits and what is around its files.
pub(crate) const MAX_UPLOAD_BYTES: usize = 24 * 1024 * 1024;

/// A workflow's text, and the files that come with it.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(crate) source: String,
    pub(crate) files: Vec<BundleFile>,
}

/// What is remembered of a file beside its content.
pub(crate) fn summary(file: &BundleFile) -> SourceFile {
    SourceFile {
        path: file.path.clone(),
        bytes: file.bytes.len() as u64,
        hash: BundleHash::of(&file.bytes),
        executable: file.executable,
    }
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let upload = if kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            let parts = Multipart::from_request(request, state).await;
            Self::of_parts(parts.map_err(|rejection| invalid(rejection.body_text()))?).await?
        } else {
            let body = Body::from_request(request, state).await?;
            Self { source: body.text()?.to_owned(), files: Vec::new() }
        };
        if upload.source.len() > MAX_WORKFLOW_BYTES {
            let title = "The body is longer than allowed here";
            let detail = format!("a workflow's text has at most {MAX_WORKFLOW_BYTES} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", title).detail(detail));
        }
        Ok(upload)
    }
}

impl Upload {
    async fn of_parts(mut parts: Multipart) -> Result<Self, ApiError> {
        let (mut source, mut files) = (None, Vec::new());
        while let Some(part) = parts.next_field().await.map_err(|error| unreadable(&error))? {
            match part.name() {
                Some("workflow") if source.is_none() => {
                    let text = Body(part.bytes().await.map_err(|error| unreadable(&error))?);
                    source = Some(text.text()?.to_owned());
                }
                Some("workflow") => {
                    return Err(invalid("there are two parts `workflow`; register one after the other"));
                }
                Some("file") => files.push(file(part, false).await?),
                Some("executable") => files.push(file(part, true).await?),
                other => {
                    let name = other.unwrap_or_default();
                    return Err(invalid(format!("the part `{name}` is none of `workflow`, `file` and `executable`")));
                }
            }
        }
        let source = source.ok_or_else(|| invalid("the part `workflow`, with the YAML text, is missing"))?;
        Ok(Self { source, files })
    }
}

async fn file(part: Field<'_>, executable: bool) -> Result<BundleFile, ApiError> {
    let path = part.file_name().map(ToOwned::to_owned);
    let path = path.ok_or_else(|| invalid("a part `file` has no file name, which is its path beside the workflow"))?;
    let bytes = part.bytes().await.map_err(|error| unreadable(&error))?.to_vec();
    Ok(BundleFile { path, bytes, executable })
}

fn invalid(detail: impl Into<String>) -> ApiError {
    let title = "The parts of the body are not of the expected form";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "upload-invalid", title)
        .detail(detail)
        .help("Send the YAML as the part `workflow` and each file as a part `file` whose file name is its path, as `honk register` does.")
}

fn unreadable(error: &MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let title = "The body is longer than allowed here";
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", title)
            .detail(format!("a workflow and its files have at most {} MiB together", MAX_UPLOAD_BYTES >> 20))
            .help("Large data belongs into the object store, where steps read it; leave it out of `include`.");
    }
    ApiError::new(StatusCode::BAD_REQUEST, "body-unreadable", "The body could not be read").detail(error.body_text())
}
