//! `honk bench`: measurements that anybody can repeat, each of real parts in a system of its own. [`mod@chains`] is what a chain of jobs
//! costs that do nothing, [`mod@steps`] what a step costs beside its program, [`mod@copy`] how fast the copy engine is, and [`mod@fleet`]
//! how much faster more agents are.

mod bare;
mod chains;
mod child;
mod copy;
mod cpu;
mod ends;
mod fleet;
mod load;
mod objects;
mod report;
mod steps;
mod store;

pub(crate) use self::chains::chains;
pub(crate) use self::copy::{CopyReport, copy, mover};
pub(crate) use self::fleet::{FleetReport, agent, fleet};
pub(crate) use self::report::Report;
pub(crate) use self::steps::{StepsReport, steps};
pub(crate) use self::store::run as store;
use crate::error::CliError;

fn temporary_folder() -> Result<tempfile::TempDir, CliError> {
    tempfile::tempdir().map_err(|error| CliError::failed("cannot make a temporary folder").caused_by(&error))
}
