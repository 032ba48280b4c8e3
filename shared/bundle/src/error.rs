//! What can be wrong with a bundle.

use std::io;

use honk_protocol::name::BundleHash;

use crate::path::PathFault;
use crate::{MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES};

/// Why a bundle was not made or not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// More than [`MAX_FILES`].
    #[error(
        "the bundle has {files} files or more, and a bundle has at most {MAX_FILES}: name fewer with `include:`, or let the step fetch them"
    )]
    TooManyFiles {
        /// As many as were counted.
        files: usize,
    },
    /// A file larger than [`MAX_FILE_BYTES`].
    #[error(
        "{path} has {bytes} bytes, and a file in a bundle has at most {MAX_FILE_BYTES} (8 MiB): leave it out of `include:`, and let the step fetch it"
    )]
    FileTooLarge {
        /// Its path.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// More than [`MAX_BUNDLE_BYTES`] together.
    #[error(
        "the bundle has {bytes} bytes, and at most {MAX_BUNDLE_BYTES} (16 MiB) are allowed{}: leave large files out of `include:`, and let the step fetch them",
        largest.as_ref().map(|path| format!("; its largest file is {path}")).unwrap_or_default()
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The path of the file that contributes most, where that is known.
        largest: Option<String>,
    },
    /// A path that could lead out of the folder, or mean another file on another system.
    #[error("the path {path:?} cannot be in a bundle: {fault}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// Two paths that are the same file, or of which one is a file and the other lies in it, at least where upper and lower case are the same.
    #[error(
        "{first} and {second} cannot both be in a bundle: on some systems they are the same file, or one lies in the other"
    )]
    Conflict {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// The archive is not what its name says.
    #[error(
        "the bundle {expected} is not what was registered: its bytes have the hash {found}; register the workflow again"
    )]
    Hash {
        /// What it should be.
        expected: BundleHash,
        /// What it is.
        found: BundleHash,
    },
    /// An entry of the archive is no plain file.
    #[error("{path:?} in the bundle is {kind}, and a bundle has plain files only")]
    Kind {
        /// Its path.
        path: String,
        /// What it is.
        kind: String,
    },
    /// It is no tar archive, or a damaged one.
    #[error("the bundle is no intact archive: register the workflow again")]
    Archive(#[source] io::Error),
    /// The disk.
    #[error("cannot {doing}")]
    Io {
        /// What was being done, as words that follow "cannot".
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl BundleError {
    /// Whether the machine is at fault, and the same bundle may be unpacked another time or elsewhere.
    pub fn is_the_machines(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
