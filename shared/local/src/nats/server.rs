//! A `nats-server` with `JetStream` on a folder: started, stopped, killed, restarted on the same port and store.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::Process;
use super::{NatsError, ready};

/// A large store takes long to recover after a crash.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// A server that has not flushed and left by then is stuck.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// What `JetStream` may promise to its streams, in bytes: in effect, whatever the disk has. The server's own default is three quarters of
/// what is free when it starts, and on a fuller disk it refuses every stream that has a limit.
const MAX_FILE_STORE: u64 = 1 << 40;

/// How much of the log's end goes into an error.
const LOG_TAIL_BYTES: u64 = 2_000;

/// What to start. It listens on the loopback interface only.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// The executable, as [`super::find_or_fetch`] returns it.
    pub binary: PathBuf,
    /// `JetStream`'s folder; also holds the generated configuration and, by default, the log. Made when missing.
    pub store_dir: PathBuf,
    /// The client port; a free one when `None`.
    pub port: Option<u16>,
    /// A configuration file to include (users, limits); the settings here win over it.
    pub config: Option<PathBuf>,
    /// Whether every write reaches the disk before it is acknowledged (`sync_interval: always`): survives power loss,
    /// and costs throughput. Without it an acknowledged write survives the server's crash, but not the machine's.
    pub sync_always: bool,
    /// Largest message in bytes; the server's own default (1 MiB) when `None`.
    pub max_payload: Option<u32>,
    /// Where the server's log is appended; `nats-server.log` in the store folder when `None`.
    pub log: Option<PathBuf>,
}

impl NatsOptions {
    /// A server on a free port with the server's own defaults, and as much room for streams as the disk has.
    pub fn new(binary: impl Into<PathBuf>, store_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            store_dir: store_dir.into(),
            port: None,
            config: None,
            sync_always: false,
            max_payload: None,
            log: None,
        }
    }

    fn log_path(&self) -> PathBuf {
        self.log.clone().unwrap_or_else(|| self.store_dir.join("nats-server.log"))
    }

    fn config_path(&self) -> PathBuf {
        self.store_dir.join("nats-server.conf")
    }

    /// The generated configuration: what the command line has no flag for.
    fn config_text(&self) -> String {
        let mut text = String::from("# Written by Honk at each start.\n");
        // Nearly every message has a subject of its own: a cache of who listens to it is filled for nothing.
        text.push_str("disable_sublist_cache: true\n");
        if let Some(extra) = &self.config {
            let relative = relative_to(extra, &self.store_dir);
            writeln!(text, "include \"{}\"", relative.display()).unwrap_or_default();
        }
        let sync = if self.sync_always { ", sync_interval: always" } else { "" };
        writeln!(text, "jetstream {{ max_file_store: {MAX_FILE_STORE}{sync} }}").unwrap_or_default();
        if let Some(bytes) = self.max_payload {
            writeln!(text, "max_payload: {bytes}").unwrap_or_default();
        }
        text
    }

    fn arguments(&self, port: Option<u16>) -> Vec<String> {
        let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let folder = self.store_dir.to_string_lossy().into_owned();
        let config = self.config_path().to_string_lossy().into_owned();
        let words = ["-a", "127.0.0.1", "-p", &port, "-js", "-sd", &folder, "--ports_file_dir", &folder, "-c", &config];
        words.iter().map(ToString::to_string).collect()
    }
}

/// nats-server joins the name of an included file to the including file's folder, also when it is absolute.
fn relative_to(file: &Path, folder: &Path) -> PathBuf {
    let ups = folder.components().skip(1).map(|_| "..");
    let mut relative: PathBuf = ups.collect();
    relative.extend(file.components().skip(1));
    relative
}

/// A running (or stopped, or killed) server. Dropping it kills it; it also dies when this process is killed.
#[derive(Debug)]
pub struct NatsServer {
    options: NatsOptions,
    port: u16,
    process: Option<Process>,
}

