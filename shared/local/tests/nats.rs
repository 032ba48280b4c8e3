//! A real `nats-server` as a child: started, stopped, killed, restarted, and gone when its parent is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use honk_local::nats::{Lookup, NatsError, NatsOptions, NatsServer, find_or_fetch};
use tempfile::TempDir;

/// Kept between test runs, beside the build, so that the server is fetched once.
fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

#[expect(clippy::disallowed_methods, reason = "a test stands where the service's configuration would")]
fn lookup() -> Lookup {
    let nats_server = std::env::var("NATS_SERVER").ok().map(PathBuf::from);
    Lookup { nats_server, path: std::env::var("PATH").ok().map(Into::into), cache_dir: cache_dir() }
}

async fn start(store: &TempDir) -> NatsServer {
    let binary = find_or_fetch(&lookup()).await.unwrap();
    NatsServer::start(NatsOptions::new(binary, store.path())).await.unwrap()
}

async fn publish(url: &str, text: &'static str) {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let config =
        jetstream::stream::Config { name: "kept".into(), subjects: vec!["kept.>".into()], ..Default::default() };
    context.get_or_create_stream(config).await.unwrap();
    context.publish("kept.one", text.into()).await.unwrap().await.unwrap();
}

async fn count_messages(url: &str) -> u64 {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    context.get_stream("kept").await.unwrap().get_info().await.unwrap().state.messages
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended, even when nobody has asked for its status yet.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

async fn wait_until_gone(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still alive");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_store_survives_a_stop_and_a_kill_on_the_same_port() {
    let store = TempDir::new().unwrap();
    let mut server = start(&store).await;
    let (url, first) = (server.url(), server.pid().unwrap());
    publish(&url, "before the stop").await;

    server.restart().await.unwrap();
    assert_eq!(server.url(), url);
    assert!(!is_alive(first));
    publish(&url, "before the kill").await;

    let second = server.pid().unwrap();
    server.kill().await.unwrap();
    assert!(!is_alive(second));
    assert_eq!(server.pid(), None);
    server.restart().await.unwrap();
    assert_eq!(count_messages(&url).await, 2);

    server.stop().await.unwrap();
    server.stop().await.unwrap();
    assert!(async_nats::connect(&url).await.is_err());
}

#[tokio::test]
async fn dropping_the_server_ends_the_process() {
    let store = TempDir::new().unwrap();
    let server = start(&store).await;
    let pid = server.pid().unwrap();
    drop(server);
    wait_until_gone(pid).await;
}

/// Run by the test below in a process of its own: starts a server, tells its process id, and never ends by itself.
#[tokio::test]
#[ignore = "a helper that another test starts"]
async fn helper_that_holds_a_server_for_ever() {
    let store = TempDir::new().unwrap();
    let server = start(&store).await;
    println!("server={} store={}", server.pid().unwrap(), store.path().display());
    std::future::pending::<()>().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_parent_takes_the_server_with_it() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    // Fetched here, so that no time is spent on it in the helper.
    find_or_fetch(&lookup()).await.unwrap();
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["helper_that_holds_a_server_for_ever", "--exact", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let (pid, store) = loop {
        let line = lines.next_line().await.unwrap().expect("the helper ended early");
        if let Some((_, told)) = line.split_once("server=") {
            let (pid, store) = told.split_once(" store=").unwrap();
            break (pid.parse::<u32>().unwrap(), store.to_owned());
        }
    };
    assert!(is_alive(pid));
    parent.start_kill().unwrap();
    parent.wait().await.unwrap();
    wait_until_gone(pid).await;
    std::fs::remove_dir_all(store).unwrap();
}

#[tokio::test]
async fn the_settings_reach_the_server() {
    let (store, extra) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let included = extra.path().join("users.conf");
    std::fs::write(&included, "authorization { user: honk, password: secret }\nmax_payload: 4096\n").unwrap();
    let binary = find_or_fetch(&lookup()).await.unwrap();
    let mut options = NatsOptions::new(binary, store.path());
    (options.config, options.max_payload, options.sync_always) = (Some(included), Some(2 << 20), true);
    let mut server = NatsServer::start(options).await.unwrap();

    assert!(async_nats::connect(server.url()).await.is_err(), "the included file asks for a user");
    let login = async_nats::ConnectOptions::with_user_and_password("honk".into(), "secret".into());
    let client = login.connect(server.url()).await.unwrap();
    assert_eq!(client.server_info().max_payload, 2 << 20);
    assert!(jetstream::new(client).query_account().await.is_ok());
    server.stop().await.unwrap();
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(log.contains("Sync Interval") || log.contains("JetStream"), "{log}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_from_its_log() {
    let (store, broken) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let config = broken.path().join("broken.conf");
    std::fs::write(&config, "max_payload: [\n").unwrap();
    let binary = find_or_fetch(&lookup()).await.unwrap();
    let mut options = NatsOptions::new(binary, store.path());
    options.config = Some(config);
    let error = NatsServer::start(options).await.unwrap_err();
    assert!(matches!(&error, NatsError::Died { log, .. } if log.contains("broken.conf")), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_and_not_another_servers_success() {
    let (store, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = start(&store).await;
    let mut options = NatsOptions::new(find_or_fetch(&lookup()).await.unwrap(), other.path());
    options.port = Some(first.port());
    let error = NatsServer::start(options).await.unwrap_err();
    assert!(matches!(error, NatsError::Died { .. }), "{error}");
}

#[tokio::test]
async fn a_named_server_that_is_too_old_or_no_server_is_refused() {
    let folder = TempDir::new().unwrap();
    let write_script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let find = async |named: PathBuf| {
        let lookup = Lookup { nats_server: Some(named), path: None, cache_dir: folder.path().join("cache") };
        find_or_fetch(&lookup).await
    };
    let old = write_script("old", "#!/bin/sh\necho nats-server: v2.11.9\n");
    assert!(matches!(find(old).await, Err(NatsError::TooOld { found, .. }) if found == "v2.11.9"));
    let other = write_script("other", "#!/bin/sh\necho hello\n");
    assert!(matches!(find(other).await, Err(NatsError::NotAServer { .. })));
    assert!(matches!(find(folder.path().join("missing")).await, Err(NatsError::NotAServer { .. })));

    let good = write_script("nats-server", "#!/bin/sh\necho nats-server: v2.12.0\n");
    let on_path = Lookup { nats_server: None, path: Some(folder.path().into()), cache_dir: folder.path().join("none") };
    assert_eq!(find_or_fetch(&on_path).await.unwrap(), good);
}

#[tokio::test]
async fn many_fetches_at_once_bring_one_server() {
    let folder = TempDir::new().unwrap();
    let lookup = Lookup { nats_server: None, path: None, cache_dir: folder.path().join("cache") };
    let fetches = (0..4).map(|_| find_or_fetch(&lookup));
    let found = futures_util::future::join_all(fetches).await;
    let paths: Vec<PathBuf> = found.into_iter().map(Result::unwrap).collect();
    assert!(paths.windows(2).all(|pair| pair[0] == pair[1]));
    let mut names: Vec<_> = std::fs::read_dir(&lookup.cache_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["nats-server-2.15.1", "nats-server.lock"]);
}
