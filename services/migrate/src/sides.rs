//! Both places of a dataset side by side, for what looks at them after a migration: what is at one and not at the other, and whether two
//! objects have the same bytes. Listings are merged page by page and never held.

use std::cmp::Ordering;

use futures_util::stream::{BoxStream, Peekable};
use futures_util::{StreamExt as _, TryStreamExt as _, pin_mut, try_join};
use honk_protocol::dataset::{Place, Side};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_storage::{
    Algorithm, Checksum, ContentHasher, ErrorKind, ObjectHead, ObjectInfo, StorageError, Store, Stores,
};

/// Keys per listing request.
const PAGE: i32 = 1_000;

/// A place with what is needed to look into it.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// Its bucket.
    pub(crate) store: Store,
    /// Its folder, as listings have it.
    pub(crate) prefix: String,
    side: Side,
}

/// Both places.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// The place that data came from.
    pub(crate) source: End,
    /// The place that it went to.
    pub(crate) target: End,
}

/// A key, and what there is of it at either place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Relative to both places.
    pub(crate) key: String,
    /// The object at the source.
    pub(crate) source: Option<ObjectInfo>,
    /// The object at the target.
    pub(crate) target: Option<ObjectInfo>,
}

type Entries = Peekable<BoxStream<'static, Result<(String, ObjectInfo), Failed>>>;

impl End {
    async fn open(stores: &Stores, place: &Place, side: Side) -> Result<Self, Failed> {
        let place = stores.resolve(place);
        let store = stores.open(&place).await.map_err(|error| error.failed(side))?;
        Ok(Self { store, prefix: place.prefix(), side })
    }

    /// The full key of a relative one.
    pub(crate) fn key(&self, relative: &str) -> String {
        format!("{}{relative}", self.prefix)
    }

    /// The failure of a job that met this error here.
    pub(crate) fn failed(&self, error: &StorageError) -> Failed {
        error.failed(self.side)
    }

    /// A listed object, described; nothing if it is gone, or is another version by now.
    pub(crate) async fn describe(&self, listed: &ObjectInfo) -> Result<Option<ObjectHead>, Failed> {
        match self.store.head(&listed.key).await {
            Ok(head) => Ok((head.etag == listed.etag).then_some(head)),
            Err(error) if error.kind() == ErrorKind::NoSuchKey => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn entries(&self) -> Entries {
        let (side, prefix) = (self.side, self.prefix.clone());
        let pages = self.store.list(&self.prefix, PAGE).map_err(move |error| error.failed(side));
        let entries = pages.map_ok(move |page| {
            let prefix = prefix.clone();
            futures_util::stream::iter(page).map(move |object| {
                let key = object.key.strip_prefix(prefix.as_str()).unwrap_or(&object.key).to_owned();
                Ok((key, object))
            })
        });
        entries.try_flatten().boxed().peekable()
    }
}

impl Ends {
    /// Opens both places.
    pub(crate) async fn open(stores: &Stores, source: &Place, target: &Place) -> Result<Self, Failed> {
        let source = End::open(stores, source, Side::Source).await?;
        Ok(Self { source, target: End::open(stores, target, Side::Target).await? })
    }

    /// Every key of either place, in the order of the keys.
    pub(crate) fn pairs(&self) -> Pairs {
        Pairs { source: self.source.entries(), target: self.target.entries(), last: None }
    }

    /// Whether the two objects have the same bytes, as far as can be told without reading them.
    pub(crate) async fn same(&self, source: &ObjectInfo, target: &ObjectInfo) -> Result<Option<bool>, Failed> {
        if let Some(told) = by_listing(source, target) {
            return Ok(Some(told));
        }
        match try_join!(self.source.describe(source), self.target.describe(target))? {
            (Some(source), Some(target)) => Ok(Checksum::agree(&source.all_checksums(), &target.all_checksums())),
            _ => Ok(Some(false)),
        }
    }

    /// The same, reading both where nothing else tells. An object that is not the listed version any more is another one.
    pub(crate) async fn proved_same(&self, source: &ObjectInfo, target: &ObjectInfo) -> Result<bool, Failed> {
        if let Some(told) = self.same(source, target).await? {
            return Ok(told);
        }
        let sums = try_join!(sum(&self.source.store, source), sum(&self.target.store, target));
        match sums {
            Ok((source, target)) => Ok(source == target),
            Err(error) if matches!(error.kind(), ErrorKind::Changed | ErrorKind::NoSuchKey) => Ok(false),
            Err(error) => Err(self.source.failed(&error)),
        }
    }
}

/// What two listings' entries say about the bytes; nothing where their `ETag`s do not tell.
fn by_listing(source: &ObjectInfo, target: &ObjectInfo) -> Option<bool> {
    if source.size != target.size {
        return Some(false);
    }
    if !(source.etag.tells_content() && target.etag.tells_content()) {
        return None;
    }
    match (source.etag == target.etag, source.etag.md5().is_some() && target.etag.md5().is_some()) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        // Parts of other sizes have other tags.
        (false, false) => None,
    }
}

async fn sum(store: &Store, object: &ObjectInfo) -> Result<Checksum, StorageError> {
    let chunks = store.get(&object.key, None, Some(&object.etag)).await?.into_stream();
    let mut hasher = ContentHasher::new(Algorithm::Sha256);
    pin_mut!(chunks);
    while let Some(chunk) = chunks.try_next().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finish())
}