impl NatsServer {
    /// Starts a server and waits until it serves.
    pub async fn start(mut options: NatsOptions) -> Result<Self, NatsError> {
        let folder = &options.store_dir;
        fs::create_dir_all(folder).map_err(NatsError::io(format!("create {}", folder.display())))?;
        options.store_dir = canonical(folder)?;
        options.config = options.config.as_deref().map(canonical).transpose()?;
        let port = options.port.unwrap_or_default();
        let mut server = Self { options, port, process: None };
        server.launch().await?;
        Ok(server)
    }

    /// Stops the server if it runs, and starts it on the same port and store.
    pub async fn restart(&mut self) -> Result<(), NatsError> {
        self.stop().await?;
        self.launch().await
    }

    /// Stops the server in order (SIGTERM, then SIGKILL if it hangs). Does nothing when it is not running.
    pub async fn stop(&mut self) -> Result<(), NatsError> {
        match self.process.take() {
            Some(process) => process.terminate(STOP_TIMEOUT).await.map_err(NatsError::io("stop nats-server")),
            None => Ok(()),
        }
    }

    /// Kills the server at once (SIGKILL), as a crash would.
    pub async fn kill(&mut self) -> Result<(), NatsError> {
        match self.process.take() {
            Some(process) => process.kill().await.map_err(NatsError::io("kill nats-server")),
            None => Ok(()),
        }
    }

    /// `nats://127.0.0.1:PORT`; stays the same over restarts.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// Where the server's log is.
    pub fn log_path(&self) -> PathBuf {
        self.options.log_path()
    }

    async fn launch(&mut self) -> Result<(), NatsError> {
        let options = &self.options;
        let config = options.config_path();
        fs::write(&config, options.config_text()).map_err(NatsError::io(format!("write {}", config.display())))?;
        let log_path = options.log_path();
        let log = File::options().create(true).append(true).open(&log_path);
        let log = log.map_err(NatsError::io(format!("open {}", log_path.display())))?;
        let arguments = options.arguments(Some(self.port).filter(|port| *port != 0));
        let process = Process::spawn(&options.binary, &arguments, &log);
        let mut process = process.map_err(NatsError::io("start nats-server"))?;
        self.port = wait_until_ready(&mut process, options).await?;
        self.process = Some(process);
        Ok(())
    }
}

async fn wait_until_ready(process: &mut Process, options: &NatsOptions) -> Result<u16, NatsError> {
    let pid = process.pid().unwrap_or_default();
    let ports_file = ready::ports_file(&options.store_dir, &options.binary, pid);
    let result = tokio::select! {
        port = ready::wait(&ports_file) => Ok(port),
        status = died(process) => Err(NatsError::Died { status, log: log_tail(&options.log_path()) }),
        () = tokio::time::sleep(READY_TIMEOUT) => {
            Err(NatsError::NotReady { after: READY_TIMEOUT, log: log_tail(&options.log_path()) })
        }
    };
    // The server removes it when it stops in order; a killed one would leave it behind for ever.
    match fs::remove_file(&ports_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(NatsError::Io { doing: format!("remove {}", ports_file.display()), source: error })
        }
        _ => result,
    }
}

async fn died(process: &mut Process) -> String {
    loop {
        match process.exited() {
            Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(Some(status)) => return status.to_string(),
            Err(error) => return error.to_string(),
        }
    }
}

fn log_tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
}

fn canonical(path: &Path) -> Result<PathBuf, NatsError> {
    path.canonicalize().map_err(NatsError::io(format!("find {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_says_only_what_was_asked_for() {
        let mut options = NatsOptions::new("/bin/nats-server", "/var/store");
        let always: Vec<String> = options.config_text().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(always, ["disable_sublist_cache: true", "jetstream { max_file_store: 1099511627776 }"]);
        options.sync_always = true;
        options.max_payload = Some(2048);
        options.config = Some("/etc/honk/users.conf".into());
        let text = options.config_text();
        assert!(text.contains("include \"../../etc/honk/users.conf\"\n"), "{text}");
        assert!(text.contains("sync_interval: always"));
        assert!(text.contains("max_payload: 2048"));
    }
}
