//! The index: buckets, and in each the objects in key order and the uploads under way.
//!
//! Every change is checked, journalled and made visible under the lock of its bucket; this is what gives a conditional
//! write exactly one winner. Bodies are written before and never under a lock.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use s3s::{S3Error, S3Result, s3_error};

use super::blob::{Folder, Writer};
use super::checksum::Algorithm;
use super::conditions::WriteCondition;
use super::journal::{self, Entry, Journal};
use super::model::{self, Attributes, Object, Part, Upload};

/// Everything that a server holds.
pub(super) struct Store {
    disk: Option<(Journal, Arc<Folder>)>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
}

pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) created: u64,
    contents: Mutex<Contents>,
}

/// What is in a bucket.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    /// By key and upload id.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
    /// Set when the bucket was deleted while somebody held it.
    gone: bool,
}

impl Bucket {
    fn new(name: String, created: u64, contents: Contents) -> Arc<Self> {
        Arc::new(Self { name, created, contents: Mutex::new(contents) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_existing(&self) -> S3Result<MutexGuard<'_, Contents>> {
        let contents = self.lock();
        if contents.gone { Err(s3_error!(NoSuchBucket)) } else { Ok(contents) }
    }

    pub(super) fn object(&self, key: &str) -> S3Result<Arc<Object>> {
        self.lock().objects.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }

    /// The checksum that an upload under way prescribes for its parts.
    pub(super) fn algorithm_of_upload(&self, key: &str, id: &str) -> S3Result<Option<Algorithm>> {
        find_upload(&mut self.lock(), key, id).map(|upload| upload.algorithm)
    }

    pub(super) fn upload(&self, key: &str, id: &str) -> S3Result<Upload> {
        find_upload(&mut self.lock(), key, id).cloned()
    }
}

/// The key of an upload in the index.
fn upload_key(key: &str, id: &str) -> (String, String) {
    (key.to_owned(), id.to_owned())
}

fn find_upload<'a>(contents: &'a mut Contents, key: &str, id: &str) -> S3Result<&'a mut Upload> {
    contents.uploads.get_mut(&upload_key(key, id)).ok_or_else(|| s3_error!(NoSuchUpload, "there is no such upload"))
}

