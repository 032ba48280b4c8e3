//! `include`: globs of files beside the workflow that its steps need and do not name.

use super::values::texts;
use crate::diagnostic::{Diagnostic, Report, quote};
use crate::tree::Entry;

pub(super) fn check(entry: &Entry, report: &mut Report) -> Vec<String> {
    let mut globs = Vec::new();
    for (glob, pos) in texts(entry, report) {
        let fault = if glob.starts_with('/') || glob.split('/').any(|part| part == "..") || glob.contains('\\') {
            Some("leads out of the workflow's folder".to_owned())
        } else {
            globset::Glob::new(glob).err().map(|error| format!("is no glob: {}", error.kind()))
        };
        match fault.or_else(|| glob.trim().is_empty().then(|| "is empty".to_owned())) {
            None => globs.push(glob.to_owned()),
            Some(fault) => {
                let help = "write paths below the folder of the workflow, like `include: [lib/**, requirements.txt]`";
                report.push(Diagnostic::error("include", pos, format!("{} {fault}", quote(glob))).with_help(help));
            }
        }
    }
    globs
}
