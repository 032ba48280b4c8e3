//! The type of a column of text, from the texts that were seen. A guess loses nothing: `007` is text, because as a number it would be `7`.

use arrow::array::types::Date32Type;
use arrow::compute::kernels::cast_utils::{Parser as _, string_to_timestamp_nanos};
use arrow::datatypes::{DataType, TimeUnit};

/// What all texts of a column could be, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Guess {
    seen: bool,
    boolean: bool,
    whole: bool,
    number: bool,
    date: bool,
    time: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { seen: false, boolean: true, whole: true, number: true, date: true, time: true }
    }
}

impl Guess {
    /// Takes a text that is a value.
    pub fn see(&mut self, text: &str) {
        self.seen = true;
        self.boolean &= text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
        self.whole &= is_whole(text);
        self.number &= is_whole(text) || is_number(text);
        self.date &= is_date(text);
        self.time &= is_time(text);
    }

    /// The narrowest type that all of them are.
    pub fn kind(self) -> DataType {
        match self {
            Self { seen: false, .. } => DataType::Utf8,
            Self { boolean: true, .. } => DataType::Boolean,
            Self { whole: true, .. } => DataType::Int64,
            Self { number: true, .. } => DataType::Float64,
            Self { date: true, .. } => DataType::Date32,
            Self { time: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8,
        }
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    digits.bytes().all(|byte| byte.is_ascii_digit()) && !leading_zero && text != "-0" && text.parse::<i64>().is_ok()
}

fn is_number(text: &str) -> bool {
    let known = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let digits = text.trim_start_matches('-').as_bytes();
    let leading_zero = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    known && !leading_zero && text.contains(['.', 'e', 'E']) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_date(text: &str) -> bool {
    text.len() == "2000-01-01".len() && Date32Type::parse(text).is_some()
}

fn is_time(text: &str) -> bool {
    let separated = text.as_bytes().get(10).is_some_and(|byte| b" T".contains(byte));
    separated && string_to_timestamp_nanos(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(texts: &[&str]) -> DataType {
        let mut guess = Guess::default();
        for text in texts {
            guess.see(text);
        }
        guess.kind()
    }

    #[test]
    fn the_narrowest_type_that_loses_nothing_is_taken() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (texts, kind) in [
            (&[][..], DataType::Utf8),
            (&["1", "-20"], DataType::Int64),
            (&["1", "2.5", "1e3"], DataType::Float64),
            (&["00501", "10001"], DataType::Utf8),
            (&["00501.5"], DataType::Utf8),
            (&["-0"], DataType::Utf8),
            (&["99999999999999999999"], DataType::Utf8),
            (&["NaN", "1.0"], DataType::Utf8),
            (&["True", "false"], DataType::Boolean),
            (&["2001-01-31"], DataType::Date32),
            (&["2001-02-31"], DataType::Utf8),
            (&["2001-01-31T10:00:00", "2001-01-31 10:00:00.5"], time),
            (&["Amsterdam"], DataType::Utf8),
        ] {
            assert_eq!(guess(texts), kind, "{texts:?}");
        }
    }

    #[test]
    fn a_whole_number_is_written_as_it_was_read() {
        let mut random = fastrand::Rng::with_seed(7);
        for _case in 0..20_000 {
            let digits: String = (0..random.usize(1..21)).map(|_| random.digit(10)).collect();
            let text = format!("{}{digits}", if random.bool() { "-" } else { "" });
            if guess(&[&text]) == DataType::Int64 {
                assert_eq!(text.parse::<i64>().unwrap().to_string(), text);
            }
        }
    }
}
