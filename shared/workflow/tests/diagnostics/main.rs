//! What people read when a workflow is wrong: one snapshot for each kind of fault.

mod expressions;
mod keys;
mod lint;
mod text;

use honk_workflow::{Diagnostic, parse};

/// Everything that is said about a text, as a compiler would print it.
fn report(text: &str) -> String {
    let diagnostics: Vec<Diagnostic> = match parse(text) {
        Ok(parsed) => parsed.warnings,
        Err(faults) => {
            assert!(faults.iter().any(Diagnostic::is_error), "refused without an error");
            faults
        }
    };
    diagnostics.iter().map(|diagnostic| diagnostic.at("w.yml").to_string()).collect::<Vec<_>>().join("\n")
}

/// A workflow with these jobs, which begin in line 4.
fn jobs(jobs: &str) -> String {
    report(&format!("name: w\non: dataset_onboard\njobs:\n{jobs}timeout: 1h\n"))
}

/// A workflow with this step, which begins in line 6, column 9.
fn step(step: &str) -> String {
    let indented = step.replace('\n', "\n        ");
    jobs(&format!("  build:\n    steps:\n      - {indented}\n"))
}
