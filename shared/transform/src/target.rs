//! The target's objects before and after: nothing of anybody else's is there, and in the end nothing of an earlier attempt.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use honk_protocol::dataset::{Place, Side};
use honk_protocol::reason::Reason;
use honk_protocol::transform::{Expect, FileEvidence};
use honk_storage::{StorageError, Store, Stores};

use crate::fault::Fault;
use crate::write::names;
use crate::write::upload::Sending;

const PAGE: i32 = 1_000;
const CHUNK: usize = 1 << 20;

/// Where the target is, and where rows go that are put aside.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its bucket.
    pub store: Store,
    /// Its folder, as listings need it.
    pub prefix: String,
    aside: Aside,
    expect: Expect,
    /// What is there and somebody else's; none if nobody has looked.
    kept: Option<Arc<HashSet<String>>>,
}

#[derive(Debug, Clone)]
enum Aside {
    /// In this folder below the target.
    Below(String),
    /// Elsewhere: bucket, folder as listings need it, and the whole as a URL.
    Apart(Store, String, String),
}

impl Target {
    /// Opens it. Another bucket for the quarantine is at the target's endpoint. `kept` are objects that are somebody else's, if that is known.
    pub async fn open(
        stores: &Stores,
        place: &Place,
        expect: &Expect,
        kept: Option<Vec<String>>,
    ) -> Result<Self, Fault> {
        let place = stores.resolve(place);
        let failed = |error: StorageError| Fault::of_store(&error, Side::Target);
        let store = stores.open(&place).await.map_err(failed)?;
        let aside = match expect.quarantine.as_deref().and_then(|folder| folder.strip_prefix("s3://")) {
            Some(url) => {
                let (bucket, prefix) = url.split_once('/').unwrap_or((url, ""));
                let other =
                    honk_storage::Place { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..place.clone() };
                Aside::Apart(stores.open(&other).await.map_err(failed)?, other.prefix(), format!("s3://{url}"))
            }
            None => Aside::Below(expect.quarantine_below().unwrap_or_default().to_owned()),
        };
        let kept = kept.map(|kept| Arc::new(kept.into_iter().collect()));
        Ok(Self { store, prefix: place.prefix(), aside, expect: expect.clone(), kept })
    }

    /// Where nobody has looked before: whether what is there, if anything, is of an earlier attempt.
    pub async fn is_free(&self) -> Result<(), Fault> {
        if self.kept.is_some() {
            return Ok(());
        }
        let Some(key) = self.keys(|key| !self.is_ours(key), true).await?.pop() else { return Ok(()) };
        let message = format!(
            "`{}{key}` is at the target, and no transformation wrote it: clear the target away, or choose another",
            self.prefix
        );
        Err(Fault::new(Reason::TargetConflict, message))
    }

    /// Removes what an earlier attempt wrote and this one did not; how many objects that were.
    pub async fn clear(&self, written: &[FileEvidence]) -> Result<u64, Fault> {
        let written: HashSet<&str> = written.iter().map(|file| file.key.as_str()).collect();
        self.remove(|key| self.is_ours(key) && !written.contains(key)).await
    }

    /// Removes the files of a transformation that will never succeed, so that a better one finds an empty target. What was put aside stays for
    /// people to read, and where nobody has looked whose files they are, everything stays.
    pub async fn give_up(&self) {
        let ours = |key: &str| self.kept.is_some() && self.is_ours(key) && !self.expect.is_quarantine(key);
        if let Err(error) = self.remove(ours).await {
            tracing::warn!(%error, "files of the failed transformation stay at the target");
        }
    }

    fn is_ours(&self, key: &str) -> bool {
        let is_kept = self.kept.as_ref().is_some_and(|kept| kept.contains(key));
        !is_kept && (self.expect.is_quarantine(key) || names::is_ours(key))
    }

    async fn remove(&self, wanted: impl Fn(&str) -> bool) -> Result<u64, Fault> {
        let old = self.keys(wanted, false).await?;
        for key in &old {
            let full = format!("{}{key}", self.prefix);
            self.store.delete(&full).await.map_err(|error| Fault::of_store(&error, Side::Target))?;
        }
        Ok(old.len() as u64)
    }

    /// The keys below the target for which `wanted` holds; at most one of them if `one` is enough.
    async fn keys(&self, wanted: impl Fn(&str) -> bool, one: bool) -> Result<Vec<String>, Fault> {
        let mut found = Vec::new();
        let mut pages = Box::pin(self.store.list(&self.prefix, PAGE));
        while let Some(page) = pages.try_next().await.map_err(|error| Fault::of_store(&error, Side::Target))? {
            let keys = page.iter().filter_map(|object| object.key.strip_prefix(&self.prefix)).filter(|key| wanted(key));
            found.extend(keys.map(str::to_owned));
            if one && !found.is_empty() {
                found.truncate(1);
                break;
            }
        }
        Ok(found)
    }

    /// Where rows go that are put aside.
    pub fn quarantine(&self) -> String {
        match &self.aside {
            Aside::Below(folder) => format!("s3://{}/{}{folder}/", self.store.bucket(), self.prefix),
            Aside::Apart(_, _, url) => url.clone(),
        }
    }

    /// Writes the rows of `end` that were put aside. What it is, if it is below the target.
    pub async fn put_aside(&self, end: &str, rows: u64, mut file: File) -> Result<Option<FileEvidence>, Fault> {
        let (mut sending, below) = match &self.aside {
            Aside::Below(folder) => {
                (Sending::new(&self.store, &self.prefix, &format!("{folder}/{}", names::aside(end))), true)
            }
            Aside::Apart(store, prefix, _) => (Sending::new(store, prefix, &names::aside(end)), false),
        };
        let failed = |error| Fault::of_machine("reading the quarantine again", &error);
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk).map_err(failed)?;
            if read == 0 {
                break;
            }
            sending.push(&chunk[..read]).await?;
        }
        let evidence = sending.finish(rows).await?;
        Ok(below.then_some(evidence))
    }
}
