//! Which `nats-server` to run: the one named, else the first good one on the search path, else the cached one, else it
//! is fetched. Every candidate is asked for its version before it is used. The environment comes in as a parameter.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{MINIMUM_VERSION, NatsError, fetch};

/// A program that does not print its version within this time is not `nats-server`.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Where to look, as read from the environment by the caller.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// The executable that the user named (`NATS_SERVER`); nothing else is tried when it is set.
    pub nats_server: Option<PathBuf>,
    /// The search path (`PATH`).
    pub path: Option<OsString>,
    /// A folder of the user's that may be kept (such as `~/.cache/honk`); a fetched server is stored here.
    pub cache_dir: PathBuf,
}

/// Finds a `nats-server` that is new enough, or fetches one into the cache folder.
///
/// Safe to call from many processes at once: one fetches, the others wait for it. An older server on the search path is
/// passed over with a warning; an older one that was named explicitly is an error.
pub async fn find_or_fetch(lookup: &Lookup) -> Result<PathBuf, NatsError> {
    if let Some(named) = &lookup.nats_server {
        check_version(named).await?;
        return Ok(named.clone());
    }
    for candidate in on_path(lookup) {
        match check_version(&candidate).await {
            Ok(()) => return Ok(candidate),
            Err(error) => tracing::warn!(%error, "passing over the nats-server on the search path"),
        }
    }
    let cached = fetch::cached_path(&lookup.cache_dir);
    if !cached.is_file() {
        fetch::fetch_into(&lookup.cache_dir).await?;
    }
    check_version(&cached).await?;
    Ok(cached)
}

fn on_path(lookup: &Lookup) -> Vec<PathBuf> {
    let folders = lookup.path.iter().flat_map(std::env::split_paths);
    folders.map(|folder| folder.join("nats-server")).filter(|candidate| candidate.is_file()).collect()
}

async fn check_version(path: &Path) -> Result<(), NatsError> {
    let printed = print_version(path).await?;
    let not_a_server = |reason: String| NatsError::NotAServer { path: path.to_owned(), reason };
    let version = parse_version(&printed)
        .ok_or_else(|| not_a_server(format!("it answers --version with {:?}", printed.trim())))?;
    if version < MINIMUM_VERSION {
        let found = printed.trim().trim_start_matches("nats-server: ").to_owned();
        return Err(NatsError::TooOld { path: path.to_owned(), found });
    }
    Ok(())
}

async fn print_version(path: &Path) -> Result<String, NatsError> {
    let not_a_server = |reason: String| NatsError::NotAServer { path: path.to_owned(), reason };
    let run = async {
        loop {
            let mut command = Command::new(path);
            command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
            match command.output().await {
                // A process forked while the file was being written still holds it for a moment.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                output => return output,
            }
        }
    };
    let output = tokio::time::timeout(VERSION_TIMEOUT, run)
        .await
        .map_err(|_| not_a_server("it does not answer --version".to_owned()))?
        .map_err(|error| not_a_server(error.to_string()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads `nats-server: v2.15.1`, also with a suffix as in `v2.12.0-RC.1`.
fn parse_version(printed: &str) -> Option<(u32, u32)> {
    let version = printed.trim().strip_prefix("nats-server: v")?;
    let mut numbers = version.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_the_server_prints() {
        assert_eq!(parse_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(parse_version("nats-server: v2.12.0-RC.1"), Some((2, 12)));
        assert_eq!(parse_version("nats-server: v3.0"), Some((3, 0)));
        assert_eq!(parse_version("GNU bash, version 5.2"), None);
        assert_eq!(parse_version(""), None);
    }
}
