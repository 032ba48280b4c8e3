//! One archive → files in a folder. Everything is read and checked before the first file is written.

use std::io::Read as _;
use std::path::Path;

use honk_protocol::name::BundleHash;
use tar::{Archive, Entry, EntryType};

use crate::error::BundleError;
use crate::folder::Folder;
use crate::pack::{BundleFile, check};
use crate::path::PathFault;
use crate::{MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES};

/// Unpacks the bundle of this hash into a folder that is there, and returns the paths of its files in the order of the archive.
///
/// Nothing that lies in the folder is overwritten, and no link in it is followed: either is an error. After an error some of
/// the files may be there. Reads and writes as long as it takes; call it where that may block.
pub fn unpack(bytes: &[u8], expected: &BundleHash, into: &Path) -> Result<Vec<String>, BundleError> {
    let files = read(bytes, expected)?;
    let folder = Folder::open(into)?;
    for file in &files {
        folder.write(&file.path, &file.bytes, file.executable)?;
    }
    Ok(files.into_iter().map(|file| file.path).collect())
}

fn read(bytes: &[u8], expected: &BundleHash) -> Result<Vec<BundleFile>, BundleError> {
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        return Err(BundleError::TooLarge { bytes: bytes.len() as u64, largest: None });
    }
    let found = BundleHash::of(bytes);
    if found != *expected {
        return Err(BundleError::Hash { expected: expected.clone(), found });
    }
    let mut files = Vec::new();
    for entry in Archive::new(bytes).entries().map_err(BundleError::Archive)? {
        if files.len() == MAX_FILES {
            return Err(BundleError::TooManyFiles { files: MAX_FILES + 1 });
        }
        files.push(read_entry(entry.map_err(BundleError::Archive)?)?);
    }
    check(&files)?;
    Ok(files)
}

fn read_entry(mut entry: Entry<'_, &[u8]>) -> Result<BundleFile, BundleError> {
    let path = path(&entry)?;
    let kind = entry.header().entry_type();
    if kind != EntryType::Regular {
        return Err(BundleError::Kind { path, kind: kind_name(kind) });
    }
    if entry.size() > MAX_FILE_BYTES {
        return Err(BundleError::FileTooLarge { path, bytes: entry.size() });
    }
    let executable = entry.header().mode().map_err(BundleError::Archive)? & 0o111 != 0;
    let mut bytes = Vec::new();
    // The size that the entry states may be more than what there is, and is never believed.
    let size = entry.size();
    entry.read_to_end(&mut bytes).map_err(BundleError::Archive)?;
    if bytes.len() as u64 != size {
        return Err(BundleError::Archive(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(BundleFile { path, bytes, executable })
}

fn path(entry: &Entry<'_, &[u8]>) -> Result<String, BundleError> {
    let bytes = entry.path_bytes();
    match std::str::from_utf8(&bytes) {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => {
            Err(BundleError::Path { path: String::from_utf8_lossy(&bytes).into_owned(), fault: PathFault::NotText })
        }
    }
}

fn kind_name(kind: EntryType) -> String {
    match kind {
        EntryType::Directory => "a directory".to_owned(),
        EntryType::Symlink => "a symbolic link".to_owned(),
        EntryType::Link => "a hard link".to_owned(),
        EntryType::Char | EntryType::Block => "a device".to_owned(),
        EntryType::Fifo => "a pipe".to_owned(),
        other => format!("an entry of type {:?}", char::from(other.as_byte())),
    }
}
