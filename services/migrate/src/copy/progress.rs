//! Counters that others read while a copy runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a copy is. All counters are approximate while it runs.
#[derive(Debug)]
pub struct Progress {
    objects_done: AtomicU64,
    bytes_done: AtomicU64,
    objects_verified: AtomicU64,
    objects_total: AtomicU64,
    passes: AtomicU64,
}

/// No dataset has this many objects.
const UNKNOWN: u64 = u64::MAX;

impl Default for Progress {
    fn default() -> Self {
        Self {
            objects_done: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            objects_verified: AtomicU64::new(0),
            objects_total: AtomicU64::new(UNKNOWN),
            passes: AtomicU64::new(0),
        }
    }
}

impl Progress {
    /// Objects that are at the target, copied or found there.
    pub fn objects_done(&self) -> u64 {
        self.objects_done.load(Ordering::Relaxed)
    }

    /// Bytes that are at the target; counts parts of unfinished objects.
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Ordering::Relaxed)
    }

    /// Objects proved equal.
    pub fn objects_verified(&self) -> u64 {
        self.objects_verified.load(Ordering::Relaxed)
    }

    /// Objects of the source, once it has been listed or [`Progress::expect`] was called.
    pub fn objects_total(&self) -> Option<u64> {
        Some(self.objects_total.load(Ordering::Relaxed)).filter(|total| *total != UNKNOWN)
    }

    /// Says how many objects there are, where it is known before the listing.
    pub fn expect(&self, objects: u64) {
        self.objects_total.store(objects, Ordering::Relaxed);
    }

    /// The first pass that copies is what is shown; later ones go over the same objects again.
    pub(super) fn begin_pass(&self) {
        self.passes.fetch_add(1, Ordering::Relaxed);
    }

    fn is_shown(&self) -> bool {
        self.passes.load(Ordering::Relaxed) <= 1
    }

    pub(super) fn object_done(&self) {
        if self.is_shown() {
            self.objects_done.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn object_verified(&self) {
        self.objects_verified.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        if self.is_shown() {
            self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn take_back_bytes(&self, bytes: u64) {
        if self.is_shown() {
            self.bytes_done.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}
