//! The graph of jobs, as lists of indices: `needs[i]` are the jobs that job `i` needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::Workflow;

/// Circles of jobs: every job on a circle is in at least one of them, each is as short as a circle through its first
/// job can be, and follows the needs: the first job needs the second, the last needs the first.
pub(crate) fn cycles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for job in 0..needs.len() {
        if seen.contains(&job) {
            continue;
        }
        if let Some(cycle) = cycle_through(job, needs) {
            seen.extend(cycle.iter().copied());
            found.push(cycle);
        }
    }
    found
}

/// The shortest circle through `start`, by breadth-first search.
fn cycle_through(start: usize, needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut reached_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(job) = queue.pop_front() {
        for &needed in &needs[job] {
            if needed == start {
                return Some(path_to(job, &reached_from));
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = reached_from.entry(needed) {
                entry.insert(job);
                queue.push_back(needed);
            }
        }
    }
    None
}

fn path_to(end: usize, reached_from: &BTreeMap<usize, usize>) -> Vec<usize> {
    let mut path = vec![end];
    path.extend(std::iter::successors(reached_from.get(&end), |job| reached_from.get(job)));
    path.reverse();
    path
}

/// Whether `job` needs `other`, by whatever way.
pub(crate) fn depends(job: usize, other: usize, needs: &[Vec<usize>]) -> bool {
    let mut seen = BTreeSet::from([job]);
    let mut open = vec![job];
    while let Some(next) = open.pop() {
        for &needed in &needs[next] {
            if needed == other {
                return true;
            }
            if seen.insert(needed) {
                open.push(needed);
            }
        }
    }
    false
}

/// Checks what [`Workflow`] promises of its graph, for a workflow that does not come from [`crate::parse`].
pub(crate) fn sound(workflow: &Workflow) -> Result<(), String> {
    let index: BTreeMap<&str, usize> =
        workflow.jobs.iter().enumerate().map(|(i, job)| (job.name.as_str(), i)).collect();
    if workflow.jobs.is_empty() || index.len() < workflow.jobs.len() {
        return Err("it has no jobs, or two of the same name".to_owned());
    }
    let mut graph = Vec::new();
    for job in &workflow.jobs {
        let mut needs = BTreeSet::new();
        for need in &job.needs {
            let known = index.get(need.as_str()).ok_or_else(|| format!("`{}` needs the unknown `{need}`", job.name))?;
            if !needs.insert(*known) {
                return Err(format!("`{}` needs `{need}` twice", job.name));
            }
        }
        graph.push(needs.into_iter().collect());
    }
    match cycles(&graph).first() {
        None => Ok(()),
        Some(cycle) => Err(format!("`{}` needs itself", workflow.jobs[cycle[0]].name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_named_in_the_order_of_the_needs_and_only_once() {
        // 0 needs 1 needs 2 needs 0; 3 needs the circle; 4 and 5 need each other.
        let needs = [vec![1], vec![2], vec![0], vec![0], vec![5], vec![4]];
        assert_eq!(cycles(&needs), [vec![0, 1, 2], vec![4, 5]]);
    }

    #[test]
    fn a_diamond_has_no_circle() {
        let needs = [vec![], vec![0], vec![0], vec![1, 2]];
        assert!(cycles(&needs).is_empty());
        assert!(depends(3, 0, &needs));
        assert!(!depends(1, 2, &needs));
    }

    #[test]
    fn a_job_that_needs_itself_is_a_circle_of_one() {
        assert_eq!(cycles(&[vec![0]]), [vec![0]]);
    }
}
