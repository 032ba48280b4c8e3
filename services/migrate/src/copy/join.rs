//! Merges two sorted listings into one stream of pairs, holding one entry of each.

use std::cmp::Ordering;
use std::pin::Pin;

use futures_util::stream::{Stream, TryStreamExt as _, try_unfold};
use futures_util::try_join;
use honk_storage::ObjectInfo;

use super::error::CopyError;

/// An object under the name that it has on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the listing's prefix.
    pub(super) key: String,
    pub(super) object: ObjectInfo,
}

/// What the two sides have under one name; at least one is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) source: Option<ObjectInfo>,
    pub(super) target: Option<ObjectInfo>,
}

/// A listing in the order of its keys' bytes.
pub(super) type Listing<'a> = Pin<Box<dyn Stream<Item = Result<Entry, CopyError>> + Send + 'a>>;

struct Side<'a> {
    listing: Listing<'a>,
    next: Option<Entry>,
    bucket: &'a str,
}

impl Side<'_> {
    /// Takes the entry at hand and fetches the one after it, which must be greater.
    async fn take(&mut self) -> Result<Option<Entry>, CopyError> {
        let taken = self.next.take();
        self.next = self.listing.try_next().await?;
        match (&taken, &self.next) {
            (Some(previous), Some(next)) if next.key <= previous.key => Err(CopyError::Unsorted {
                bucket: self.bucket.to_owned(),
                key: next.key.clone(),
                previous: previous.key.clone(),
            }),
            _ => Ok(taken),
        }
    }
}

/// All names of both listings, in order, each once. The names are of the buckets, for errors.
pub(super) fn pairs<'a>(
    source: (Listing<'a>, &'a str),
    target: (Listing<'a>, &'a str),
) -> impl Stream<Item = Result<Pair, CopyError>> + Send + 'a {
    let side = |(listing, bucket)| Side { listing, next: None, bucket };
    let sides = (side(source), side(target), false);
    try_unfold(sides, |(mut source, mut target, started)| async move {
        if !started {
            try_join!(source.take(), target.take())?;
        }
        let order = match (&source.next, &target.next) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.key.cmp(&other.key),
        };
        let from_source = if order.is_le() { source.take().await? } else { None };
        let from_target = if order.is_ge() { target.take().await? } else { None };
        let key = from_source.as_ref().or(from_target.as_ref()).map(|entry| entry.key.clone()).unwrap_or_default();
        let object = |entry: Option<Entry>| entry.map(|entry| entry.object);
        let pair = Pair { key, source: object(from_source), target: object(from_target) };
        Ok::<_, CopyError>(Some((pair, (source, target, true))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use honk_storage::Etag;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn listing<'a>(keys: impl IntoIterator<Item = &'a String>) -> Listing<'static> {
        let entries: Vec<_> = keys
            .into_iter()
            .map(|key| {
                let object = ObjectInfo { key: format!("p/{key}"), size: 1, etag: Etag::new("e"), last_modified: None };
                Ok(Entry { key: key.clone(), object })
            })
            .collect();
        Box::pin(stream::iter(entries))
    }

    async fn joined(source: Listing<'_>, target: Listing<'_>) -> Result<Vec<Pair>, CopyError> {
        pairs((source, "source"), (target, "target")).try_collect().await
    }

    proptest! {
        #[test]
        fn every_name_comes_once_with_what_each_side_has(
            source in prop::collection::btree_set("[a-c/é]{1,3}", 0..12),
            target in prop::collection::btree_set("[a-c/é]{1,3}", 0..12),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let pairs = runtime.block_on(joined(listing(&source), listing(&target))).unwrap();
            let keys: Vec<_> = pairs.iter().map(|pair| pair.key.clone()).collect();
            let wanted: Vec<_> = source.union(&target).cloned().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert_eq!(keys, wanted);
            for pair in pairs {
                prop_assert_eq!(pair.source.is_some(), source.contains(&pair.key));
                prop_assert_eq!(pair.target.is_some(), target.contains(&pair.key));
            }
        }
    }

    #[tokio::test]
    async fn an_unsorted_listing_is_refused() {
        let (sorted, unsorted) = (["a".to_owned()], ["b".to_owned(), "a".to_owned()]);
        let error = joined(listing(&sorted), listing(&unsorted)).await.unwrap_err();
        assert!(matches!(error, CopyError::Unsorted { .. }), "{error}");
    }
}
