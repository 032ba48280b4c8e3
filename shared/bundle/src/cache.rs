//! The bundles that an agent has fetched, each as one file named by its hash.
//!
//! The archives are kept and not their files: so every use of a bundle verifies it anew, no step can change what the next one gets, and
//! a file that a crash has cut short is found out and fetched again. Several processes may share a folder.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use honk_protocol::name::BundleHash;

use crate::error::BundleError;
use crate::unpack::unpack;

/// Why a bundle is not in its work directory.
#[derive(Debug, thiserror::Error)]
pub enum CacheError<E: std::error::Error + 'static> {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(E),
    /// What was fetched is wrong, or the disk refuses.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// A folder of bundles; cheap to clone, and clones fetch a bundle that several of them want at the same time once.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    /// Held while a bundle is being fetched.
    fetching: Arc<Mutex<HashMap<BundleHash, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Cache {
    /// A cache in this folder, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), fetching: Arc::default() }
    }

    /// Unpacks the bundle into a folder that is there ([`unpack`]), and returns the paths of its files. A bundle that is not in the
    /// cache yet, or damaged there, is taken from `fetch`.
    pub async fn unpack_into<E, F>(
        &self,
        hash: &BundleHash,
        into: &Path,
        fetch: impl FnOnce() -> F,
    ) -> Result<Vec<String>, CacheError<E>>
    where
        E: std::error::Error + 'static,
        F: Future<Output = Result<Vec<u8>, E>>,
    {
        if let Some(files) = self.unpack_kept(hash, into).await? {
            return Ok(files);
        }
        let turn = self.turn(hash);
        let _held = turn.lock().await;
        // Perhaps somebody else's turn has brought it meanwhile.
        if let Some(files) = self.unpack_kept(hash, into).await? {
            return Ok(files);
        }
        let bytes = fetch().await.map_err(CacheError::Fetch)?;
        let (cache, hash, into) = (self.clone(), hash.clone(), into.to_owned());
        Ok(blocking(move || {
            let files = unpack(&bytes, &hash, &into)?;
            // If it cannot be kept, the next job fetches once more, which is no reason to fail this one.
            if let Err(error) = cache.keep(&hash, &bytes) {
                tracing::warn!(%error, "a bundle could not be kept in the agent's cache");
            }
            Ok(files)
        })
        .await?)
    }

    /// Nothing, if the bundle is not kept, or not whole.
    async fn unpack_kept(&self, hash: &BundleHash, into: &Path) -> Result<Option<Vec<String>>, BundleError> {
        let (place, hash, into) = (self.place(hash), hash.clone(), into.to_owned());
        blocking(move || {
            let bytes = match std::fs::read(&place) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(BundleError::io(format!("read {}", place.display()))(error)),
            };
            match unpack(&bytes, &hash, &into) {
                Err(BundleError::Hash { .. } | BundleError::TooLarge { .. }) => {
                    tracing::warn!(file = %place.display(), "a bundle in the agent's cache is damaged; it is fetched again");
                    Ok(None)
                }
                unpacked => unpacked.map(Some),
            }
        })
        .await
    }

    /// Under another name first, so that nobody ever reads half of it.
    fn keep(&self, hash: &BundleHash, bytes: &[u8]) -> Result<(), BundleError> {
        let error = || BundleError::io(format!("keep a bundle in {}", self.folder.display()));
        std::fs::create_dir_all(&self.folder).map_err(error())?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder).map_err(error())?;
        file.write_all(bytes).map_err(error())?;
        file.persist(self.place(hash)).map_err(|failed| error()(failed.error))?;
        Ok(())
    }

    fn place(&self, hash: &BundleHash) -> PathBuf {
        self.folder.join(format!("{hash}.tar"))
    }

    fn turn(&self, hash: &BundleHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is alone with its turn has had it.
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(hash.clone()).or_default())
    }
}

/// Does what may block where it may.
async fn blocking<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, BundleError> + Send + 'static,
) -> Result<T, BundleError> {
    match tokio::task::spawn_blocking(what).await {
        Ok(done) => done,
        Err(error) => Err(BundleError::io("finish a task of the bundles' cache")(io::Error::other(error))),
    }
}
