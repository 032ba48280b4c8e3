//! Bodies: immutable blobs in memory or in files, and the ranges of them that objects point to.
//!
//! A blob's file is removed when the last object (or reader, or upload) that points to it is gone, so that a copy shares
//! the file and a reader of an overwritten object still gets all of the old one. A file that no journal entry mentions,
//! as after a crash, is removed at the next start.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

/// The unit in which bodies are written and read: what one request holds in memory.
const CHUNK: usize = 512 * 1024;

/// The folder of blob files.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    next: AtomicU64,
    closed: AtomicBool,
}

impl Folder {
    /// `next` is the first blob number that was never used.
    pub(super) fn new(root: PathBuf, next: u64) -> io::Result<Arc<Self>> {
        for shard in 0..=u8::MAX {
            fs::create_dir_all(root.join(format!("{shard:02x}")))?;
        }
        Ok(Arc::new(Self { root, next: AtomicU64::new(next), closed: AtomicBool::new(false) }))
    }

    /// From now on no file is removed: what is dropped next is the index, not the objects.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The blob with this number, whose file exists already.
    pub(super) fn existing(self: &Arc<Self>, number: u64) -> Arc<BlobFile> {
        Arc::new(BlobFile { folder: Arc::clone(self), number })
    }

    fn create(self: &Arc<Self>) -> Arc<BlobFile> {
        self.existing(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The file of a blob below `root`.
pub(super) fn path_of(root: &Path, number: u64) -> PathBuf {
    root.join(format!("{:02x}", number & 0xff)).join(format!("{number:016x}"))
}

/// A file with bytes that never change; removed when dropped, unless the store is closed.
#[derive(Debug)]
pub(super) struct BlobFile {
    folder: Arc<Folder>,
    number: u64,
}

impl BlobFile {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn path(&self) -> PathBuf {
        path_of(&self.folder.root, self.number)
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        if self.folder.closed.load(Ordering::Acquire) {
            return;
        }
        // A blob whose upload failed early has no file.
        if let Err(error) = fs::remove_file(self.path())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path().display(), "cannot remove an unused blob");
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Blob {
    Memory(Bytes),
    File(Arc<BlobFile>),
}

/// `length` bytes of a blob from `offset` on.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) blob: Blob,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The segments that hold the bytes in `range` of what `segments` hold.
pub(super) fn slice(segments: &[Segment], range: &Range<u64>) -> Vec<Segment> {
    let mut position = 0;
    let mut cut = Vec::new();
    for segment in segments {
        let (start, end) = (position, position + segment.length);
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let offset = segment.offset + (from - start);
            cut.push(Segment { blob: segment.blob.clone(), offset, length: to - from });
        }
        position = end;
    }
    cut
}

/// Takes a body in and turns it into segments; holds at most one chunk when the blobs are files.
pub(super) struct Writer {
    folder: Option<Arc<Folder>>,
    buffer: Vec<u8>,
    open: Option<(Arc<BlobFile>, File)>,
    segments: Vec<Segment>,
    written: u64,
}

impl Writer {
    /// Writes into files of the folder, or into memory. `expected` is a hint of the size in bytes.
    pub(super) fn new(folder: Option<Arc<Folder>>, expected: u64) -> Self {
        let capacity = usize::try_from(expected).unwrap_or(CHUNK).min(CHUNK);
        Self { folder, buffer: Vec::with_capacity(capacity), open: None, segments: Vec::new(), written: 0 }
    }

    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHUNK {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> io::Result<Vec<Segment>> {
        self.flush().await?;
        if let Some((file, _)) = self.open {
            self.segments.push(Segment { blob: Blob::File(file), offset: 0, length: self.written });
        }
        Ok(self.segments)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let length = buffer.len() as u64;
        self.written += length;
        let Some(folder) = &self.folder else {
            buffer.shrink_to_fit();
            self.segments.push(Segment { blob: Blob::Memory(Bytes::from(buffer)), offset: 0, length });
            return Ok(());
        };
        let (open, folder) = (self.open.take(), Arc::clone(folder));
        let write = move || -> io::Result<_> {
            let (blob, mut file) = if let Some(open) = open {
                open
            } else {
                let blob = folder.create();
                let file = File::create(blob.path())?;
                (blob, file)
            };
            file.write_all(&buffer)?;
            buffer.clear();
            Ok((blob, file, buffer))
        };
        let (blob, file, buffer) = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        self.open = Some((blob, file));
        self.buffer = buffer;
        Ok(())
    }
}

/// Reads segments in chunks.
pub(super) struct Reader {
    rest: VecDeque<Segment>,
    open: Option<Arc<File>>,
}

impl Reader {
    pub(super) fn new(segments: Vec<Segment>) -> Self {
        Self { rest: segments.into(), open: None }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next chunk, or nothing at the end.
    pub(super) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let segment = self.rest.pop_front()?;
        match segment.blob {
            Blob::Memory(bytes) => {
                let start = usize::try_from(segment.offset).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(segment.length).unwrap_or(usize::MAX).min(bytes.len() - start);
                Some(Ok(bytes.slice(start..start + length)))
            }
            Blob::File(blob) => Some(self.next_of_file(blob, segment.offset, segment.length).await),
        }
    }

    async fn next_of_file(&mut self, blob: Arc<BlobFile>, offset: u64, length: u64) -> io::Result<Bytes> {
        let now = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let (open, reading) = (self.open.take(), Arc::clone(&blob));
        let read = move || -> io::Result<_> {
            let file = match open {
                Some(file) => file,
                None => Arc::new(File::open(reading.path())?),
            };
            let mut buffer = vec![0; now];
            file.read_exact_at(&mut buffer, offset)?;
            Ok((file, buffer))
        };
        let (file, buffer) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        let left = length - now as u64;
        if left > 0 {
            self.open = Some(file);
            self.rest.push_front(Segment { blob: Blob::File(blob), offset: offset + now as u64, length: left });
        }
        Ok(Bytes::from(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(segments: Vec<Segment>) -> Vec<u8> {
        let mut reader = Reader::new(segments);
        let mut all = Vec::new();
        while let Some(chunk) = reader.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        all
    }

    async fn written(folder: Option<Arc<Folder>>, body: &[u8]) -> Vec<Segment> {
        let mut writer = Writer::new(folder, 10);
        for piece in body.chunks(100_001) {
            writer.write(piece).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    #[tokio::test]
    async fn any_range_of_what_was_written_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let body: Vec<u8> = (0..=250_u8).cycle().take(CHUNK * 2 + 77).collect();
        for folder in [None, Some(Folder::new(root.path().into(), 0).unwrap())] {
            let twice = [written(folder.clone(), &body).await, written(folder, &body).await].concat();
            let expected = [body.clone(), body.clone()].concat();
            let whole = expected.len() as u64;
            for range in [0..whole, 0..0, 5..6, 1000..whole - 1, body.len() as u64 - 1..body.len() as u64 + 1] {
                let bounds = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
                assert_eq!(read(slice(&twice, &range)).await, expected[bounds], "{range:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_file_goes_with_the_last_segment_unless_the_store_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().into(), 7).unwrap();
        let kept = written(Some(Arc::clone(&folder)), b"kept").await;
        let path = path_of(root.path(), 7);
        let copy = kept.clone();
        drop(kept);
        assert!(path.exists());
        drop(copy);
        assert!(!path.exists());

        let segments = written(Some(Arc::clone(&folder)), b"stays").await;
        folder.close();
        drop(segments);
        assert!(path_of(root.path(), 8).exists());
    }
}
