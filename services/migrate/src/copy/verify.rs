//! The second pass: proof that every object of the source is at the target with the same bytes.
//!
//! Both sides are listed anew, so that what changed at the source since it was copied is found. Most pairs are proved by
//! their `ETag`s alone; the others by what was hashed while copying, by checksums, or by reading both sides.

use futures_util::{FutureExt as _, StreamExt as _, pin_mut};
use honk_storage::listing::Surveyor;

use super::CopyReport;
use super::engine::Engine;
use super::error::CopyError;
use super::join::Pair;

/// What is known of one pair.
enum Finding {
    Proved,
    Extra,
    Wrong { key: String, reason: &'static str },
}

impl Engine<'_> {
    /// Completes the report of the first pass, or says what is wrong.
    pub(super) async fn verify_all(&self, copied: CopyReport) -> Result<CopyReport, CopyError> {
        let mut surveyor = Surveyor::default();
        let surveyed = self.pairs().map(|pair| {
            if let Ok(Pair { key, source: Some(object), .. }) = &pair {
                surveyor.add(key, object.size, &object.etag);
            }
            pair
        });
        let findings = surveyed
            .map(|pair| self.verify_pair(pair).boxed())
            .buffer_unordered(self.settings.objects_in_flight.max(1));
        let mut report = copied;
        let mut wrong: Option<(u64, String, &'static str)> = None;
        {
            pin_mut!(findings);
            while let Some(finding) = findings.next().await {
                match finding? {
                    Finding::Proved => {
                        report.verified += 1;
                        self.progress.object_verified();
                    }
                    Finding::Extra => report.extra += 1,
                    Finding::Wrong { key, reason } => wrong.get_or_insert((0, key, reason)).0 += 1,
                }
            }
        }
        if let Some((mismatches, key, reason)) = wrong {
            return Err(CopyError::Unverified { mismatches, key, reason: reason.to_owned() });
        }
        let survey = surveyor.finish();
        Ok(CopyReport { objects: survey.objects, bytes: survey.bytes, digest: survey.digest, ..report })
    }

    async fn verify_pair(&self, pair: Result<Pair, CopyError>) -> Result<Finding, CopyError> {
        let Pair { key, source, target } = pair?;
        let Some(source) = source else { return Ok(Finding::Extra) };
        let Some(target) = target else { return Ok(Finding::Wrong { key, reason: "it is not there" }) };
        if source.size != target.size {
            return Ok(Finding::Wrong { key, reason: "its size differs" });
        }
        match self.proved_equal(&key, &source, &target).await {
            Ok(true) => Ok(Finding::Proved),
            Ok(false) => Ok(Finding::Wrong { key, reason: "its checksum differs" }),
            Err(CopyError::Storage(error)) if super::is_source_change(&error) => {
                Ok(Finding::Wrong { key, reason: "it was changed while it was compared" })
            }
            Err(error) => Err(error),
        }
    }
}
