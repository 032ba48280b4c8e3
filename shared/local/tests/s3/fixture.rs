//! A server with one bucket and a client for it, in memory or on disk.

use std::net::{Ipv4Addr, SocketAddr};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use honk_local::s3::{S3Options, S3Server, S3ServerError, Storage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The bucket that every fixture has.
pub(crate) const BUCKET: &str = "data";
/// Five MiB, the smallest part that is not the last.
pub(crate) const PART: usize = 5 << 20;

pub(crate) struct Fixture {
    pub(crate) server: S3Server,
    pub(crate) client: Client,
    pub(crate) folder: Option<TempDir>,
}

/// Runs each test of a theme on both storages.
macro_rules! on_both_storages {
    ($($name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::fixture::Fixture::in_memory().await).await;
            })+
        }
        mod on_disk {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&$crate::fixture::Fixture::on_disk().await).await;
            })+
        }
    };
}
pub(crate) use on_both_storages;

pub(crate) async fn serve(storage: Storage) -> Result<S3Server, S3ServerError> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    S3Server::start(S3Options { listen, storage, access_key: "honk".into(), secret_key: "a secret".into() }).await
}

/// A client with these keys, in a region that the server never heard of.
pub(crate) fn client(url: &str, access_key: &str, secret_key: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .force_path_style(true)
        .region(Region::new("moon-north-7"))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"));
    Client::from_conf(config.build())
}

pub(crate) fn client_of(server: &S3Server) -> Client {
    client(&server.url(), server.access_key(), server.secret_key())
}

impl Fixture {
    pub(crate) async fn in_memory() -> Self {
        Self::new(Storage::Memory, None).await
    }

    pub(crate) async fn on_disk() -> Self {
        let folder = TempDir::new().unwrap();
        Self::new(Storage::Disk(folder.path().join("s3")), Some(folder)).await
    }

    async fn new(storage: Storage, folder: Option<TempDir>) -> Self {
        let server = serve(storage).await.unwrap();
        let client = client_of(&server);
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self { server, client, folder }
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> PutObjectOutput {
        let request = self.client.put_object().bucket(BUCKET).key(key).body(body.into().into());
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, key: &str) -> GetObjectOutput {
        self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap()
    }

    pub(crate) async fn read(&self, key: &str) -> Vec<u8> {
        self.get(key).await.body.collect().await.unwrap().to_vec()
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    pub(crate) async fn create_upload(&self, key: &str) -> String {
        let created = self.client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
        created.upload_id().unwrap().to_owned()
    }

    pub(crate) async fn upload_part(&self, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let request = self.client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
        let part = request.body(body.into()).send().await.unwrap();
        CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).build()
    }

    /// Uploads an object in parts and returns its quoted `ETag`.
    pub(crate) async fn put_in_parts(&self, key: &str, parts: &[Vec<u8>]) -> String {
        let id = self.create_upload(key).await;
        let mut done = Vec::new();
        for (number, body) in (1..).zip(parts) {
            done.push(self.upload_part(key, &id, number, body.clone()).await);
        }
        let request = self.client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
        request.multipart_upload(completed(done)).send().await.unwrap().e_tag.unwrap()
    }
}

pub(crate) fn completed(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

/// The S3 error code of a refused request.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> String {
    result.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_else(|| "no error".to_owned())
}

/// The HTTP status of a refused request.
pub(crate) fn status<T, E>(result: Result<T, SdkError<E, HttpResponse>>) -> u16 {
    result.err().and_then(|error| error.raw_response().map(|response| response.status().as_u16())).unwrap_or(200)
}

/// Bytes that differ from place to place.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// What the server answers to a request written by hand.
pub(crate) async fn raw(server: &S3Server, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
