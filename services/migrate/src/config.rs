//! The settings of `honk-migrate`.

use std::path::PathBuf;

use honk_storage::StorageSettings;
use serde::{Deserialize, Serialize};

use crate::copy::CopySettings;
use crate::transform::TransformSettings;

/// All sections of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigrateConfig {
    /// How this agent works.
    pub migrate: MigrateSection,
    /// How to reach object stores.
    pub storage: StorageSettings,
}

/// How this agent works (`HONK_MIGRATE__SLOTS`, …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MigrateSection {
    /// Datasets migrated at a time.
    pub slots: usize,
    /// Bytes of objects held in memory at a time, by all datasets together.
    pub buffer_bytes: u64,
    /// Objects of one dataset being copied or compared at a time.
    pub objects_in_flight: usize,
    /// Parts of one object under way at a time.
    pub parts_in_flight: usize,
    /// Objects above this many bytes are sent in parts.
    pub multipart_threshold: u64,
    /// Bytes of a part, where the source's own parts do not decide.
    pub part_size: u64,
    /// Bytes of a part of a server-side copy, where the source's own parts do not decide.
    pub copy_part_size: u64,
    /// The program `honk-transform`; left out: beside the agent's own, else on `PATH`.
    pub transform_program: Option<PathBuf>,
    /// Bytes that the query of one transformation may hold in memory; what needs more goes to disk.
    pub transform_memory: u64,
    /// The folder for that; left out: the system's own for temporary files.
    pub transform_spill: Option<String>,
}

impl Default for MigrateSection {
    fn default() -> Self {
        let copy = CopySettings::default();
        Self {
            slots: 8,
            // With connections and listings beside it, the agent stays under 256 MiB.
            buffer_bytes: 96 << 20,
            objects_in_flight: copy.objects_in_flight,
            parts_in_flight: copy.parts_in_flight,
            multipart_threshold: copy.multipart_threshold,
            part_size: copy.part_size,
            copy_part_size: copy.copy_part_size,
            transform_program: None,
            transform_memory: 512 << 20,
            transform_spill: None,
        }
    }
}

impl MigrateSection {
    /// The limits of one dataset's copy.
    pub fn copy_settings(&self) -> CopySettings {
        CopySettings {
            objects_in_flight: self.objects_in_flight,
            parts_in_flight: self.parts_in_flight,
            buffer_bytes: self.buffer_bytes,
            multipart_threshold: self.multipart_threshold,
            part_size: self.part_size,
            copy_part_size: self.copy_part_size,
            ..CopySettings::default()
        }
    }

    /// How datasets are transformed, over these stores.
    pub fn transform_settings(&self, storage: &StorageSettings) -> TransformSettings {
        TransformSettings {
            program: self.transform_program.clone(),
            memory_bytes: self.transform_memory,
            spill: self.transform_spill.clone(),
            storage: storage.clone(),
        }
    }
}
