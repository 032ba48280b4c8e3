//! Durations as people write them: `500ms`, `30s`, `10m`, `1h30m`, `2d`, or a number of seconds.

/// Units with their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// How a duration is written, for messages.
pub(crate) const HELP: &str = "write a duration like `500ms`, `30s`, `10m` or `1h30m`, or a number of seconds";

/// The milliseconds of a duration; `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<u64> {
    if text.ends_with(|last: char| last.is_ascii_digit()) { seconds(text) } else { units(text) }
}

fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(thousandths)
}

/// Each unit at most once, longer ones first.
fn units(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut allowed = &UNITS[..];
    let mut sum = 0u64;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, after) = rest.split_at(unit_at);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let index = allowed.iter().position(|(name, _)| *name == unit)?;
        sum = sum.checked_add(count.parse::<u64>().ok()?.checked_mul(allowed[index].1)?)?;
        allowed = &allowed[index + 1..];
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// The duration as [`parse`] reads it.
pub(crate) fn show(milliseconds: u64) -> String {
    let mut rest = milliseconds;
    let mut text = String::new();
    for (name, length) in UNITS {
        if rest >= length {
            text += &(rest / length).to_string();
            text += name;
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_mean_them() {
        for (text, expected) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90", 90_000),
            ("0.5", 500),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in
            ["", "s", "-1s", "1.5h", "1 h", "30m1h", "1m1m", "10min", "1h30", "0.0001", ".5", "1e3", "999999999999d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(milliseconds in 0u64..=10_000_000_000) {
            prop_assert_eq!(parse(&show(milliseconds)), Some(milliseconds));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9dhms. ä]{0,12}") {
            prop_assert!(parse(&text).is_none_or(|_| !text.is_empty()));
        }
    }
}
