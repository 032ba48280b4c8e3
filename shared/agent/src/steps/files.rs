//! What lies in a work directory when a program starts, and what is taken from it afterwards: the workflow's files, the inputs, the
//! dataset's metadata.

use honk_bundle::CacheError;
use honk_bus::BusError;
use honk_protocol::name::BundleHash;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use serde_json::{Map, Value};

use super::folder::Left;
use super::metadata::{self, MAX_METADATA};
use super::workspace::{Place, Workspace, sweep, unavailable};
use super::{JobWork, Steps};
use crate::registry::unavailable as bus_unavailable;

/// Why a bundle could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("the workflow's files ({0}) are not stored")]
    Missing(BundleHash),
}

impl Steps {
    /// A work directory with the workflow's files and the inputs.
    pub(super) async fn furnish(&self, job: &JobWork, values: &Value) -> Result<Workspace, Failed> {
        self.swept.get_or_init(|| self.sweep()).await;
        let workspace = Workspace::create(&self.settings.work_dir)?;
        workspace.write(&Place::honk("input.json"), values["input"].to_string())?;
        if let Some(bundle) = &job.spec.workflow().bundle {
            let fetch = || self.fetch(&bundle.hash);
            let placed = self.bundles.unpack_into(&bundle.hash, &workspace.work(), fetch).await;
            placed.map_err(|error| not_placed(&error))?;
        }
        Ok(workspace)
    }

    /// Removes what agents before this one have left. If that does not work, it is the disk that suffers and not the job.
    async fn sweep(&self) {
        let parent = self.settings.work_dir.clone();
        match tokio::task::spawn_blocking(move || sweep(&parent)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what killed agents have left could not be removed"),
            Err(error) => tracing::warn!(%error, "the removal of what killed agents have left broke off"),
        }
    }

    async fn fetch(&self, hash: &BundleHash) -> Result<Vec<u8>, FetchError> {
        let bytes = self.bus.bundles().get(hash.as_str()).await?;
        bytes.map(Vec::from).ok_or_else(|| FetchError::Missing(hash.clone()))
    }

    /// Writes the dataset's metadata as it is now; returns it.
    pub(super) async fn lay_out_metadata(
        &self,
        job: &JobWork,
        workspace: &Workspace,
    ) -> Result<Map<String, Value>, Failed> {
        let dataset = job.context.dataset();
        let location = self.registry.find_location(dataset).await?.map(|found| found.location);
        let (notes, _) = self.registry.metadata(dataset).await?;
        let document = metadata::document(dataset, location.as_ref(), &notes);
        let place = Place::work(metadata::file_name(dataset));
        let json = serde_json::to_vec_pretty(&document);
        let json = json.map_err(|error| unavailable(&workspace.path(&place), &error))?;
        workspace.write(&place, json)?;
        Ok(document)
    }

    /// Puts what a program changed into the registry. A program that removed the file changed nothing.
    pub(super) async fn take_in_metadata(
        &self,
        job: &JobWork,
        workspace: &Workspace,
        before: &Map<String, Value>,
    ) -> Result<(), Failed> {
        let dataset = job.context.dataset();
        let file = metadata::file_name(dataset);
        let left = match workspace.read(&Place::work(file.clone()), MAX_METADATA)? {
            Left::Nothing => return Ok(()),
            Left::File(left) => left,
            Left::Other(what) => {
                let message = format!("`{file}` is {what} now: leave a plain file there");
                return Err(Failed::reject(Reason::MetadataInvalid, message));
            }
        };
        let changes = metadata::changes(before, &left, &file)?;
        if !changes.is_empty() {
            self.registry.note(dataset, &changes).await?;
        }
        Ok(())
    }
}

fn not_placed(error: &CacheError<FetchError>) -> Failed {
    match error {
        CacheError::Fetch(FetchError::Bus(error)) => bus_unavailable(error),
        CacheError::Fetch(FetchError::Missing(_)) => Failed::reject(Reason::BundleMissing, error.to_string()),
        CacheError::Bundle(fault) if fault.is_the_machines() => {
            Failed::retry(Reason::WorkspaceUnavailable, error.to_string())
        }
        CacheError::Bundle(_) => Failed::reject(Reason::BundleCorrupt, error.to_string()),
    }
}
