//! What a measurement of the copy engine says.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::super::report::round;
use super::mover::Moved;

/// All cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CopyReport {
    /// How often each case was measured.
    pub(crate) rounds: u32,
    /// The medians of each case.
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Case {
    /// What was copied, and between how many endpoints.
    pub(crate) name: String,
    /// How that went.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Figures of one copy by a process of its own, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Wall time, in seconds.
    pub(crate) seconds: f64,
    /// Objects a second.
    pub(crate) objects_per_s: f64,
    /// Megabytes (10^6) a second.
    pub(crate) mb_per_s: f64,
    /// CPU time, in seconds.
    pub(crate) cpu_s: f64,
    /// The most memory resident, in MiB, where the system tells.
    pub(crate) peak_mib: Option<f64>,
}

impl Figures {
    pub(super) fn of(moved: &Moved, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            seconds,
            objects_per_s: per(moved.objects, seconds),
            mb_per_s: per(moved.bytes, seconds) / 1e6,
            cpu_s: moved.cpu_s,
            peak_mib: moved.peak_kib.map(|kib| per(kib, 1_024.0)),
        }
    }

    /// The median of each figure by itself.
    pub(super) fn medians(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        let peaks: Option<Vec<f64>> = rounds.iter().map(|round| round.peak_mib).collect();
        Self {
            seconds: hundredths(of(|round| round.seconds)),
            objects_per_s: round(of(|round| round.objects_per_s)),
            mb_per_s: round(of(|round| round.mb_per_s)),
            cpu_s: hundredths(of(|round| round.cpu_s)),
            peak_mib: peaks.map(median).map(round),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::MIN_POSITIVE)
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The middle one, the lower of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

impl CopyReport {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{:<36}{:>12}{:>10}{:>8}{:>9}{:>9}",
            format!("medians of {}", self.rounds),
            "objects/s",
            "MB/s",
            "s",
            "CPU s",
            "MiB"
        );
        for Case { name, figures } in &self.cases {
            let peak = figures.peak_mib.map_or_else(|| "-".to_owned(), |mib| mib.to_string());
            let Figures { seconds, objects_per_s, mb_per_s, cpu_s, .. } = figures;
            // Writing to a string cannot fail.
            write!(text, "\n{name:<36}{objects_per_s:>12}{mb_per_s:>10}{seconds:>8}{cpu_s:>9}{peak:>9}").ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_a_median_of_its_own() {
        let moved = |cpu_s, peak_kib| Moved { objects: 100, bytes: 4_000_000, cpu_s, peak_kib: Some(peak_kib) };
        let rounds = [(2, 0.3, 2_048), (1, 0.2, 4_096), (4, 0.1, 1_024)];
        let figures = rounds.map(|(seconds, cpu, kib)| Figures::of(&moved(cpu, kib), Duration::from_secs(seconds)));
        let medians = Figures::medians(&figures);
        let wanted = Figures { seconds: 2.0, objects_per_s: 50.0, mb_per_s: 2.0, cpu_s: 0.2, peak_mib: Some(2.0) };
        assert_eq!(medians, wanted);
        let report = CopyReport { rounds: 3, cases: vec![Case { name: "100 x 1 B".into(), figures: medians }] };
        assert!(report.text().lines().nth(1).is_some_and(|line| line.contains("100 x 1 B") && line.contains("50")));
    }
}
