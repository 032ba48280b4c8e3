//! The `needs` of all jobs: that they exist, and that no job waits for itself.

use std::collections::BTreeMap;

use super::values::texts;
use crate::diagnostic::{Diagnostic, Pos, Report, list, quote};
use crate::graph;
use crate::tree::{Entry, Kind};

/// What one job needs: indices of jobs, and where it says so.
type Needs = Vec<(usize, Pos)>;

/// The graph of the jobs, without what was reported.
pub(super) fn check(jobs: &[Entry], report: &mut Report) -> Vec<Vec<usize>> {
    let index: BTreeMap<&str, usize> = jobs.iter().enumerate().map(|(i, job)| (job.key.text.as_str(), i)).collect();
    let needs: Vec<Needs> = jobs.iter().map(|job| needs_of(job, jobs, &index, report)).collect();
    let graph: Vec<Vec<usize>> = needs.iter().map(|needs| needs.iter().map(|(need, _)| *need).collect()).collect();
    for cycle in graph::cycles(&graph) {
        report.push(circle(&cycle, jobs, &needs));
    }
    graph
}

fn needs_of(job: &Entry, jobs: &[Entry], index: &BTreeMap<&str, usize>, report: &mut Report) -> Needs {
    let mut needs = Needs::new();
    // A job that is no mapping was reported before.
    let Kind::Map(fields) = &job.value.kind else { return needs };
    let Some(entry) = fields.iter().find(|entry| entry.key.text == "needs") else { return needs };
    for (name, pos) in texts(entry, report) {
        match index.get(name) {
            None => report.push(unknown(name, pos, job, jobs, report)),
            Some(need) if jobs[*need].key.text == job.key.text => {
                let message = format!("the job {} needs itself", quote(name));
                report.push(Diagnostic::error("needs-self", pos, message).with_help("remove it from `needs`"));
            }
            Some(need) if needs.iter().any(|(known, _)| known == need) => {
                let message = format!("{} is in `needs` twice", quote(name));
                report.push(Diagnostic::error("needs-duplicate", pos, message).with_help("remove one of them"));
            }
            Some(need) => needs.push((*need, pos)),
        }
    }
    needs
}

fn unknown(name: &str, pos: Pos, job: &Entry, jobs: &[Entry], report: &Report) -> Diagnostic {
    let others = || jobs.iter().map(|other| other.key.text.as_str()).filter(|other| *other != job.key.text);
    let message = format!("the job {} needs {}, which does not exist", quote(&job.key.text), quote(name));
    let help = match report.similar(name, others()) {
        Some(similar) => format!("did you mean {}?", quote(similar)),
        None if others().next().is_none() => "it is the only job: remove `needs`".to_owned(),
        None => format!("the other jobs are {}", list(others().take(12))),
    };
    Diagnostic::error("needs-unknown", pos, message).with_help(help)
}

/// Reported where the first job of the circle names the second.
fn circle(cycle: &[usize], jobs: &[Entry], needs: &[Needs]) -> Diagnostic {
    let name = |job: &usize| quote(&jobs[*job].key.text);
    let (first, second) = (cycle[0], cycle[1 % cycle.len()]);
    let pos = needs[first].iter().find(|(need, _)| *need == second).map_or(jobs[first].key.pos, |(_, pos)| *pos);
    let around = cycle.iter().chain([&first]).map(name).collect::<Vec<_>>().join(" needs ");
    Diagnostic::error("needs-cycle", pos, format!("jobs wait for each other in a circle: {around}"))
        .with_help("remove one of these `needs`")
}
