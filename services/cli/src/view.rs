//! How the API's answers look to people. Times are UTC, so that two people mean the same by one.

mod after;
mod dataset;
mod dead_letter;
mod log;
mod progress;
mod run;
mod workflow;

use jiff::Timestamp;

pub(crate) use self::after::{consumers, removal, retirement, rollback_report};
pub(crate) use self::dataset::{dataset, datasets, location, location_line};
pub(crate) use self::dead_letter::{dead_letter, dead_letters};
pub(crate) use self::log::LogView;
pub(crate) use self::progress::Follower;
pub(crate) use self::run::{failures, run, runs};
pub(crate) use self::workflow::{diff, history, status, workflow, workflows};
use crate::output::inline;

/// `2026-01-02 03:04:05Z`.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `250 ms`, `3.2 s`, `2m 05s`, `3h 20m`, `2d 03h`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{minutes}m {:02}s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// `512 B`, `1.5 KiB`, `3.2 GiB`: cut, not rounded up.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let power = count.ilog2() / 10;
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or_default();
    let (whole, rest) = (count >> (10 * power), count & ((1 << (10 * power)) - 1));
    format!("{whole}.{} {unit}", (u128::from(rest) * 10) >> (10 * power))
}

/// The beginning of a workflow's hash, enough to tell versions apart.
pub(crate) fn short_hash(hash: &honk_protocol::name::WorkflowHash) -> &str {
    hash.as_str().get(..12).unwrap_or(hash.as_str())
}

/// Names and values below each other; those without a value are left out.
fn fields(fields: &[(&str, String)]) -> String {
    let shown = || fields.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<_> = shown().map(|(name, value)| format!("{name:<width$}  {}\n", inline(value))).collect();
    lines.concat()
}

/// The text of a value that may be missing.
fn optional<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let shown =
            [0, 999, 1_000, 59_999, 60_000, 125_000, 3_600_000, 12_000_000, 86_400_000, 183_600_000].map(duration);
        let expected =
            ["0 ms", "999 ms", "1.0 s", "59.9 s", "1m 00s", "2m 05s", "1h 00m", "3h 20m", "1d 00h", "2d 03h"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        let shown = [0, 1_023, 1_024, 1_536, 1_048_575, 200 << 20, 5 << 40, u64::MAX].map(bytes);
        let expected = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "200.0 MiB", "5.0 TiB", "15.9 EiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(time("2026-01-02T05:04:05.678+02:00".parse().unwrap()), "2026-01-02 03:04:05Z");
    }
}
