//! `on.schedule`: when runs begin without an event.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// Times at which a run begins for each dataset of a selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Minute, hour, day of the month, month and day of the week, as in `crontab`.
    pub cron: String,
    /// The name of the zone in whose time that is meant, as in the IANA's database.
    pub timezone: String,
    /// For which datasets ([`honk_protocol::selector`]); without one, for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// Why a schedule has no times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields that cron knows.
    #[error("{} is no cron pattern: {reason}", crate::diagnostic::quote(.cron))]
    Cron {
        /// What was written.
        cron: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No zone of this name.
    #[error("there is no time zone {}", crate::diagnostic::quote(.0))]
    Zone(String),
    /// Such as the 30th of February.
    #[error("{} never comes", crate::diagnostic::quote(.0))]
    Never(String),
}

impl Schedule {
    /// The zone if a schedule names none.
    pub const DEFAULT_TIMEZONE: &'static str = "UTC";

    /// The first time after `after`. A time that the clocks skip in spring is meant as the one right after the gap; one that comes twice in
    /// autumn is one tick, unless the pattern has one every so many minutes.
    pub fn next_after(&self, after: Timestamp) -> Result<Timestamp, ScheduleError> {
        let zone = zone(&self.timezone)?;
        let next = cron(&self.cron)?.find_next_occurrence(&after.to_zoned(zone), false);
        next.map(|next| next.timestamp()).map_err(|_| ScheduleError::Never(self.cron.clone()))
    }
}

fn cron(text: &str) -> Result<Cron, ScheduleError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| ScheduleError::Cron { cron: text.to_owned(), reason: error.to_string() })
}

/// From the database that is part of the program, so that a name means the same on every machine.
fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, timezone: &str, after: &str) -> Result<String, ScheduleError> {
        let schedule = Schedule { cron: cron.to_owned(), timezone: timezone.to_owned(), selector: None };
        schedule.next_after(after.parse().expect("is a time")).map(|next| next.to_string())
    }

    #[test]
    fn a_time_is_meant_in_its_zone_also_when_the_clocks_change() {
        for (cron, zone, after, expected) in [
            ("0 2 * * *", "UTC", "2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"),
            ("0 2 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            // Summer time.
            ("0 2 * * *", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"),
            // There is no 02:30 on this day.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            // 02:30 comes twice on this day.
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
            ("0 4 * * MON-FRI", "UTC", "2026-11-20T04:00:00Z", "2026-11-23T04:00:00Z"),
            ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@daily", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ] {
            assert_eq!(next(cron, zone, after).as_deref(), Ok(expected), "{cron} {zone} {after}");
        }
    }

    #[test]
    fn what_has_no_times_is_refused() {
        let after = "2026-01-01T00:00:00Z";
        for text in ["", "* * * *", "* * * * * *", "61 * * * *", "0 2 * * *\n", "a b c d e"] {
            let refused = next(text, "UTC", after);
            assert!(matches!(refused, Err(ScheduleError::Cron { .. })) || text.ends_with('\n'), "{text}: {refused:?}");
        }
        assert_eq!(next("0 0 31 2,4,6,9,11 *", "Europe/Berlin", after).map_err(|_| ()), Err(()));
        assert_eq!(next("0 0 30 2 *", "UTC", after), Err(ScheduleError::Never("0 0 30 2 *".to_owned())));
        assert_eq!(next("0 2 * * *", "Europe/Berln", after), Err(ScheduleError::Zone("Europe/Berln".to_owned())));
    }
}