pub(super) fn internal(doing: &str, error: &io::Error) -> S3Error {
    s3_error!(InternalError, "cannot {doing}: {error}")
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self { disk: None, buckets: RwLock::default() }
    }

    pub(super) fn on_disk(root: &Path) -> io::Result<Self> {
        let journal::Opened { journal, folder, buckets } = journal::open(root)?;
        let buckets = buckets.into_iter().map(|(name, (created, contents))| {
            let bucket = Bucket::new(name.clone(), created, contents);
            (name, bucket)
        });
        Ok(Self { disk: Some((journal, folder)), buckets: RwLock::new(buckets.collect()) })
    }

    /// A writer for a body of about `expected` bytes.
    pub(super) fn writer(&self, expected: u64) -> Writer {
        Writer::new(self.disk.as_ref().map(|(_, folder)| Arc::clone(folder)), expected)
    }

    fn record(&self, entries: impl FnOnce() -> Vec<Entry>) -> S3Result<()> {
        match &self.disk {
            Some((journal, _)) => journal.append(&entries()).map_err(|error| internal("write the journal", &error)),
            None => Ok(()),
        }
    }

    pub(super) fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    pub(super) fn list_buckets(&self) -> Vec<Arc<Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(super) fn create_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "You already own this bucket"));
        }
        let created = model::now();
        self.record(|| vec![Entry::Bucket { name: name.to_owned(), created }])?;
        buckets.insert(name.to_owned(), Bucket::new(name.to_owned(), created, Contents::default()));
        Ok(())
    }

    /// Deletes a bucket without objects; uploads under way are dropped with it.
    pub(super) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let bucket = self.bucket(name)?;
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let mut contents = bucket.lock_existing()?;
        if !contents.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        self.record(|| vec![Entry::BucketGone { name: name.to_owned() }])?;
        contents.gone = true;
        contents.uploads.clear();
        buckets.remove(name);
        Ok(())
    }

    /// Makes an object visible, in place of the one that had its key, if the condition holds.
    pub(super) fn put(&self, bucket: &Bucket, key: &str, object: Object, condition: &WriteCondition) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        condition.check(contents.objects.get(key).map(Arc::as_ref))?;
        self.record(|| vec![Entry::object(&bucket.name, key, &object)])?;
        let replaced = contents.objects.insert(key.to_owned(), Arc::new(object));
        // Its files, if they were its own, are removed without holding up the bucket.
        drop(contents);
        drop(replaced);
        Ok(())
    }

    /// Removes an object; that there is none is no error, unless the condition says so.
    pub(super) fn delete(&self, bucket: &Bucket, key: &str, condition: &WriteCondition) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        condition.check(contents.objects.get(key).map(Arc::as_ref))?;
        if !contents.objects.contains_key(key) {
            return Ok(());
        }
        self.record(|| vec![Entry::ObjectGone { bucket: bucket.name.clone(), key: key.to_owned() }])?;
        let removed = contents.objects.remove(key);
        drop(contents);
        drop(removed);
        Ok(())
    }

    /// Replaces an object's tags; its `ETag` and time stay.
    pub(super) fn set_tags(&self, bucket: &Bucket, key: &str, tags: Vec<(String, String)>) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        let found = contents.objects.get_mut(key).ok_or_else(|| s3_error!(NoSuchKey))?;
        let mut object = Object::clone(found);
        object.attributes = Arc::new(Attributes { tags, ..Attributes::clone(&object.attributes) });
        self.record(|| vec![Entry::object(&bucket.name, key, &object)])?;
        *found = Arc::new(object);
        Ok(())
    }

    pub(super) fn create_upload(&self, bucket: &Bucket, key: &str, id: &str, upload: Upload) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        self.record(|| vec![Entry::upload(&bucket.name, key, id, &upload)])?;
        contents.uploads.insert(upload_key(key, id), upload);
        Ok(())
    }

    pub(super) fn put_part(&self, bucket: &Bucket, upload: (&str, &str), number: i32, part: Part) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        let found = find_upload(&mut contents, upload.0, upload.1)?;
        self.record(|| vec![Entry::part(&bucket.name, upload, number, &part)])?;
        let replaced = found.parts.insert(number, part);
        drop(contents);
        drop(replaced);
        Ok(())
    }

    pub(super) fn abort_upload(&self, bucket: &Bucket, key: &str, id: &str) -> S3Result<()> {
        let mut contents = bucket.lock_existing()?;
        find_upload(&mut contents, key, id)?;
        self.record(|| vec![gone(bucket, key, id)])?;
        let removed = contents.uploads.remove(&upload_key(key, id));
        drop(contents);
        drop(removed);
        Ok(())
    }

    /// Turns an upload into an object, which `assemble` makes from it, if the condition holds.
    pub(super) fn complete_upload(
        &self,
        bucket: &Bucket,
        (key, id): (&str, &str),
        condition: &WriteCondition,
        assemble: impl FnOnce(&Upload) -> S3Result<Object>,
    ) -> S3Result<Arc<Object>> {
        let mut contents = bucket.lock_existing()?;
        let object = Arc::new(assemble(find_upload(&mut contents, key, id)?)?);
        condition.check(contents.objects.get(key).map(Arc::as_ref))?;
        self.record(|| vec![Entry::object(&bucket.name, key, &object), gone(bucket, key, id)])?;
        let upload = contents.uploads.remove(&upload_key(key, id));
        let replaced = contents.objects.insert(key.to_owned(), Arc::clone(&object));
        drop(contents);
        drop((upload, replaced));
        Ok(object)
    }
}

fn gone(bucket: &Bucket, key: &str, id: &str) -> Entry {
    Entry::UploadGone { bucket: bucket.name.clone(), key: key.to_owned(), id: id.to_owned() }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some((_, folder)) = &self.disk {
            folder.close();
        }
    }
}
