//! Object stores: what is too large for one message, in pieces under one name. They are written and read by the client's own
//! implementation, so that `nats object` and every other client of NATS can read them.
//!
//! Names here are hashes of the content, so that putting twice changes nothing and what is read cannot be old.

use std::io;
use std::time::Duration;

use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, InfoErrorKind, Object, ObjectStore};
use bytes::Bytes;
use honk_protocol::topology;
use tokio::io::AsyncReadExt;

use crate::{Bus, BusError};

/// How long a whole object may take on its way: the client itself would wait for ever for a piece that was removed meanwhile.
const TRANSFER: Duration = Duration::from_secs(25);

/// An object store. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Objects {
    bus: Bus,
    name: String,
}

impl Bus {
    /// The object store of this name.
    pub fn objects(&self, name: &str) -> Objects {
        Objects { bus: self.clone(), name: name.to_owned() }
    }

    /// The files of workflows ([`topology::BUNDLES`]), by their hash.
    pub fn bundles(&self) -> Objects {
        self.objects(topology::BUNDLES)
    }

    /// Lists of what retirements remove ([`topology::LISTS`]), by their hash.
    pub fn lists(&self) -> Objects {
        self.objects(topology::LISTS)
    }
}

impl Objects {
    /// The stream that an object store of this name is.
    pub fn stream_of(name: &str) -> String {
        format!("OBJ_{name}")
    }

    /// Stores `bytes` under `name`, unless something is there: the name is the content's hash, so it is the same. Says whether anything was
    /// written.
    pub async fn put(&self, name: &str, bytes: &[u8]) -> Result<bool, BusError> {
        let store = self.open().await?;
        if self.is_in(&store, name).await? {
            return Ok(false);
        }
        let mut rest = bytes;
        let written = tokio::time::timeout(TRANSFER, store.put(name, &mut rest)).await;
        let written = written.map_err(|_| BusError::Timeout { what: self.what("put", name) })?;
        written.map(|_| true).map_err(|error| BusError::refused(self.what("put", name), &error))
    }

    /// What is stored under `name`, complete and checked against the digest that it was stored with; none if nothing is.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, BusError> {
        let store = self.open().await?;
        let object = match store.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BusError::refused(self.what("get", name), &error)),
        };
        let read = tokio::time::timeout(TRANSFER, read(object)).await;
        let read = read.map_err(|_| BusError::Timeout { what: self.what("get", name) })?;
        read.map(Some).map_err(|error| BusError::refused(self.what("get", name), &error))
    }

    /// Whether anything is stored under `name`.
    pub async fn exists(&self, name: &str) -> Result<bool, BusError> {
        self.is_in(&self.open().await?, name).await
    }

    /// Removes what is stored under `name`, if anything is.
    pub async fn delete(&self, name: &str) -> Result<(), BusError> {
        match self.open().await?.delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == DeleteErrorKind::NotFound => Ok(()),
            Err(error) => Err(BusError::refused(self.what("delete", name), &error)),
        }
    }

    async fn open(&self) -> Result<ObjectStore, BusError> {
        let store = self.bus.context.get_object_store(&self.name).await;
        store.map_err(|error| BusError::refused(format!("open the object store {}", self.name), &error))
    }

    async fn is_in(&self, store: &ObjectStore, name: &str) -> Result<bool, BusError> {
        match store.info(name).await {
            Ok(info) => Ok(!info.deleted),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(BusError::refused(self.what("look for", name), &error)),
        }
    }

    fn what(&self, verb: &str, name: &str) -> String {
        format!("{verb} the object {name} of {}", self.name)
    }
}

async fn read(mut object: Object) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(object.info().size);
    object.read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}
