//! Three real nodes from `nats/cluster`, on the loopback interface.

use std::future::Future;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use honk_bus::Bus;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use honk_testkit::users::{self, USERS, nats_server, password, root};

const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Cluster {
    nodes: Vec<Child>,
    urls: String,
    folder: TempDir,
}

impl Cluster {
    /// Starts the nodes and waits until each of them listens.
    pub(crate) async fn start() -> Self {
        let (binary, folder) = (nats_server().await, TempDir::new().unwrap());
        let ports = free_ports();
        let mut nodes = Vec::new();
        for (number, port) in (1..).zip(ports) {
            let store = folder.path().join(format!("nats-{number}"));
            std::fs::create_dir(&store).unwrap();
            let log = std::fs::File::create(store.join("log")).unwrap();
            let mut command = Command::new(&binary);
            command.arg("-c").arg(root().join(format!("nats/cluster/node-{number}.conf")));
            // The ports of the files are for machines of their own; everything else is as it is there.
            command.args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--cluster_listen"]);
            command.arg(format!("nats://127.0.0.1:{port}")).arg("--ports_file_dir").arg(&store);
            command.envs(variables(ports)).env("NATS_STORE_DIR", &store);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
            nodes.push(command.spawn().unwrap());
        }
        let mut cluster = Self { nodes, urls: String::new(), folder };
        let mut urls = Vec::new();
        for number in 1..=3 {
            let store = cluster.folder.path().join(format!("nats-{number}"));
            urls.push(cluster.eventually("listening", || async { client_url(&store).ok_or("no ports file") }).await);
        }
        cluster.urls = urls.join(",");
        cluster
    }

    /// Connects to whichever node answers.
    pub(crate) async fn connect(&self, user: &str) -> Bus {
        users::connect(&self.urls, user).await
    }

    /// Kills the third node.
    pub(crate) async fn kill_a_node(&mut self) {
        self.nodes[2].kill().await.unwrap();
    }

    /// Tries until it succeeds: a cluster elects its leaders first.
    pub(crate) async fn eventually<T, E, F>(&self, what: &str, attempt: impl Fn() -> F) -> T
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let begin = Instant::now();
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) if begin.elapsed() > PATIENCE => panic!("{what}: {error}\n{}", self.log()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats-1/log")).unwrap_or_default()
    }
}

fn variables(ports: [u16; 3]) -> Vec<(String, String)> {
    let users = USERS.into_iter().chain(["sys", "cluster"]);
    let mut variables: Vec<(String, String)> =
        users.map(|user| (format!("NATS_{}_PASSWORD", user.to_uppercase()), password(user))).collect();
    for (number, port) in (1..).zip(ports) {
        let url = format!("nats://cluster:{}@127.0.0.1:{port}", password("cluster"));
        variables.push((format!("NATS_ROUTE_{number}"), url));
    }
    variables
}

/// Ports that were free a moment ago: nodes must know each other's before any of them listens.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn client_url(store: &Path) -> Option<String> {
    let files = std::fs::read_dir(store).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let ports = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "ports"))?;
    let ports: Value = serde_json::from_str(&std::fs::read_to_string(ports).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.to_owned())
}
