//! What a measurement says.

use std::time::Duration;

use serde::Serialize;

use super::cpu::{Spent, micros_each};

/// What `honk bench chains` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Of the chains.
    #[serde(flatten)]
    pub(crate) chains: Figures,
    /// Of the same messages with nobody deciding anything; none on a server that is not one's own.
    pub(crate) bare: Option<Figures>,
}

/// Figures of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Chains that came to their end.
    pub(crate) runs: usize,
    /// Chains that came to their end in a second.
    pub(crate) chains_per_s: f64,
    /// Half of the chains took at most this long, in milliseconds, from publishing the event to the run's end.
    pub(crate) p50_ms: f64,
    /// 99 of 100 chains took at most this long.
    pub(crate) p99_ms: f64,
    /// CPU time per chain, server and Honk together, in microseconds.
    pub(crate) cpu_us_per_chain: f64,
    /// Of that the server's; none for a server that is not one's own.
    pub(crate) server_cpu_us_per_chain: Option<f64>,
    /// Of that Honk's, the publisher of the events included.
    pub(crate) honk_cpu_us_per_chain: f64,
}

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let chains = self.chains.text();
        let Some(bare) = &self.bare else { return chains };
        let times = hundredths(self.chains.cpu_us_per_chain / bare.cpu_us_per_chain);
        format!(
            "{chains}\n\nThe same messages with nobody deciding anything, of which a chain takes {times} times the CPU:\n{}",
            bare.text()
        )
    }
}

impl Figures {
    /// From the chains' durations, in rising order.
    pub(crate) fn new(latencies: &[Duration], elapsed: Duration, spent: Spent) -> Self {
        let runs = latencies.len().max(1);
        let chains = f64::from(u32::try_from(runs).unwrap_or(u32::MAX));
        let micros = |time| round(micros_each(time, runs));
        let quantile = |hundredths: usize| {
            let rank = (runs * hundredths).div_ceil(100).saturating_sub(1);
            round(latencies.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3))
        };
        Self {
            runs: latencies.len(),
            chains_per_s: round(chains / elapsed.as_secs_f64()),
            p50_ms: quantile(50),
            p99_ms: quantile(99),
            cpu_us_per_chain: micros(spent.total()),
            server_cpu_us_per_chain: spent.server.map(micros),
            honk_cpu_us_per_chain: micros(spent.honk),
        }
    }

    fn text(&self) -> String {
        let server = self.server_cpu_us_per_chain.map_or_else(|| "not measured".to_owned(), |us| format!("{us} µs"));
        format!(
            "{} chains: {} chains/s\none chain: p50 {} ms, p99 {} ms\nCPU per chain: {} µs (server {server}, Honk {} µs)",
            self.runs, self.chains_per_s, self.p50_ms, self.p99_ms, self.cpu_us_per_chain, self.honk_cpu_us_per_chain,
        )
    }
}

/// To a tenth: more would be noise.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// So many a second, or of a unit.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn per(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::MIN_POSITIVE)
}

/// As people read it.
pub(super) fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_rates_are_of_the_chains_that_ended() {
        let latencies: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let spent = Spent {
            honk: Duration::from_millis(10),
            programs: Duration::ZERO,
            server: Some(Duration::from_millis(20)),
        };
        let report = Figures::new(&latencies, Duration::from_secs(2), spent);
        assert_eq!((report.runs, report.chains_per_s), (100, 50.0));
        assert_eq!((report.p50_ms, report.p99_ms), (50.0, 99.0));
        assert_eq!((report.cpu_us_per_chain, report.server_cpu_us_per_chain), (300.0, Some(200.0)));
        assert!((report.honk_cpu_us_per_chain - 100.0).abs() < f64::EPSILON);
    }
}
