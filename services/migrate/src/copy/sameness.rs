//! Whether the target's object makes a copy unnecessary, and what proves it.

use futures_util::FutureExt as _;
use honk_storage::ObjectInfo;

use super::compare::{Verdict, listed};
use super::engine::Engine;
use super::error::CopyError;
use super::is_source_change;
use super::policy::Verify;
use super::proofs::Fact;
use super::tally::{By, Proof};

/// What is known of the bytes of two objects of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sameness {
    Equal(Proof),
    /// They differ, or nothing proves that they do not.
    Different,
}

impl Engine<'_> {
    /// Compares two listed objects as far as the policy asks for. What is proved once of two versions is not asked again.
    pub(super) async fn sameness(
        &self,
        key: &str,
        source: &ObjectInfo,
        target: &ObjectInfo,
    ) -> Result<Sameness, CopyError> {
        let versions = (&source.etag, &target.etag);
        let verify = self.settings.policy.verify;
        let by = match listed(source, target) {
            Verdict::Equal => By::Etag,
            Verdict::Unknown if self.proofs.has(Fact::SameBytes, key, versions) => By::Checksum,
            // Both tell their content, and it is not the same.
            Verdict::Unknown if source.etag.md5().is_some() && target.etag.md5().is_some() => {
                return Ok(Sameness::Different);
            }
            Verdict::Unknown if verify == Verify::None && self.was_copied(key, source) => By::Size,
            Verdict::Unknown if self.has_same_bytes(key, source, target, false).await? => By::Checksum,
            Verdict::Different | Verdict::Unknown => return Ok(Sameness::Different),
        };
        let read_back = verify.reads_back(key);
        if read_back && !self.proofs.has(Fact::ReadBack, key, versions) {
            if !self.has_same_bytes(key, source, target, true).await? {
                return Ok(Sameness::Different);
            }
            self.proofs.remember(Fact::ReadBack, key, versions);
        }
        Ok(Sameness::Equal(Proof { by, read_back }))
    }

    fn was_copied(&self, key: &str, source: &ObjectInfo) -> bool {
        self.proofs.has(Fact::Copied, key, (&source.etag, &source.etag))
    }

    /// An object that was replaced or removed since it was listed is not the same: the copy will find out what it is now.
    async fn has_same_bytes(
        &self,
        key: &str,
        source: &ObjectInfo,
        target: &ObjectInfo,
        read_back: bool,
    ) -> Result<bool, CopyError> {
        match self.read_equal(key, (source, target), read_back).boxed().await {
            Err(CopyError::Storage(error)) if is_source_change(&error) => Ok(false),
            other => other,
        }
    }
}
