//! A `nats-server` with the users of `nats/users.conf`, and connections as each of them.

use std::path::{Path, PathBuf};

use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{NatsOptions, NatsServer, find_or_fetch};

use crate::harness::lookup;

/// Everyone in the account of the services.
pub const USERS: [&str; 8] = ["producer", "intake", "validate", "migrate", "notify", "runner", "api", "deployer"];

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What `user` logs in with in tests.
pub fn password(user: &str) -> String {
    format!("pw_of_{user}")
}

/// Each user's own, as every deployment has it.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The `nats-server` to be run.
pub async fn nats_server() -> PathBuf {
    find_or_fetch(&lookup()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A server without users.
pub async fn open_to_all(folder: &Path) -> NatsServer {
    NatsServer::start(NatsOptions::new(nats_server().await, folder)).await.unwrap()
}

/// A server with the users of `nats/users.conf`. Their passwords are written into a copy of it: a test cannot change the environment that
/// the server inherits.
pub async fn with_users(folder: &Path) -> NatsServer {
    let mut text = std::fs::read_to_string(root().join("nats/users.conf")).unwrap();
    for user in USERS.into_iter().chain(["sys"]) {
        let variable = format!("$NATS_{}_PASSWORD", user.to_uppercase());
        assert!(text.contains(&variable), "{user} has no password of its own");
        text = text.replace(&variable, &password(user));
    }
    let users = folder.join("users.conf");
    std::fs::write(&users, text).unwrap();
    let options = NatsOptions::new(nats_server().await, folder.join("store"));
    NatsServer::start(NatsOptions { config: Some(users), ..options }).await.unwrap()
}

/// Connects as `user`.
pub async fn connect(url: &str, user: &str) -> Bus {
    let options = ConnectOptions {
        url: url.to_owned(),
        user: Some(user.to_owned()),
        password: Some(password(user)),
        inbox_prefix: Some(inbox_prefix(user)),
        name: format!("test {user}"),
        ..ConnectOptions::default()
    };
    Bus::connect(options).await.unwrap()
}