/// Two listings, merged.
pub(crate) struct Pairs {
    source: Entries,
    target: Entries,
    last: Option<String>,
}

impl Pairs {
    /// The next key; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Pair>, Failed> {
        let order = match (key_of(&mut self.source).await?, key_of(&mut self.target).await?) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(source), Some(target)) => source.cmp(&target),
        };
        let source = if order.is_le() { self.source.try_next().await? } else { None };
        let target = if order.is_ge() { self.target.try_next().await? } else { None };
        let key = source.as_ref().or(target.as_ref()).map(|(key, _)| key.clone()).unwrap_or_default();
        if let Some(last) = self.last.replace(key.clone()).filter(|last| *last >= key) {
            let message =
                format!("a listing is not sorted: {key:?} comes after {last:?}, so the places cannot be compared");
            return Err(Failed::reject(Reason::StorageRefused, message));
        }
        let info = |entry: Option<(String, ObjectInfo)>| entry.map(|(_, object)| object);
        Ok(Some(Pair { key, source: info(source), target: info(target) }))
    }
}

/// The key that a listing has next. A listing that failed is at its end, and says why.
async fn key_of(entries: &mut Entries) -> Result<Option<String>, Failed> {
    let peeked = std::pin::Pin::new(&mut *entries).peek().await;
    match peeked {
        None => Ok(None),
        Some(Ok((key, _))) => Ok(Some(key.clone())),
        Some(Err(failed)) => Err(failed.clone()),
    }
}

#[cfg(test)]
mod tests {
    use honk_storage::Etag;

    use super::*;

    fn object(size: u64, etag: &str) -> ObjectInfo {
        ObjectInfo { key: "k".into(), size, etag: Etag::new(etag), last_modified: None }
    }

    #[test]
    fn listings_tell_only_what_their_tags_prove() {
        let (md5, other) = ("0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f");
        let parts = "0cc175b9c0f1b6a831c399e269772661-2";
        for (source, target, told) in [
            (object(1, md5), object(1, md5), Some(true)),
            (object(1, md5), object(1, other), Some(false)),
            (object(1, md5), object(2, md5), Some(false)),
            (object(1, parts), object(1, parts), Some(true)),
            (object(1, parts), object(1, md5), None),
            (object(1, "v1"), object(1, "v1"), None),
        ] {
            assert_eq!(by_listing(&source, &target), told, "{source:?} {target:?}");
        }
    }
}
