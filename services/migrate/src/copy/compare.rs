//! Whether two objects have the same bytes: from their listings where possible, from their descriptions else, and in the
//! end by reading both.

use futures_util::{TryStreamExt as _, pin_mut, try_join};
use honk_storage::{Algorithm, Checksum, ContentHasher, ObjectInfo, StorageError, Store};

use super::engine::Engine;
use super::error::CopyError;

/// What two listings' entries say about the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    Different,
    /// Sizes agree and the `ETag`s prove nothing: other part layouts, or encryption under the server's own keys.
    Unknown,
}

pub(super) fn listed(source: &ObjectInfo, target: &ObjectInfo) -> Verdict {
    if source.size != target.size {
        Verdict::Different
    } else if source.etag == target.etag && source.etag.tells_content() && target.etag.tells_content() {
        Verdict::Equal
    } else {
        Verdict::Unknown
    }
}

impl Engine<'_> {
    /// Whether the target's object makes a copy unnecessary. In doubt it does not.
    pub(super) async fn is_there(&self, source: &ObjectInfo, target: &ObjectInfo) -> Result<bool, CopyError> {
        match listed(source, target) {
            Verdict::Equal => Ok(true),
            Verdict::Different => Ok(false),
            Verdict::Unknown if source.etag.md5().is_some() && target.etag.md5().is_some() => Ok(false),
            Verdict::Unknown => match self.described_equal(source, target).await {
                Ok(verdict) => Ok(verdict == Some(true)),
                // Gone or replaced between listing and description: the copy will find out which.
                Err(CopyError::Storage(error)) if super::is_source_change(&error) => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    /// Compares full-object checksums; `None` when the two share none. An object that is no longer the listed version
    /// is different.
    async fn described_equal(&self, source: &ObjectInfo, target: &ObjectInfo) -> Result<Option<bool>, CopyError> {
        let heads = try_join!(
            self.retrying(|| self.source.store.head(&source.key)),
            self.retrying(|| self.target.store.head(&target.key)),
        )?;
        if heads.0.size != heads.1.size || heads.0.etag != source.etag || heads.1.etag != target.etag {
            return Ok(Some(false));
        }
        Ok(Checksum::agree(&heads.0.all_checksums(), &heads.1.all_checksums()))
    }

    /// The final word on two listed objects, whatever it costs.
    pub(super) async fn proved_equal(&self, source: &ObjectInfo, target: &ObjectInfo) -> Result<bool, CopyError> {
        match listed(source, target) {
            Verdict::Equal => return Ok(true),
            Verdict::Different => return Ok(false),
            Verdict::Unknown => {}
        }
        if let Some(equal) = self.described_equal(source, target).await? {
            return Ok(equal);
        }
        tracing::debug!(key = source.key, bytes = source.size, "reading both sides to compare them");
        let sums = try_join!(
            self.retrying(|| sum(&self.source.store, source)),
            self.retrying(|| sum(&self.target.store, target)),
        )?;
        Ok(sums.0 == sums.1)
    }
}

async fn sum(store: &Store, object: &ObjectInfo) -> Result<Checksum, StorageError> {
    let if_match = Some(&object.etag).filter(|etag| !etag.as_str().is_empty());
    let download = store.get(&object.key, None, if_match).await?;
    if download.head.size != object.size {
        return Err(store.corrupt("compare", &object.key, "the object's length is not the listed one"));
    }
    let mut hasher = ContentHasher::new(Algorithm::Sha256);
    let chunks = download.into_stream();
    pin_mut!(chunks);
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use honk_storage::Etag;

    fn object(size: u64, etag: &str) -> ObjectInfo {
        ObjectInfo { key: "k".into(), size, etag: Etag::new(etag), last_modified: None }
    }

    #[test]
    fn only_telling_etags_prove_anything() {
        let md5 = "0cc175b9c0f1b6a831c399e269772661";
        let parts = "0cc175b9c0f1b6a831c399e269772661-2";
        let cases = [
            (1, md5, 1, md5, Verdict::Equal),
            (1, parts, 1, parts, Verdict::Equal),
            (1, md5, 2, md5, Verdict::Different),
            (1, md5, 1, parts, Verdict::Unknown),
            (1, "v1", 1, "v1", Verdict::Unknown),
            (1, "", 1, "", Verdict::Unknown),
        ];
        for (size, etag, other_size, other_etag, verdict) in cases {
            assert_eq!(listed(&object(size, etag), &object(other_size, other_etag)), verdict, "{etag} {other_etag}");
        }
        let opaque = ObjectInfo { etag: Etag::new(md5).into_opaque(), ..object(1, md5) };
        assert_eq!(listed(&opaque, &object(1, md5)), Verdict::Unknown);
    }
}
