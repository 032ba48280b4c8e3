//! One file of an inventory: streamed from the store to a thread that may wait, where it is hashed and read.

use std::io::{self, Read, Seek as _};
use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, pin_mut};
use honk_storage::{StorageError, Store};
use md5::{Digest as _, Md5};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use crate::error::{Fault, InventoryError, failed};
use crate::manifest::{DataFile, check};
use crate::rows::{self, Format};
use crate::sample::Sampler;

/// Pieces of a file that wait to be read; each is what the network brings at a time.
const WAITING: usize = 16;

/// Adds the objects that a file names.
pub(crate) async fn read(
    store: &Store,
    data: &DataFile,
    format: &Format,
    mut sampler: Sampler,
    folder: &Path,
) -> Result<Sampler, InventoryError> {
    let download = store.get(&data.key, None, None).await.map_err(|error| failed(error, store, &data.key))?;
    let (sender, pieces) = channel(WAITING);
    let stop = CancellationToken::new();
    let _stopped_when_dropped = stop.clone().drop_guard();
    let (format, folder, announced) = (format.clone(), folder.to_owned(), data.md5.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let mut piped = Piped { pieces, piece: Bytes::new(), md5: Md5::new(), failure: None };
        let read = match format {
            Format::Csv(columns) => rows::csv(&mut piped, columns, &mut sampler).map_err(Bad::Fault),
            Format::Parquet => spooled(&mut piped, &folder, &announced)
                .and_then(|file| rows::parquet(file, &mut sampler, &stop).map_err(Bad::Fault)),
        };
        // What is wrong with the bytes says more than what they could not be read for.
        let whole = piped.finish(&announced);
        whole.and(read).map(|()| sampler)
    });
    let stream = download.into_stream();
    pin_mut!(stream);
    while let Some(piece) = stream.next().await {
        // Who reads no more says why.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let panicked = |_| Err(Bad::Fault(Fault::Unreadable("it brings the reader to a panic".to_owned())));
    reading.await.unwrap_or_else(panicked).map_err(|bad| match bad {
        Bad::Storage(error) => failed(error, store, &data.key),
        Bad::Disk(folder, error) => InventoryError::Disk { folder, error },
        Bad::Fault(fault) => fault.of(store, &data.key),
    })
}

/// Why a file was not read.
enum Bad {
    Storage(StorageError),
    Disk(String, io::Error),
    Fault(Fault),
}

/// The whole file, checked, in an unnamed one: it says at its end where it is to be read.
fn spooled(piped: &mut Piped, folder: &Path, announced: &str) -> Result<std::fs::File, Bad> {
    let disk = |error| Bad::Disk(folder.display().to_string(), error);
    std::fs::create_dir_all(folder).map_err(disk)?;
    let mut file = tempfile::tempfile_in(folder).map_err(disk)?;
    let written = io::copy(piped, &mut file);
    piped.finish(announced)?;
    written.and_then(|_| file.rewind()).map_err(disk)?;
    Ok(file)
}

/// The pieces of a download as one thing to read; hashes what goes through.
struct Piped {
    pieces: Receiver<Result<Bytes, StorageError>>,
    piece: Bytes,
    md5: Md5,
    failure: Option<StorageError>,
}

impl Piped {
    /// Reads what nobody has read, and says whether all arrived and is what was announced.
    fn finish(&mut self, announced: &str) -> Result<(), Bad> {
        let drained = io::copy(self, &mut io::sink());
        if let Some(error) = self.failure.clone() {
            return Err(Bad::Storage(error));
        }
        drained.map_err(|error| Bad::Fault(Fault::Unreadable(error.to_string())))?;
        check(self.md5.clone().finalize().as_slice(), announced).map_err(Bad::Fault)
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(Ok(piece)) => {
                    self.md5.update(&piece);
                    self.piece = piece;
                }
                Some(Err(error)) => {
                    let failed = io::Error::other(error.to_string());
                    self.failure = Some(error);
                    return Err(failed);
                }
            }
        }
        let length = buffer.len().min(self.piece.len());
        let taken = self.piece.split_to(length);
        buffer[..length].copy_from_slice(&taken);
        Ok(length)
    }
}
