//! Packages from npm, for tests over data that other people publish there. Fetched once below the target folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use honk_service::environment;

use crate::binaries::target_dir;

/// The folder with the files of a package, such as `vega-datasets@3.2.1`. If it cannot be had here, nothing, and a loud line; with
/// `NEED_PYTHON` set, the test fails instead.
pub fn package(spec: &str) -> Option<PathBuf> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match fetch(&target_dir().join("tmp").join("npm").join(spec.replace('/', "-")), spec) {
        Ok(folder) => Some(folder),
        Err(problem) if environment().get("NEED_PYTHON").is_some() => panic!("no npm package {spec}: {problem}"),
        Err(problem) => {
            let line = format!("SKIPPED, AND SO NOT PROVED: no npm package {spec}: {problem}");
            drop(writeln!(std::io::stderr().lock(), "{line}"));
            None
        }
    }
}

fn fetch(folder: &Path, spec: &str) -> Result<PathBuf, String> {
    let (files, fetched) = (folder.join("package"), folder.join("fetched"));
    if fetched.is_file() {
        return Ok(files);
    }
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let archive = run(Command::new("npm").args(["pack", "--silent", spec]).current_dir(folder))?;
    run(Command::new("tar").args(["-xzf", archive.trim()]).current_dir(folder))?;
    std::fs::write(fetched, spec).map_err(|error| error.to_string())?;
    Ok(files)
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(format!("{command:?}: {}", said(&output.stderr)))
    }
}
