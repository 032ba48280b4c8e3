//! A folder that is written to through its own descriptor, one part of a path after the other, so that no link on the way is followed,
//! not even one that somebody puts there meanwhile.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;

use crate::error::BundleError;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(crate) struct Folder {
    descriptor: OwnedFd,
    path: String,
}

impl Folder {
    /// A folder that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, BundleError> {
        let name = path.display().to_string();
        match openat(CWD, path, FOLDER, Mode::empty()) {
            Ok(descriptor) => Ok(Self { descriptor, path: name }),
            Err(error) => Err(BundleError::Io { doing: format!("open the folder {name}"), source: error.into() }),
        }
    }

    /// Writes a new file, and the folders that it needs. The path was checked by [`crate::safe_path`].
    pub(crate) fn write(&self, path: &str, bytes: &[u8], executable: bool) -> Result<(), BundleError> {
        let written = match path.rsplit_once('/') {
            Some((parents, name)) => {
                self.descend(parents).and_then(|folder| create(folder.as_fd(), name, bytes, executable))
            }
            None => create(self.descriptor.as_fd(), path, bytes, executable),
        };
        written.map_err(BundleError::io(format!("write {path} into {}", self.path)))
    }

    /// The folder at the path, made if it is not there. A link in its place is not it.
    fn descend(&self, path: &str) -> io::Result<OwnedFd> {
        let mut folder = self.descriptor.try_clone()?;
        for part in path.split('/') {
            match mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, part, FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?;
        }
        Ok(folder)
    }
}

fn create(folder: BorrowedFd<'_>, name: &str, bytes: &[u8], executable: bool) -> io::Result<()> {
    let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
    let mut file = File::from(openat(folder, name, NEW_FILE, mode)?);
    file.write_all(bytes)?;
    // Whatever this process's mask took away.
    Ok(fchmod(&file, mode)?)
}
