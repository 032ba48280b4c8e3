//! Files → one archive, the same for the same files: sorted, without times, owners or other modes than whether a file is executable.

use honk_protocol::name::BundleHash;
use tar::{Builder, EntryType, Header};

use crate::error::BundleError;
use crate::path::{check_conflicts, safe_path};
use crate::{MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES};

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Where it lies, relative to the work directory, with `/` on every system.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// A packed bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The archive.
    pub bytes: Vec<u8>,
    /// Its hash, which is its name.
    pub hash: BundleHash,
    /// The paths of its files, sorted.
    pub files: Vec<String>,
}

/// Packs files in whatever order they come.
pub fn pack(files: impl IntoIterator<Item = BundleFile>) -> Result<Bundle, BundleError> {
    let mut files: Vec<BundleFile> = files.into_iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check(&files)?;
    let mut builder = Builder::new(Vec::new());
    for file in &files {
        builder.append_data(&mut header(file), &file.path, file.bytes.as_slice()).map_err(BundleError::Archive)?;
    }
    let bytes = builder.into_inner().map_err(BundleError::Archive)?;
    if bytes.len() as u64 > MAX_BUNDLE_BYTES {
        let largest = files.iter().max_by_key(|file| file.bytes.len()).map(|file| file.path.clone());
        return Err(BundleError::TooLarge { bytes: bytes.len() as u64, largest });
    }
    let hash = BundleHash::of(&bytes);
    Ok(Bundle { bytes, hash, files: files.into_iter().map(|file| file.path).collect() })
}

/// What must hold of the files of any bundle, on its way in and out.
pub(crate) fn check(files: &[BundleFile]) -> Result<(), BundleError> {
    if files.len() > MAX_FILES {
        return Err(BundleError::TooManyFiles { files: files.len() });
    }
    for file in files {
        safe_path(&file.path).map_err(|fault| BundleError::Path { path: file.path.clone(), fault })?;
        let bytes = file.bytes.len() as u64;
        if bytes > MAX_FILE_BYTES {
            return Err(BundleError::FileTooLarge { path: file.path.clone(), bytes });
        }
    }
    check_conflicts(files.iter().map(|file| file.path.as_str()))
}

fn header(file: &BundleFile) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(if file.executable { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(file.bytes.len() as u64);
    header
}
