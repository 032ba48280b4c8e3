//! The disk store's memory of its index: one JSON line for each change, appended before the change is visible.
//!
//! Starting reads the lines, removes what they no longer mention, and rewrites the file to what is left. A line that a
//! crash cut off is the last one and is dropped; its change was never acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::blob::{self, Blob, BlobFile, Folder, Segment};
use super::checksum::{Algorithm, Checksum};
use super::model::{Attributes, Object, Part, Upload};
use super::store::Contents;

/// A segment as (blob number, offset, length).
type StoredSegment = (u64, u64, u64);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredObject {
    size: u64,
    etag: String,
    modified: u64,
    attributes: Arc<Attributes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    part_sizes: Vec<u64>,
    segments: Vec<StoredSegment>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredPart {
    size: u64,
    etag: String,
    modified: u64,
    checksum: Option<Checksum>,
    segments: Vec<StoredSegment>,
}

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    Bucket {
        name: String,
        created: u64,
    },
    BucketGone {
        name: String,
    },
    Object {
        bucket: String,
        key: String,
        object: StoredObject,
    },
    ObjectGone {
        bucket: String,
        key: String,
    },
    Upload {
        bucket: String,
        key: String,
        id: String,
        initiated: u64,
        attributes: Arc<Attributes>,
        algorithm: Option<Algorithm>,
        composite: bool,
    },
    Part {
        bucket: String,
        key: String,
        id: String,
        number: i32,
        part: StoredPart,
    },
    UploadGone {
        bucket: String,
        key: String,
        id: String,
    },
}

impl Entry {
    pub(super) fn object(bucket: &str, key: &str, object: &Object) -> Self {
        let stored = StoredObject {
            size: object.size,
            etag: object.etag.clone(),
            modified: object.modified,
            attributes: Arc::clone(&object.attributes),
            checksum: object.checksum.clone(),
            part_sizes: object.part_sizes.clone(),
            segments: stored_segments(&object.segments),
        };
        Self::Object { bucket: bucket.to_owned(), key: key.to_owned(), object: stored }
    }

    pub(super) fn upload(bucket: &str, key: &str, id: &str, upload: &Upload) -> Self {
        Self::Upload {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
            initiated: upload.initiated,
            attributes: Arc::clone(&upload.attributes),
            algorithm: upload.algorithm,
            composite: upload.composite,
        }
    }

    pub(super) fn part(bucket: &str, (key, id): (&str, &str), number: i32, part: &Part) -> Self {
        let stored = StoredPart {
            size: part.size,
            etag: part.etag.clone(),
            modified: part.modified,
            checksum: part.checksum.clone(),
            segments: stored_segments(&part.segments),
        };
        Self::Part { bucket: bucket.to_owned(), key: key.to_owned(), id: id.to_owned(), number, part: stored }
    }
}

fn stored_segments(segments: &[Segment]) -> Vec<StoredSegment> {
    let stored = segments.iter().filter_map(|segment| match &segment.blob {
        Blob::File(file) => Some((file.number(), segment.offset, segment.length)),
        // Only the memory store has them, and it has no journal.
        Blob::Memory(_) => None,
    });
    stored.collect()
}

/// The journal of an open store. Holds the folder's lock.
#[derive(Debug)]
pub(super) struct Journal {
    file: Mutex<Tail>,
    _lock: File,
}

#[derive(Debug)]
struct Tail {
    file: File,
    length: u64,
}

impl Journal {
    /// Appends changes that belong together, in one write.
    pub(super) fn append(&self, entries: &[Entry]) -> io::Result<()> {
        let lines = to_lines(entries)?;
        let mut tail = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = tail.file.write_all(&lines) {
            // Half a line would swallow the next one.
            let length = tail.length;
            tail.file.set_len(length)?;
            tail.file.seek(SeekFrom::Start(length))?;
            return Err(error);
        }
        tail.length += lines.len() as u64;
        Ok(())
    }
}

