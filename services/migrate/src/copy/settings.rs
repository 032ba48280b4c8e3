//! Limits of one copy.

use honk_storage::Keep;
use serde::Deserialize;

use super::policy::{Existing, Policy};

const MIB: u64 = 1 << 20;

/// Limits of one copy; the defaults keep an agent well under 256 MiB.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopySettings {
    /// Objects being copied or compared at a time, at the most: how many there are, the endpoints' speed decides.
    pub objects_in_flight: usize,
    /// Parts of one object under way at a time, downloads and uploads each.
    pub parts_in_flight: usize,
    /// Bytes of objects and parts held in memory at a time.
    pub buffer_bytes: u64,
    /// Objects above this many bytes are sent in parts.
    pub multipart_threshold: u64,
    /// Bytes of a part, where the source's own parts do not decide.
    pub part_size: u64,
    /// Bytes of a part of a server-side copy, where the source's own parts do not decide.
    pub copy_part_size: u64,
    /// Tries of one request or transfer; those that a store refused for being too many do not count.
    pub attempts: u32,
    /// Time in which one request or transfer may be tried again, in milliseconds.
    pub retry_budget_ms: u64,
    /// The first pause between tries, in milliseconds; it doubles.
    pub backoff_ms: u64,
    /// The longest pause between tries, in milliseconds.
    pub backoff_max_ms: u64,
    /// Keys per listing request.
    pub page_size: i32,
    /// Ranges of keys listed at a time.
    pub listings: usize,
    /// What it may do, and how much it has to prove.
    pub policy: Policy,
    /// What a copy carries beside bytes, headers and user metadata.
    pub keep: Keep,
}

impl Default for CopySettings {
    fn default() -> Self {
        Self {
            objects_in_flight: 128,
            parts_in_flight: 4,
            buffer_bytes: 64 * MIB,
            multipart_threshold: 16 * MIB,
            part_size: 8 * MIB,
            copy_part_size: 64 * MIB,
            attempts: 12,
            retry_budget_ms: 120_000,
            backoff_ms: 200,
            backoff_max_ms: 10_000,
            page_size: 1_000,
            listings: 4,
            // By itself the engine replaces what is in the way; what a migration may do its workflow says.
            policy: Policy { existing: Existing::Overwrite, ..Policy::default() },
            keep: Keep::default(),
        }
    }
}

impl CopySettings {
    /// The most bytes that are held as one piece; larger ones stream through.
    pub(super) fn largest_buffer(&self) -> u64 {
        self.buffer_bytes / 2
    }

    /// Objects that are copied in parts at a time: so many that their parts fill the memory, as more would only leave more unfinished.
    pub(super) fn large_in_flight(&self) -> usize {
        usize::try_from(self.buffer_bytes / (2 * self.part_size.max(1))).unwrap_or(usize::MAX).clamp(1, 64)
    }
}
