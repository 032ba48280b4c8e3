//! Listings with each object's storage class: what lies in an archive cannot be read before it is restored, and only a listing
//! tells that for many objects at once.

use aws_sdk_s3::types::{Object, OptionalObjectAttributes};

use crate::error::StorageError;
use crate::list::{ObjectInfo, PageCursor};
use crate::store::Store;

/// Classes whose objects must be restored before they can be read. `GLACIER_IR` is none of them.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// An object, and where the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassedObject {
    /// The object.
    pub object: ObjectInfo,
    /// Its storage class, where the listing tells.
    pub class: Option<String>,
    /// Whether it lies in an archive, and no restored copy of it can be read now.
    pub archived: bool,
}

impl Store {
    /// One page of a listing as [`Store::list_page`] gives it, with storage classes.
    pub async fn list_classes_page(
        &self,
        prefix: &str,
        page: i32,
        cursor: &PageCursor,
    ) -> Result<(Vec<ClassedObject>, PageCursor), StorageError> {
        let restored = Some(OptionalObjectAttributes::RestoreStatus);
        let Some((output, next)) = self.page(prefix, page, cursor, restored).await? else {
            return Ok((Vec::new(), PageCursor::End));
        };
        let listed = self.data(prefix, &output).map(|listed| listed.map(|(object, listed)| classed(object, listed)));
        Ok((listed.collect::<Result<_, _>>()?, next))
    }
}

fn classed(object: ObjectInfo, listed: &Object) -> ClassedObject {
    let class = listed.storage_class().map(|class| class.as_str().to_owned());
    let restored = listed
        .restore_status()
        .is_some_and(|status| status.is_restore_in_progress() != Some(true) && status.restore_expiry_date().is_some());
    let archived = class.as_deref().is_some_and(|class| ARCHIVES.contains(&class)) && !restored;
    ClassedObject { object, class, archived }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{ObjectStorageClass, RestoreStatus};
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::checksum::Etag;

    fn is_archived(class: Option<&str>, restore: Option<RestoreStatus>) -> bool {
        let class = class.map(ObjectStorageClass::from);
        let listed = Object::builder().set_storage_class(class).set_restore_status(restore).build();
        let object = ObjectInfo { key: "k".into(), size: 1, etag: Etag::new("e"), last_modified: None };
        classed(object, &listed).archived
    }

    #[test]
    fn an_archived_object_is_one_that_was_not_restored() {
        let under_way = RestoreStatus::builder().is_restore_in_progress(true).build();
        let done = RestoreStatus::builder()
            .is_restore_in_progress(false)
            .restore_expiry_date(DateTime::from_secs(2_000_000_000))
            .build();
        assert!(is_archived(Some("GLACIER"), None) && is_archived(Some("DEEP_ARCHIVE"), Some(under_way)));
        assert!(!is_archived(Some("GLACIER"), Some(done)));
        for readable in [None, Some("STANDARD"), Some("GLACIER_IR"), Some("STANDARD_IA")] {
            assert!(!is_archived(readable, None), "{readable:?}");
        }
    }
}
