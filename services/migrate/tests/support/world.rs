//! Two places with S3 servers behind them, and shorthand for what the tests do with them.
#![allow(dead_code, unreachable_pub, reason = "each test file has it as a module and uses its share")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_migrate::copy::journal::Journal;
use honk_migrate::copy::{CopyError, CopyPlan, CopyReport, CopySettings, Progress, migrate_objects};
use honk_storage::{Algorithm, Attributes, Credentials, Place, StorageConfig, Store, Stores};
use tokio_util::sync::CancellationToken;

pub const MIB: usize = 1 << 20;
const ACCESS_KEY: &str = "tester";
const SECRET_KEY: &str = "secret of the tester";

pub struct World {
    pub source: Store,
    pub target: Store,
    pub source_place: Place,
    pub target_place: Place,
    pub settings: CopySettings,
    pub journal: Option<Arc<dyn Journal>>,
    config: StorageConfig,
    _servers: Vec<S3Server>,
}

impl World {
    pub async fn one_server() -> Self {
        let server = start().await;
        let url = server.url();
        Self::of(vec![server], url.clone(), url).await
    }

    pub async fn two_servers() -> Self {
        let (one, other) = (start().await, start().await);
        let urls = (one.url(), other.url());
        Self::of(vec![one, other], urls.0, urls.1).await
    }

    async fn of(servers: Vec<S3Server>, source: String, target: String) -> Self {
        let config = storage_config();
        let source_place = Place::new("source", "data").at(source);
        let target_place = Place::new("target", "moved/here/").at(target);
        let stores = Stores::new(config.clone());
        let (source, target) = (stores.open(&source_place).await.unwrap(), stores.open(&target_place).await.unwrap());
        source.create_bucket().await.unwrap();
        target.create_bucket().await.unwrap();
        Self {
            source,
            target,
            source_place,
            target_place,
            settings: CopySettings { backoff_ms: 5, backoff_max_ms: 20, ..CopySettings::default() },
            journal: None,
            config,
            _servers: servers,
        }
    }

    pub fn plan(&self) -> CopyPlan {
        CopyPlan {
            stores: Stores::new(self.config.clone()),
            source: self.source_place.clone(),
            target: self.target_place.clone(),
            settings: self.settings.clone(),
            journal: self.journal.clone(),
        }
    }

    pub async fn migrate(&self) -> Result<CopyReport, CopyError> {
        migrate_objects(self.plan(), &Progress::default(), &CancellationToken::new()).await
    }

    pub async fn put_source(&self, key: &str, bytes: Bytes, attributes: &Attributes) {
        self.source.put_small(&self.source_place.key(key), bytes, attributes).await.unwrap();
    }

    pub async fn put_source_in_parts(&self, key: &str, parts: &[Bytes]) {
        let key = self.source_place.key(key);
        let upload = self.source.create_upload(&key, &attributes(), Algorithm::Crc64Nvme).await.unwrap();
        let mut sent = Vec::new();
        for (number, bytes) in (1..).zip(parts) {
            sent.push(upload.part(number, bytes.clone()).await.unwrap());
        }
        upload.complete(&sent).await.unwrap();
    }

    pub fn set_copy_object_limit(&mut self, bytes: u64) {
        self.config.copy_object_limit = bytes;
        self.settings.copy_part_size = bytes;
    }

    pub fn use_secret(&mut self, secret: &str) {
        self.config.credentials =
            Some(Credentials { access_key: ACCESS_KEY.to_owned(), secret_key: secret.to_owned(), session_token: None });
    }

    pub fn be_impatient(&mut self) {
        self.config.stall_timeout_ms = 200;
        self.config.request_timeout_ms = 1_000;
    }

    /// Every object of the source is at the target, byte for byte.
    pub async fn assert_equal(&self) {
        let pages: Vec<_> = self.source.list(&self.source_place.prefix(), 1_000).try_collect().await.unwrap();
        for object in pages.into_iter().flatten() {
            let relative = object.key.strip_prefix(&self.source_place.prefix()).unwrap();
            let target = self.target_place.key(relative);
            let ours = self.source.get(&object.key, None, None).await.unwrap().collect().await.unwrap();
            let theirs = self.target.get(&target, None, None).await.unwrap().collect().await.unwrap();
            assert!(ours == theirs, "{relative:?} differs");
        }
    }
}

fn storage_config() -> StorageConfig {
    let (access_key, secret_key) = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
    let credentials = Credentials { access_key, secret_key, session_token: None };
    StorageConfig { credentials: Some(credentials), request_backoff_ms: 1, ..StorageConfig::default() }
}

async fn start() -> S3Server {
    let options = S3Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        storage: Storage::Memory,
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
    };
    S3Server::start(options).await.unwrap()
}

pub fn attributes() -> Attributes {
    let metadata = [("owner", "team a"), ("checked-by", "x=1; y")];
    Attributes {
        content_type: Some("text/csv; charset=utf-8".into()),
        cache_control: Some("max-age=60".into()),
        content_disposition: Some("attachment; filename=\"a.csv\"".into()),
        content_encoding: Some("gzip".into()),
        content_language: Some("en".into()),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Attributes::default()
    }
}

/// Bytes that compress badly and differ per call.
pub fn random(length: usize) -> Bytes {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let mut state = RandomState::new().build_hasher().finish() | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
