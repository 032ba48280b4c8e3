//! The files of a workflow: packed into one content-addressed archive, and unpacked again so that no path leaves its folder.
//!
//! A bundle is an uncompressed tar archive of plain files, made so that the same files always make the same bytes ([`pack`]); its
//! name is their hash. [`unpack`] trusts nobody: not the archive, whoever stored it, nor what already lies in the folder.
//! [`Cache`] keeps the bundles that an agent has fetched. What may be in one is bounded by the constants here, in the same way on both ends.

mod cache;
mod error;
mod folder;
mod pack;
mod path;
mod unpack;

pub use cache::{Cache, CacheError};
pub use error::BundleError;
pub use pack::{Bundle, BundleFile, pack};
pub use path::{PathFault, safe_path};
pub use unpack::unpack;

/// The largest file in a bundle, in bytes.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

/// The largest bundle, in bytes: its files, and about a kilobyte for each.
pub const MAX_BUNDLE_BYTES: u64 = 16 << 20;

/// How many files a bundle can have.
pub const MAX_FILES: usize = 1000;

/// The longest path in a bundle, in bytes.
pub const MAX_PATH_BYTES: usize = 200;
