//! A `nats-server` with the users of `nats/users.conf`, and connections as each of them.

use std::path::{Path, PathBuf};

use honk_bus::{Bus, ConnectOptions};
use honk_local::nats::{Lookup, NatsOptions, NatsServer, find_or_fetch};
use honk_service::environment;

/// Everyone in the account of the services.
pub(crate) const USERS: [&str; 7] = ["producer", "intake", "validate", "migrate", "notify", "api", "deployer"];

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn password(user: &str) -> String {
    format!("pw_of_{user}")
}

/// Each user's own, as every deployment has it.
pub(crate) fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

pub(crate) async fn nats_server() -> PathBuf {
    let environment = environment();
    let lookup = Lookup {
        nats_server: environment.get("NATS_SERVER").map(PathBuf::from),
        path: environment.get("PATH").map(Into::into),
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    };
    find_or_fetch(&lookup).await.unwrap()
}

/// A server without users.
pub(crate) async fn open_to_all(folder: &Path) -> NatsServer {
    NatsServer::start(NatsOptions::new(nats_server().await, folder)).await.unwrap()
}

/// A server with the users of `nats/users.conf`. Their passwords are written into a copy of it: a test cannot change the environment that
/// the server inherits.
pub(crate) async fn with_users(folder: &Path) -> NatsServer {
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
pub(crate) async fn connect(url: &str, user: &str) -> Bus {
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
