//! What a measurement of a fleet says.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

use super::super::report::{hundredths, per, round};
use super::agent::Used;

/// All numbers of agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FleetReport {
    /// What was migrated.
    pub(crate) dataset: String,
    /// One after the other.
    pub(crate) sizes: Vec<Size>,
}

/// One number of agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Size {
    /// How many there were.
    pub(crate) agents: usize,
    /// From the event to the run's end, in seconds.
    pub(crate) seconds: f64,
    /// Objects a second.
    pub(crate) objects_per_s: f64,
    /// How much faster than the first of the sizes.
    pub(crate) speed_up: f64,
    /// CPU time of all agents, in seconds.
    pub(crate) cpu_s: f64,
    /// The most memory that any of them has had resident, in MiB, where the system tells.
    pub(crate) peak_mib: Option<f64>,
}

impl Size {
    pub(super) fn new((agents, took): (NonZeroUsize, Duration), objects: u32, used: &[Used]) -> Self {
        let seconds = took.as_secs_f64();
        let peak = used.iter().map(|used| used.peak_kib).max().flatten();
        Self {
            agents: agents.get(),
            seconds: hundredths(seconds),
            objects_per_s: round(per(objects.into(), seconds)),
            speed_up: 1.0,
            cpu_s: hundredths(used.iter().map(|used| used.cpu_s).sum()),
            peak_mib: peak.map(|kib| round(per(kib, 1_024.0))),
        }
    }
}

impl FleetReport {
    pub(super) fn new(dataset: String, mut sizes: Vec<Size>) -> Self {
        let first = sizes.first().map_or(0.0, |size| size.seconds);
        for size in &mut sizes {
            size.speed_up = hundredths(first / size.seconds.max(f64::MIN_POSITIVE));
        }
        Self { dataset, sizes }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{}\n{:>8}{:>12}{:>8}{:>10}{:>9}{:>9}",
            self.dataset, "agents", "objects/s", "s", "speed-up", "CPU s", "MiB"
        );
        for Size { agents, seconds, objects_per_s, speed_up, cpu_s, peak_mib } in &self.sizes {
            let peak = peak_mib.map_or_else(|| "-".to_owned(), |mib| mib.to_string());
            // Writing to a string cannot fail.
            write!(text, "\n{agents:>8}{objects_per_s:>12}{seconds:>8}{speed_up:>10}{cpu_s:>9}{peak:>9}").ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_up_is_over_the_first_size_and_memory_that_of_the_largest_agent() {
        let used = |cpu_s, kib| Used { cpu_s, peak_kib: Some(kib) };
        let size = |agents, seconds, used: &[Used]| {
            Size::new((NonZeroUsize::new(agents).unwrap(), Duration::from_secs(seconds)), 1_000, used)
        };
        let sizes = vec![size(1, 100, &[used(3.0, 1_024)]), size(2, 50, &[used(1.5, 2_048), used(2.0, 1_024)])];
        let report = FleetReport::new("1000 x 1 B".into(), sizes);
        let last = report.sizes.last().unwrap();
        assert_eq!((last.speed_up, last.objects_per_s, last.cpu_s, last.peak_mib), (2.0, 20.0, 3.5, Some(2.0)));
        assert!(report.text().lines().nth(3).is_some_and(|line| line.contains("20")), "{}", report.text());
    }
}
