//! One pass over the source's listing: how much there is, and what in it will not let itself be migrated. Memory does not grow
//! with the number of objects; of what is wrong, the first keys are kept and the rest is counted.

use std::fmt;

use honk_storage::listing::{Survey, Surveyor};
use honk_storage::probe::Ability;
use honk_storage::{ClassedObject, ObjectInfo, PageCursor, StorageError, Store};

/// S3's longest key, in bytes.
const LONGEST_KEY: usize = 1_024;

/// Keys that are named; the others are counted.
const NAMED: usize = 10;

/// What the source holds.
#[derive(Debug, Default)]
pub struct Walked {
    /// Number, bytes and digest.
    pub survey: Survey,
    /// Bytes of the largest object.
    pub largest: u64,
    /// Bytes in objects that go in parts, as far as the usual settings say which.
    pub bytes_in_parts: u64,
    /// How many such objects.
    pub objects_in_parts: u64,
    /// Objects that must be restored from an archive first.
    pub archived: Named,
    /// Keys that are too long with the target's prefix.
    pub too_long: Named,
    /// Keys with empty names or dots between slashes.
    pub dots: Named,
    /// Keys that end with a slash.
    pub markers: Named,
    /// The first objects, for the dry run.
    pub first: Vec<ObjectInfo>,
}

/// Some keys, and how many more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    keys: Vec<String>,
    more: u64,
}

impl Named {
    fn add(&mut self, key: &str) {
        if self.keys.len() < NAMED {
            self.keys.push(key.to_owned());
        } else {
            self.more += 1;
        }
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.keys.len() as u64 + self.more
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(|key| format!("{key:?}")).collect();
        write!(f, "{}", keys.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// What of the listing matters for the rest.
#[derive(Debug, Clone, Copy)]
pub struct Interest {
    /// Bytes of the target's prefix.
    pub target_prefix: usize,
    /// Objects above this many bytes go in parts.
    pub part_threshold: u64,
    /// The first objects that are kept; one at least.
    pub first: usize,
}

/// Lists everything under `prefix`.
pub async fn walk(store: &Store, prefix: &str, interest: Interest) -> Result<Walked, StorageError> {
    let (mut walked, mut surveyor) = (Walked::default(), Surveyor::default());
    let mut cursor = PageCursor::Start;
    while cursor != PageCursor::End {
        let (page, next) = store.list_classes_page(prefix, 1_000, &cursor).await?;
        for listed in page {
            let key = listed.object.key.strip_prefix(prefix).unwrap_or(&listed.object.key).to_owned();
            surveyor.add(&key, listed.object.size, &listed.object.etag);
            walked.add(&key, listed, interest);
        }
        cursor = next;
    }
    walked.survey = surveyor.finish();
    Ok(walked)
}

impl Walked {
    fn add(&mut self, key: &str, ClassedObject { object, archived, .. }: ClassedObject, interest: Interest) {
        self.largest = self.largest.max(object.size);
        if object.size > interest.part_threshold {
            self.objects_in_parts += 1;
            self.bytes_in_parts += object.size;
        }
        if archived {
            self.archived.add(key);
        }
        if interest.target_prefix + key.len() > LONGEST_KEY {
            self.too_long.add(key);
        }
        if has_dots(key) {
            self.dots.add(key);
        }
        if key.ends_with('/') {
            self.markers.add(key);
        }
        if self.first.len() < interest.first.max(1) {
            self.first.push(object);
        }
    }

    /// Keys of which the target says that it does not keep their like.
    pub fn doubtful(&self) -> [(Ability, &Named); 2] {
        [(Ability::DotKeys, &self.dots), (Ability::FolderMarkers, &self.markers)]
    }
}

/// Whether a file system would take the key for another path than it is.
fn has_dots(key: &str) -> bool {
    let names = key.strip_suffix('/').unwrap_or(key);
    names.split('/').any(|name| matches!(name, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use honk_storage::Etag;

    use super::*;

    fn listed(key: &str, size: u64, archived: bool) -> ClassedObject {
        let object = ObjectInfo { key: key.into(), size, etag: Etag::new("e"), last_modified: None };
        ClassedObject { object, class: None, archived }
    }

    #[test]
    fn what_is_in_the_way_is_named_and_what_is_too_much_to_name_is_counted() {
        let interest = Interest { target_prefix: 1_020, part_threshold: 100, first: 2 };
        let mut walked = Walked::default();
        for index in 0..12 {
            walked.add(&format!("{index}"), listed("x", 50, true), interest);
        }
        walked.add("too/long", listed("x", 101, false), interest);
        assert_eq!((walked.archived.count(), walked.archived.to_string().ends_with("\"9\" and 2 more")), (12, true));
        assert_eq!(walked.too_long.to_string(), "\"too/long\"");
        assert_eq!((walked.first.len(), walked.largest), (2, 101));
        assert_eq!((walked.objects_in_parts, walked.bytes_in_parts), (1, 101));
    }

    #[test]
    fn paths_that_a_file_system_would_change_are_told() {
        for key in ["a/../b", "..", "./a", "a//b", "/a", "//"] {
            assert!(has_dots(key), "{key}");
        }
        for key in ["a/b", "a..b", ".hidden", "folder/", "a/.b/c"] {
            assert!(!has_dots(key), "{key}");
        }
    }
}