fn to_lines(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(512 * entries.len());
    for entry in entries {
        serde_json::to_writer(&mut lines, entry)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// What a folder holds.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) folder: Arc<Folder>,
    pub(super) buckets: BTreeMap<String, (u64, Contents)>,
}

/// Opens a store's folder, which only one process may have open.
pub(super) fn open(root: &Path) -> io::Result<Opened> {
    fs::create_dir_all(root)?;
    let lock = lock(root)?;
    let path = root.join("journal.jsonl");
    let mut entries = Vec::new();
    read(&path, |entry| entries.push(entry))?;
    let blobs = root.join("blobs");
    let mut on_disk = numbers_on_disk(&blobs)?;
    let next = on_disk.iter().max().map_or(0, |largest| largest + 1);
    let folder = Folder::new(blobs.clone(), next)?;
    let mut rebuild = Rebuild { folder: Arc::clone(&folder), files: HashMap::new(), buckets: BTreeMap::new() };
    for entry in entries {
        rebuild.apply(entry);
    }
    let Rebuild { files, buckets, .. } = rebuild;
    on_disk.retain(|number| !files.contains_key(number));
    // What was mentioned and is in no object any more is removed with its last handle.
    drop(files);
    for number in on_disk {
        remove_if_there(&blob::path_of(&blobs, number))?;
    }
    let file = Mutex::new(rewrite(&path, &buckets)?);
    Ok(Opened { journal: Journal { file, _lock: lock }, folder, buckets })
}

fn lock(root: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(root.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another process has this folder open")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn read(path: &Path, mut take: impl FnMut(Entry)) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        match serde_json::from_slice(&line) {
            Ok(entry) => take(entry),
            Err(_) if !line.ends_with(b"\n") => break,
            Err(error) => {
                let message = format!("{} is damaged in line {number}: {error}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }
    Ok(())
}

fn numbers_on_disk(blobs: &Path) -> io::Result<HashSet<u64>> {
    let mut numbers = HashSet::new();
    let Ok(shards) = fs::read_dir(blobs) else { return Ok(numbers) };
    for shard in shards {
        for file in fs::read_dir(shard?.path())? {
            let name = file?.file_name();
            numbers.extend(name.to_str().and_then(|name| u64::from_str_radix(name, 16).ok()));
        }
    }
    Ok(numbers)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a journal of what there is, in place of the old one.
fn rewrite(path: &Path, buckets: &BTreeMap<String, (u64, Contents)>) -> io::Result<Tail> {
    let fresh: PathBuf = path.with_extension("new");
    let mut writer = BufWriter::new(File::create(&fresh)?);
    for (name, (created, contents)) in buckets {
        let mut entries = vec![Entry::Bucket { name: name.clone(), created: *created }];
        entries.extend(contents.objects.iter().map(|(key, object)| Entry::object(name, key, object)));
        for ((key, id), upload) in &contents.uploads {
            entries.push(Entry::upload(name, key, id, upload));
            entries.extend(upload.parts.iter().map(|(number, part)| Entry::part(name, (key, id), *number, part)));
        }
        writer.write_all(&to_lines(&entries)?)?;
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    fs::rename(&fresh, path)?;
    let length = file.metadata()?.len();
    Ok(Tail { file, length })
}

/// The index while it is rebuilt from the entries.
struct Rebuild {
    folder: Arc<Folder>,
    /// Every file ever mentioned, held until the end: a copy may be journalled after its source was deleted.
    files: HashMap<u64, Arc<BlobFile>>,
    buckets: BTreeMap<String, (u64, Contents)>,
}

impl Rebuild {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Bucket { name, created } => {
                self.buckets.insert(name, (created, Contents::default()));
            }
            Entry::BucketGone { name } => {
                self.buckets.remove(&name);
            }
            Entry::Object { bucket, key, object } => {
                let object = Arc::new(self.object(object));
                self.change(&bucket, |contents| contents.objects.insert(key, object));
            }
            Entry::ObjectGone { bucket, key } => self.change(&bucket, |contents| contents.objects.remove(&key)),
            Entry::Upload { bucket, key, id, initiated, attributes, algorithm, composite } => {
                let upload = Upload { initiated, attributes, algorithm, composite, parts: BTreeMap::new() };
                self.change(&bucket, |contents| contents.uploads.insert((key, id), upload));
            }
            Entry::Part { bucket, key, id, number, part } => {
                let part = self.part(part);
                self.change(&bucket, |contents| contents.uploads.get_mut(&(key, id))?.parts.insert(number, part));
            }
            Entry::UploadGone { bucket, key, id } => {
                self.change(&bucket, |contents| contents.uploads.remove(&(key, id)));
            }
        }
    }

    fn change<T>(&mut self, bucket: &str, change: impl FnOnce(&mut Contents) -> Option<T>) {
        if let Some((_, contents)) = self.buckets.get_mut(bucket) {
            drop(change(contents));
        }
    }

    fn object(&mut self, stored: StoredObject) -> Object {
        Object {
            size: stored.size,
            etag: stored.etag,
            modified: stored.modified,
            attributes: stored.attributes,
            checksum: stored.checksum,
            part_sizes: stored.part_sizes,
            segments: self.segments(stored.segments),
        }
    }

    fn part(&mut self, stored: StoredPart) -> Part {
        let StoredPart { size, etag, modified, checksum, segments } = stored;
        Part { size, etag, modified, checksum, segments: self.segments(segments) }
    }

    fn segments(&mut self, stored: Vec<StoredSegment>) -> Vec<Segment> {
        let segments = stored.into_iter().map(|(number, offset, length)| {
            let blob = Blob::File(self.file(number));
            Segment { blob, offset, length }
        });
        segments.collect()
    }

    /// The one handle on a file, however many segments point to it.
    fn file(&mut self, number: u64) -> Arc<BlobFile> {
        Arc::clone(self.files.entry(number).or_insert_with(|| self.folder.existing(number)))
    }
}
