//! A first look that lists nothing: where the store writes an inventory of the source, the work is cut by it.
//!
//! An inventory is a day or two old and may lack objects, so it decides only where one part ends and the next begins. Together the parts have
//! all keys there can be, each lists its own range when it comes to it, and when they have come together both sides are looked at as always:
//! what the inventory does not know is caught up there. It is of use only where nothing is at the target yet; otherwise both sides must be
//! listed to tell what is somebody else's.

use honk_agent::action::Split;
use honk_inventory::{Inventory, InventoryError, Range, Scope};
use honk_protocol::dataset::Side;
use honk_protocol::evidence::PlannedBy;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_storage::{PageCursor, Place, Store};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::copy::{Chunk, CopyError, Kept, KeyRange, MOST_CHUNKS, Work};
use crate::migration::Migration;

/// Where the manifest of an inventory is: at the source's endpoint, read with the source's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryPlace {
    bucket: String,
    key: String,
}

impl InventoryPlace {
    /// Reads `s3://bucket/path/manifest.json`.
    pub fn parse(text: &str) -> Option<Self> {
        let (bucket, key) = text.strip_prefix("s3://")?.split_once('/')?;
        let is_file = !bucket.is_empty() && !key.is_empty() && !key.ends_with('/');
        is_file.then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

impl<'de> Deserialize<'de> for InventoryPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not the manifest of an inventory, like `s3://bucket/path/manifest.json`"
            ))
        })
    }
}

impl Migration<'_> {
    /// The split of the whole work by the inventory that the workflow names; none if there is none, or it is of no use now.
    pub(crate) async fn split_by_inventory(&mut self) -> Result<Option<Split>, Failed> {
        let Some(place) = self.with.inventory.clone() else { return Ok(None) };
        if self.action.book.find(self.job).await?.is_some() {
            return Ok(None);
        }
        if let Some(why) = self.needs_listing().await? {
            tracing::info!(why, "both sides are listed, and the inventory is not read");
            return Ok(None);
        }
        let reading = self.job.cancelled.run_until_cancelled(Box::pin(self.read_inventory(&place)));
        let inventory = reading.await.unwrap_or_else(|| Err(self.failed(&CopyError::Cancelled)))?;
        let size = self.with.chunk;
        let ranges = inventory.cut((size.objects, size.bytes), MOST_CHUNKS);
        tracing::info!(objects = inventory.objects, bytes = inventory.bytes, ranges = ranges.len(), "inventory read");
        if ranges.len() < 2 {
            return Ok(None);
        }
        self.action.book.begin(self.job, &Kept::default()).await?;
        self.memo.planned_by = Some(PlannedBy {
            inventory: format!("s3://{}/{}", place.bucket, place.key),
            created_at: inventory.created_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        });
        let wanted = Work { objects: inventory.objects, bytes: inventory.bytes, removals: 0 };
        let chunks = ranges.into_iter().map(chunk).collect();
        self.split(&wanted, chunks).await.map(Some)
    }

    /// Why both sides must be listed whatever the inventory says.
    async fn needs_listing(&self) -> Result<Option<&'static str>, Failed> {
        if !self.job.may_split {
            return Ok(Some("the job may not be split: it has other steps or a matrix"));
        }
        let target = self.open(&self.target, Side::Target).await?;
        let page = target.list_page(&self.target.prefix(), self.action.settings.page_size, &PageCursor::Start).await;
        let (objects, next) = page.map_err(|error| error.failed(Side::Target))?;
        let is_empty = objects.is_empty() && next == PageCursor::End;
        Ok((!is_empty).then_some("the target has objects already"))
    }

    async fn read_inventory(&self, place: &InventoryPlace) -> Result<Inventory, Failed> {
        let of = Place { bucket: place.bucket.clone(), prefix: String::new(), ..self.source.clone() };
        let store = self.open(&of, Side::Source).await?;
        let scope = Scope { bucket: self.source.bucket.clone(), prefix: self.source.prefix() };
        honk_inventory::read(&store, &place.key, &scope, &self.action.folder).await.map_err(|error| failed(&error))
    }

    async fn open(&self, place: &Place, side: Side) -> Result<Store, Failed> {
        self.action.stores.open(place).await.map_err(|error| error.failed(side))
    }
}

fn chunk(range: Range) -> Chunk {
    let Range { after, until, objects, bytes } = range;
    Chunk { range: KeyRange { after, until }, work: Work { objects, bytes, removals: 0 } }
}

/// What an inventory that cannot be read means for the job. Without one the work is not begun: whoever names one may not want to list.
fn failed(error: &InventoryError) -> Failed {
    match error {
        InventoryError::Storage(storage) => storage.failed(Side::Source),
        InventoryError::Disk { .. } => Failed::retry(Reason::WorkspaceUnavailable, error.to_string()),
        InventoryError::Invalid { .. } => Failed::reject(Reason::InventoryInvalid, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_an_object_is_one_of_a_manifest() {
        let place = InventoryPlace::parse("s3://lists/a b/manifest.json").unwrap();
        assert_eq!((place.bucket.as_str(), place.key.as_str()), ("lists", "a b/manifest.json"));
        for wrong in ["lists/manifest.json", "s3://lists", "s3://lists/", "s3:///manifest.json", "s3://lists/folder/"] {
            assert_eq!(InventoryPlace::parse(wrong), None, "{wrong}");
        }
    }
}
