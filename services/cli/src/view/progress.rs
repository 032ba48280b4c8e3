//! A run as it goes on: a progress bar on a terminal, else a line for every change.

use std::collections::BTreeMap;

use honk_api::wire::{JobView, ProgressView, RunUpdate, RunView};
use honk_protocol::name::JobName;
use honk_protocol::run::{JobState, RunState};
use indicatif::{ProgressBar, ProgressStyle};

use super::bytes;
use crate::output::{Output, inline};

/// Name, what is going on, how far.
const TEMPLATE: &str = "{prefix:<32!} {msg:<44!} {wide_bar:.dim} {percent:>3}%";

/// Turns the updates of one run into lines and the movement of a bar.
#[derive(Debug)]
pub(crate) struct Follower {
    bar: ProgressBar,
    state: Option<RunState>,
    jobs: BTreeMap<JobName, (JobState, u32, u32)>,
    tenths: BTreeMap<JobName, u64>,
}

impl Follower {
    /// Follows a run; its bar, if there are bars, is called `name`.
    pub(crate) fn new(output: &Output, name: &str) -> Self {
        let bar = if output.is_live() { output.bars().add(ProgressBar::no_length()) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template(TEMPLATE);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━╌"));
        bar.set_prefix(inline(name));
        bar.set_message("waiting for the run to begin");
        Self { bar, state: None, jobs: BTreeMap::new(), tenths: BTreeMap::new() }
    }

    /// Moves the bar, and returns what is new as lines.
    pub(crate) fn update(&mut self, update: &RunUpdate) -> Vec<String> {
        match update {
            RunUpdate::Run(run) => self.run(run),
            RunUpdate::Progress(progress) => self.progress(progress).into_iter().collect(),
            RunUpdate::End(end) => {
                self.bar.finish_and_clear();
                vec![format!("run {}", end.state)]
            }
        }
    }

    fn run(&mut self, run: &RunView) -> Vec<String> {
        let mut lines = Vec::new();
        if run.state == RunState::Waiting && self.state != Some(RunState::Waiting) {
            lines.push("waiting for its turn".to_owned());
        }
        self.state = Some(run.state);
        for job in &run.jobs {
            let now = (job.state, job.generation, job.attempts);
            let before = self.jobs.insert(job.name.clone(), now);
            // That a job is not yet due is no news.
            if before != Some(now) && (before.is_some() || job.state != JobState::Pending) {
                lines.push(job_line(job));
            }
        }
        if let Some(line) = lines.last() {
            self.bar.set_message(inline(line));
        }
        lines
    }

    fn progress(&mut self, view: &ProgressView) -> Option<String> {
        let progress = &view.progress;
        let (done, all) = match progress.bytes_total {
            0 => (progress.objects, progress.objects_total),
            total => (progress.bytes, total),
        };
        self.bar.set_length(all);
        self.bar.set_position(done.min(all));
        let (objects, total) = (progress.objects, progress.objects_total);
        let size = format!("{} of {}", bytes(progress.bytes), bytes(progress.bytes_total));
        let line = format!("{}: {objects} of {total} objects, {size}", view.job);
        self.bar.set_message(line.clone());
        // A line for every tenth of the way is enough for a log.
        let tenth = u64::try_from(u128::from(done) * 10 / u128::from(all.max(1))).unwrap_or(10);
        let before = self.tenths.insert(view.job.clone(), tenth);
        (all > 0 && before.is_none_or(|before| before < tenth)).then_some(line)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn job_line(job: &JobView) -> String {
    let mut line = format!("{}: {}", job.name, job.state);
    match job.state {
        JobState::Running => {
            line.extend([format!(", attempt {}", job.attempts)]);
            line += &job.agent.as_ref().map(|agent| format!(" by {agent}")).unwrap_or_default();
        }
        JobState::Success => {
            let count = |name: &str| job.outputs.get(name).and_then(serde_json::Value::as_u64);
            line += &count("objects").map(|objects| format!(", {objects} objects")).unwrap_or_default();
            line += &count("bytes").map(|count| format!(", {}", bytes(count))).unwrap_or_default();
        }
        _ => {}
    }
    let failed = job.failure.as_ref().filter(|_| job.state != JobState::Success);
    line += &failed.map(|failure| format!(" ({}: {})", failure.reason, failure.message)).unwrap_or_default();
    inline(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn progress(objects: u64, bytes: u64) -> RunUpdate {
        let run = "r0123456789abcdef0123".parse().unwrap();
        let counts = honk_protocol::live::Progress {
            attempt: 1,
            agent: "a".into(),
            objects,
            objects_total: 100,
            bytes,
            bytes_total: 1 << 20,
        };
        RunUpdate::Progress(ProgressView { run, job: "migrate".parse().unwrap(), progress: counts })
    }

    #[test]
    fn the_template_of_the_bars_is_well_formed() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn progress_makes_a_line_for_every_tenth_of_the_way() {
        let mut follower = Follower::new(&Output::new(Format::Text), "d");
        let lines: Vec<_> = (0..=100).flat_map(|n| follower.update(&progress(n, n * 10_486))).collect();
        assert_eq!(lines.len(), 11, "{lines:?}");
        assert_eq!(lines.first().unwrap(), "migrate: 0 of 100 objects, 0 B of 1.0 MiB");
        // A later attempt that begins again is no progress, and no line.
        assert!(follower.update(&progress(0, 0)).is_empty());
    }
}
