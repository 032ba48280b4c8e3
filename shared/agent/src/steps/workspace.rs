//! The folder that the programs of one attempt work in: fresh, with the workflow's files and the dataset's metadata in it, and gone
//! afterwards. What the steps of a job leave there, the later steps of the same attempt find.
//!
//! ```text
//! <root>/honk-attempt-…/work    where the programs start: the workflow's files, <dataset>.meta.json
//! <root>/honk-attempt-…/tmp     TMPDIR
//! <root>/honk-attempt-…/honk    input.json; one file for each step's outputs, one for each script
//! ```
//!
//! A folder is locked for as long as its agent lives, so that the next agent on the machine can tell what a killed one has left.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use rustix::fs::{AtFlags, FlockOperation, flock, unlinkat};
use tempfile::TempDir;

use super::folder::{Folder, Left};

/// What the names of these folders begin with, and no other folder on a machine, because what is left of them is removed.
const PREFIX: &str = "honk-attempt-";

/// How long the end of an attempt waits until its folder is gone. A larger one goes on going.
const REMOVAL: Duration = Duration::from_secs(5);

/// The folder; dropping it removes it.
#[derive(Debug)]
pub(super) struct Workspace {
    root: TempDir,
    folder: Folder,
}

/// A file in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: &'static str,
    name: String,
}

impl Place {
    /// One that lies where programs start.
    pub(super) fn work(name: String) -> Self {
        Self { folder: "work", name }
    }

    /// One between Honk and the programs.
    pub(super) fn honk(name: impl Into<String>) -> Self {
        Self { folder: "honk", name: name.into() }
    }
}

impl Workspace {
    /// A new one below `parent`.
    pub(super) fn create(parent: &Path) -> Result<Self, Failed> {
        let made = || -> io::Result<Self> {
            std::fs::create_dir_all(parent)?;
            // Where there are no locks, nothing is swept either.
            let _making = lock(parent, FlockOperation::LockShared).ok();
            let mut root = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            root.disable_cleanup(true);
            let folder = Folder::at(root.path())?;
            if let Err(error) = flock(folder.descriptor(), FlockOperation::NonBlockingLockExclusive) {
                tracing::debug!(%error, "a work directory is not locked");
            }
            for name in ["work", "tmp", "honk"] {
                folder.inner(name)?;
            }
            Ok(Self { root, folder })
        };
        made().map_err(|error| unavailable(parent, &error))
    }

    /// Where programs start.
    pub(super) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// Where they keep what is of use for a moment only.
    pub(super) fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Where programs find a file.
    pub(super) fn path(&self, place: &Place) -> PathBuf {
        self.root.path().join(place.folder).join(&place.name)
    }

    /// Writes a file, whatever a program has put there.
    pub(super) fn write(&self, place: &Place, content: impl AsRef<[u8]>) -> Result<(), Failed> {
        let written = || self.folder.inner(place.folder)?.write(&place.name, content.as_ref());
        written().map_err(|error| unavailable(&self.path(place), &error))
    }

    /// What a program left in a file, at most `limit` bytes and one more.
    pub(super) fn read(&self, place: &Place, limit: u64) -> Result<Left, Failed> {
        let read = || self.folder.inner(place.folder)?.read(&place.name, limit);
        read().map_err(|error| unavailable(&self.path(place), &error))
    }

    /// Makes sure that programs have a folder to start in, whatever those before have done to it.
    pub(super) fn restore(&self) -> Result<(), Failed> {
        let restored = || ["work", "tmp"].into_iter().try_for_each(|name| self.folder.inner(name).map(drop));
        restored().map_err(|error| unavailable(self.root.path(), &error))
    }

    /// Removes it where that may take its time.
    pub(super) async fn remove(self) {
        let removal = tokio::task::spawn_blocking(move || drop(self));
        if tokio::time::timeout(REMOVAL, removal).await.is_err() {
            tracing::warn!("a work directory is so large that its removal goes on beside the next job");
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let path = self.root.path();
        let removed = self.folder.clear().map_err(io::Error::from).and_then(|()| std::fs::remove_dir(path));
        if let Err(error) = removed {
            tracing::warn!(%error, path = %path.display(), "a work directory could not be removed");
        }
    }
}

/// Removes what agents that were killed have left below `parent`. What belongs to one that lives is locked.
pub(super) fn sweep(parent: &Path) -> io::Result<()> {
    // While it is locked, nobody makes a new one, which would not be locked for a moment.
    let found = match lock(parent, FlockOperation::NonBlockingLockExclusive) {
        Ok(locked) => locked,
        // There is nothing yet, or another agent is at it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut left = Vec::new();
    for name in found.names()?.into_iter().filter(|name| name.as_bytes().starts_with(PREFIX.as_bytes())) {
        let Ok(folder) = found.open(&*name) else { continue };
        if flock(folder.descriptor(), FlockOperation::NonBlockingLockExclusive).is_ok() {
            left.push((name, folder));
        }
    }
    // From here on others may make theirs: what is left is known.
    flock(found.descriptor(), FlockOperation::Unlock)?;
    for (name, folder) in left {
        folder.clear()?;
        unlinkat(found.descriptor(), &*name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Locks a folder until what is returned is dropped.
fn lock(path: &Path, how: FlockOperation) -> io::Result<Folder> {
    let folder = Folder::at(path)?;
    flock(folder.descriptor(), how)?;
    Ok(folder)
}

pub(super) fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> Failed {
    Failed::retry(Reason::WorkspaceUnavailable, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_agent_left_is_swept_and_what_is_in_use_is_not() {
        let parent = TempDir::new().expect("a folder");
        let living = Workspace::create(parent.path()).expect("is made");
        let left = parent.path().join("honk-attempt-left/work");
        std::fs::create_dir_all(&left).expect("is made");
        std::fs::write(left.join("file"), "x").expect("is written");
        std::fs::create_dir(parent.path().join("bundles")).expect("is made");
        sweep(parent.path()).expect("is swept");
        assert!(!parent.path().join("honk-attempt-left").exists());
        assert!(living.work().is_dir() && parent.path().join("bundles").is_dir());
        drop(living);
        assert_eq!(std::fs::read_dir(parent.path()).expect("is there").count(), 1);
        sweep(&parent.path().join("none")).expect("has nothing to do");
    }
}
