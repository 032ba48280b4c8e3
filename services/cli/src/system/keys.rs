//! The keys of a development system: made once, kept in its folder, readable by its owner alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::CliError;

const FILE: &str = "keys.json";

/// The keys.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// Access key of the S3 store.
    pub(crate) s3_access_key: String,
    /// Secret key of the S3 store.
    pub(crate) s3_secret_key: String,
    /// What notices are signed with, as Standard Webhooks writes it.
    pub(crate) webhook_secret: String,
}

impl Keys {
    /// The folder's keys; new ones if it has none.
    pub(crate) fn load_or_make(folder: &Path) -> Result<Self, CliError> {
        let path = folder.join(FILE);
        let failed = |doing: &str| CliError::failed(format!("cannot {doing} {}", path.display()));
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed("read").caused_by(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let keys = Self::random();
                let json = serde_json::to_vec_pretty(&keys).map_err(|error| failed("write").caused_by(&error))?;
                let mut options = OpenOptions::new();
                let opened = options.write(true).create_new(true).mode(0o600).open(&path);
                let written = opened.and_then(|mut file| file.write_all(&json));
                written.map_err(|error| failed("write").caused_by(&error))?;
                Ok(keys)
            }
            Err(error) => Err(failed("read").caused_by(&error)),
        }
    }

    fn random() -> Self {
        let random = || [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self {
            s3_access_key: "honk".into(),
            s3_secret_key: hex::encode(random()),
            webhook_secret: format!("whsec_{}", STANDARD.encode(random())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_and_only_their_owner_reads_them() {
        let folder = tempfile::tempdir().expect("folder");
        let made = Keys::load_or_make(folder.path()).expect("made");
        let loaded = Keys::load_or_make(folder.path()).expect("loaded");
        assert_eq!((&made.s3_secret_key, &made.webhook_secret), (&loaded.s3_secret_key, &loaded.webhook_secret));
        let permissions = std::fs::metadata(folder.path().join(FILE)).expect("file").permissions();
        assert_eq!(permissions.mode() & 0o077, 0);
        assert_ne!(made.s3_secret_key, Keys::random().s3_secret_key);
    }
}
