//! Durations as people write them, `30s`, `5m`, `1h 30m`: `#[serde(with = "honk_service::config::human_duration")]`.

use std::time::Duration;

use jiff::fmt::friendly::SpanPrinter;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes `1h 30m`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads `30s`, `5m`, `1h 30m`, `250ms`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not a duration like 30s, 5m or 1h 30m")))
}

/// The duration as text; what exceeds the range of a signed duration is cut there.
pub fn format(duration: Duration) -> String {
    let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    SpanPrinter::new().duration_to_string(&signed)
}

/// The duration that a text means, a day being 24 hours; `None` for a negative one, a bare number or anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = ["30s", "5m", "1h 30m", "250ms", "0s", "7d"].map(|text| parse(text).unwrap().as_millis());
        assert_eq!(read, [30_000, 300_000, 5_400_000, 250, 0, 604_800_000]);
        assert!(["", "30", "-5s", "soon", "5 parsecs"].iter().all(|text| parse(text).is_none()));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for millis in [0, 1, 999, 1_000, 90_000, 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&format(duration)), Some(duration));
        }
    }
}
