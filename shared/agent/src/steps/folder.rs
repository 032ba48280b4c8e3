//! A folder that programs may have done anything to, used through its descriptor, so that nothing they put at a path leads anywhere else:
//! no link is followed, no pipe is waited for, no depth is too deep.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, fchmod, fstat, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::{Errno, Result};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A pipe that nobody writes to is opened at once, and then found to be no file.
const OLD_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Only for whoever the agent runs as.
const PRIVATE: Mode = Mode::RWXU;

/// What a program left under a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing: it removed what was there.
    Nothing,
    /// A plain file: its bytes, at most as many as were asked for and one more.
    File(Vec<u8>),
    /// Something else, in words that follow "is".
    Other(&'static str),
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The folder at a path that no program has had a hand in, so that a link in it is somebody's intention.
    pub(super) fn at(path: &Path) -> Result<Self> {
        openat(CWD, path, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty()).map(Self)
    }

    /// The folder of this name in this one. What a program has put in its place goes, and one that is missing is made.
    pub(super) fn inner(&self, name: &str) -> Result<Self> {
        match self.open(name) {
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => self.give_way(name)?,
            opened => return opened,
        }
        mkdirat(&self.0, name, PRIVATE)?;
        self.open(name)
    }

    /// Writes a new file of this name, whatever is there now.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let create = || openat(&self.0, name, NEW_FILE, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH);
        let created = match create() {
            Err(Errno::EXIST) => {
                self.give_way(name)?;
                create()
            }
            created => created,
        };
        File::from(created?).write_all(content)
    }

    /// Reads what is there under this name, at most `limit` bytes and one more.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Left> {
        let file = match openat(&self.0, name, OLD_FILE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Left::Nothing),
            Err(Errno::LOOP) => return Ok(Left::Other("a symbolic link")),
            Err(Errno::NXIO) => return Ok(Left::Other("a socket")),
            Err(Errno::ACCESS) => return Ok(Left::Other("a file that the agent may not read")),
            Err(error) => return Err(error.into()),
        };
        let other = match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => {
                let mut content = Vec::new();
                File::from(file).take(limit + 1).read_to_end(&mut content)?;
                return Ok(Left::File(content));
            }
            FileType::Directory => "a directory",
            FileType::Fifo => "a named pipe",
            _ => "a device",
        };
        Ok(Left::Other(other))
    }

    /// Removes everything in it. Folders are lifted to the top before what is in them goes, so that one that lies ten thousand
    /// folders deep needs neither as many open files nor as much stack.
    pub(super) fn clear(&self) -> Result<()> {
        loop {
            let mut empty = true;
            for name in self.names()? {
                empty = false;
                if self.unlink(&*name)? {
                    continue;
                }
                let inner = self.open(&*name)?;
                // A program may have closed it, or what is in it.
                fchmod(&inner.0, PRIVATE)?;
                for deeper in inner.names()? {
                    if !inner.unlink(&*deeper)? {
                        chmodat(&inner.0, &*deeper, PRIVATE, AtFlags::empty())?;
                        renameat(&inner.0, &*deeper, &self.0, unused_name())?;
                    }
                }
                unlinkat(&self.0, &*name, AtFlags::REMOVEDIR)?;
            }
            if empty {
                return Ok(());
            }
        }
    }

    /// Its own descriptor, for locks.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Opens the folder of this name, also one that a program has closed to its own user.
    pub(super) fn open<N: rustix::path::Arg + Copy>(&self, name: N) -> Result<Self> {
        let opened = match openat(&self.0, name, FOLDER, Mode::empty()) {
            Err(Errno::ACCESS) => {
                chmodat(&self.0, name, PRIVATE, AtFlags::empty())?;
                openat(&self.0, name, FOLDER, Mode::empty())
            }
            opened => opened,
        }?;
        Ok(Self(opened))
    }

    /// Takes away whatever has this name; a folder with all that is in it only goes out of the way, until [`Folder::clear`].
    fn give_way(&self, name: &str) -> Result<()> {
        if self.unlink(name)? { Ok(()) } else { renameat(&self.0, name, &self.0, unused_name()) }
    }

    /// Removes what is no folder; says whether it is gone.
    fn unlink<N: rustix::path::Arg>(&self, name: N) -> Result<bool> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            // Linux says the first of a folder, POSIX the second.
            Err(Errno::ISDIR | Errno::PERM) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names of all that is in it now.
    pub(super) fn names(&self) -> Result<Vec<CString>> {
        let entries = Dir::read_from(self.0.as_fd())?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
        let names: Vec<_> = names.collect::<Result<_>>()?;
        Ok(names.into_iter().filter(|name| !matches!(name.as_bytes(), b"." | b"..")).collect())
    }
}

fn unused_name() -> String {
    format!(".honk-{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    fn folder() -> (TempDir, Folder) {
        let place = TempDir::new().expect("a folder");
        let folder = Folder::at(place.path()).expect("opens");
        (place, folder)
    }

    #[test]
    fn what_is_no_plain_file_is_said_and_not_read() {
        let (place, folder) = folder();
        symlink("/etc/passwd", place.path().join("link")).expect("a link");
        std::fs::create_dir(place.path().join("folder")).expect("a folder");
        rustix::fs::mknodat(CWD, place.path().join("pipe"), FileType::Fifo, PRIVATE, 0).expect("a pipe");
        std::os::unix::net::UnixListener::bind(place.path().join("socket")).expect("a socket");
        for (name, what) in
            [("link", "a symbolic link"), ("folder", "a directory"), ("pipe", "a named pipe"), ("socket", "a socket")]
        {
            assert_eq!(folder.read(name, 10).expect("is looked at"), Left::Other(what));
            folder.write(name, b"0123456789ab").expect("takes its place");
            assert_eq!(folder.read(name, 10).expect("is read"), Left::File(b"0123456789a".to_vec()));
        }
        assert_eq!(folder.read("none", 10).expect("is looked for"), Left::Nothing);
        assert!(!std::fs::read_to_string("/etc/passwd").expect("is there").starts_with("0123"));
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_gives_way_and_what_it_leads_to_stays() {
        let (place, folder) = folder();
        let elsewhere = TempDir::new().expect("a folder");
        symlink(elsewhere.path(), place.path().join("work")).expect("a link");
        folder.inner("work").expect("is made").write("file", b"x").expect("is written");
        assert!(place.path().join("work/file").is_file());
        assert_eq!(std::fs::read_dir(elsewhere.path()).expect("is there").count(), 0);
        symlink(elsewhere.path(), place.path().join("work/link")).expect("a link");
        folder.clear().expect("is cleared");
        assert_eq!(std::fs::read_dir(place.path()).expect("is there").count(), 0);
        assert!(elsewhere.path().is_dir());
    }

    #[test]
    fn a_folder_is_cleared_however_deep_it_is_and_whoever_it_is_closed_to() {
        let (place, folder) = folder();
        let mut inner = folder.inner("deep").expect("is made");
        for _ in 0..5_000 {
            inner.write("file", b"x").expect("is written");
            inner = inner.inner("deeper").expect("is made");
        }
        let closed = place.path().join("closed");
        std::fs::create_dir_all(closed.join("inner/inmost")).expect("are made");
        std::fs::write(closed.join("inner/file"), "x").expect("is written");
        for path in [closed.join("inner"), closed] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).expect("is closed");
        }
        folder.clear().expect("is cleared");
        assert_eq!(std::fs::read_dir(place.path()).expect("is there").count(), 0);
    }
}
