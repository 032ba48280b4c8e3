//! What is allowed but probably not meant, seen over the whole workflow. Each kind of question has a file; what concerns one value alone is
//! asked where that value is checked.

mod pools;
mod reach;
mod secrets;
mod stages;
mod timeouts;

use crate::diagnostic::Report;
use crate::model::Job;
use crate::tree::{Entry, Node};

/// A workflow without errors.
pub(super) struct Lint<'a> {
    /// Its text.
    pub(super) root: &'a Node,
    /// The entry `jobs`.
    pub(super) jobs_key: &'a Entry,
    /// The jobs' texts.
    pub(super) entries: &'a [Entry],
    /// The same jobs, checked.
    pub(super) jobs: &'a [Job],
    /// What each of them needs.
    pub(super) graph: &'a [Vec<usize>],
}

impl Lint<'_> {
    pub(super) fn check(&self, report: &mut Report) {
        stages::check(self, report);
        reach::check(self, report);
        timeouts::check(self, report);
        pools::check(self, report);
        secrets::check(self, report);
    }
}
