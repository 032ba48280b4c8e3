//! A listing as the merge wants it: flat, keys relative, and with each page tried again when the store falters.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _, try_unfold};
use honk_storage::PageCursor;

use super::engine::{Engine, Side};
use super::error::CopyError;
use super::join::{Entry, Listing};

impl Engine<'_> {
    /// Everything under the prefix of `side` behind the key `after`, a page in memory at a time.
    pub(super) fn listing<'a>(&'a self, side: &'a Side, after: Option<&str>) -> Listing<'a> {
        let start = after.map_or(PageCursor::Start, |after| PageCursor::AfterKey(format!("{}{after}", side.prefix)));
        let pages = try_unfold(start, move |cursor| async move {
            if cursor == PageCursor::End {
                return Ok(None);
            }
            let page_size = self.settings.page_size;
            let page = self.retrying(|| side.store.list_page(&side.prefix, page_size, &cursor)).await?;
            Ok::<_, CopyError>(Some(page))
        });
        let entries = pages.map_ok(move |objects| {
            stream::iter(objects).map(move |object| {
                let key = object.key.strip_prefix(side.prefix.as_str()).unwrap_or(&object.key).to_owned();
                Ok::<_, CopyError>(Entry { key, object })
            })
        });
        Box::pin(entries.try_flatten())
    }
}
