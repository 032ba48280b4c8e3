//! Whether two objects have the same bytes: from their listings where possible, from their descriptions else, and in the
//! end by reading them: one where a checksum of the other is known, else both. When that is asked is up to `sameness`.

use futures_util::{TryStreamExt as _, pin_mut, try_join};
use honk_storage::{Algorithm, Checksum, ContentHasher, ObjectInfo, StorageError, Store};

use super::engine::Engine;
use super::error::CopyError;
use super::transfer::open;

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
    /// Compares the checksums that the stores keep of the whole objects, and where these have none in common, reads what
    /// is necessary; if the target is to be read back, that at any rate. An object that is no longer the listed version is different.
    pub(super) async fn read_equal(
        &self,
        key: &str,
        (source, target): (&ObjectInfo, &ObjectInfo),
        read_back: bool,
    ) -> Result<bool, CopyError> {
        let (from, to) = (&self.source.store, &self.target.store);
        let heads = try_join!(self.retrying(|| from.head(&source.key)), self.retrying(|| to.head(&target.key)))?;
        if heads.0.size != heads.1.size || heads.0.etag != source.etag || heads.1.etag != target.etag {
            return Ok(false);
        }
        let known = (heads.0.all_checksums(), heads.1.all_checksums());
        if !read_back && let Some(equal) = Checksum::agree(&known.0, &known.1) {
            return Ok(equal);
        }
        tracing::debug!(key, bytes = source.size, "reading to compare");
        let equal = match (known.0.first(), known.1.first()) {
            (Some(known), _) => self.retrying(|| sum(to, target, known.algorithm)).await? == *known,
            (None, Some(known)) if !read_back => self.retrying(|| sum(from, source, known.algorithm)).await? == *known,
            (None, _) => {
                let sums = try_join!(
                    self.retrying(|| sum(from, source, Algorithm::Sha256)),
                    self.retrying(|| sum(to, target, Algorithm::Sha256)),
                )?;
                sums.0 == sums.1
            }
        };
        if equal {
            self.remember_proof(key, &source.etag, &target.etag);
        }
        Ok(equal)
    }
}

async fn sum(store: &Store, object: &ObjectInfo, algorithm: Algorithm) -> Result<Checksum, StorageError> {
    let chunks = open(store, object, None).await?.into_stream();
    let mut hasher = ContentHasher::new(algorithm);
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
