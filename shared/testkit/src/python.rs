//! Python with packages from `PyPI`, for tests of what people write in it. Made once below the target folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use honk_service::environment;

use crate::binaries::target_dir;

/// The folder with `python` and `python3` of an environment called `name` that has these packages, as `pip install` names them. If it cannot be
/// had here, nothing, and a loud line; with `NEED_PYTHON` set, the test fails instead.
pub fn python(name: &str, packages: &[&str]) -> Option<PathBuf> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match make(&target_dir().join("tmp").join(name), packages) {
        Ok(folder) => Some(folder),
        Err(problem) if environment().get("NEED_PYTHON").is_some() => panic!("no Python with {packages:?}: {problem}"),
        Err(problem) => {
            let line = format!("SKIPPED, AND SO NOT PROVED: no Python with {packages:?}: {problem}");
            drop(writeln!(std::io::stderr().lock(), "{line}"));
            None
        }
    }
}

fn make(folder: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let (programs, made) = (folder.join("bin"), folder.join("made-of"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return Ok(programs);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(programs.join("python3")).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    std::fs::write(&made, wanted).map_err(|error| error.to_string())?;
    Ok(programs)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}
