//! What an unquoted scalar means, by YAML 1.2's core schema (section 10.3.2), as JSON. Quoted ones are always text.

use serde_json::{Number, Value};

use crate::tree::Scalar;

/// The scalar as JSON.
///
/// # Errors
/// Why it has no exact JSON.
pub(crate) fn value(scalar: &Scalar) -> Result<Value, &'static str> {
    let text = scalar.text.as_str();
    if scalar.is_null() {
        return Ok(Value::Null);
    }
    if !scalar.plain {
        return Ok(Value::from(text));
    }
    match text {
        "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
        _ if is_not_finite(text) => Err("JSON has no infinite and undefined numbers"),
        _ if is_number(text) => number(text),
        _ => Ok(Value::from(text)),
    }
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn number(text: &str) -> Result<Value, &'static str> {
    const RANGE: &str = "this number is larger or more precise than can be kept exactly";
    let whole = match text.split_at_checked(2) {
        Some(("0x", digits)) => Some(u64::from_str_radix(digits, 16).map(Number::from)),
        Some(("0o", digits)) => Some(u64::from_str_radix(digits, 8).map(Number::from)),
        _ if text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) => None,
        _ if text.starts_with('-') => Some(text.parse::<i64>().map(Number::from)),
        _ => Some(text.parse::<u64>().map(Number::from)),
    };
    match whole {
        Some(number) => number.map(Value::Number).map_err(|_| RANGE),
        None => text
            .parse()
            .ok()
            .filter(|number| reads_back(*number))
            .and_then(Number::from_f64)
            .ok_or(RANGE)
            .map(Value::Number),
    }
}

/// Whether JSON keeps this number. `serde_json` may read back a neighbour of what it wrote, and then the same stored
/// workflow would have two hashes.
pub(crate) fn reads_back(number: f64) -> bool {
    serde_json::to_string(&number)
        .and_then(|json| serde_json::from_str::<f64>(&json))
        .is_ok_and(|read| read.to_bits() == number.to_bits())
}

/// `[-+]? ( "." digits | digits ( "." digits? )? ) ( [eE] [-+]? digits )?`, or an unsigned `0x…` or `0o…`.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| matches!(b, b'0'..=b'7'));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let exponent_is_good = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let mantissa_is_good = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            (whole.is_empty() || digits(whole)) && (fraction.is_empty() || digits(fraction)) && mantissa != "."
        }
        None => digits(mantissa),
    };
    exponent_is_good && mantissa_is_good
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(text: &str) -> Result<Value, &'static str> {
        value(&Scalar { text: text.to_owned(), plain: true })
    }

    #[test]
    fn unquoted_scalars_follow_the_core_schema() {
        for (text, expected) in [
            ("~", json!(null)),
            ("True", json!(true)),
            ("0o17", json!(15)),
            ("0xFf", json!(255)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            ("1e3", json!(1000.0)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("1_000", json!("1_000")),
            ("1.2.3", json!("1.2.3")),
            ("2026-01-01", json!("2026-01-01")),
            (".", json!(".")),
            ("-", json!("-")),
            ("0x", json!("0x")),
            ("e5", json!("e5")),
            ("ä", json!("ä")),
        ] {
            assert_eq!(plain(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn numbers_without_exact_json_are_refused() {
        for text in [".inf", "-.INF", ".nan", "99999999999999999999", "1e999"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quoted_scalar_is_text() {
        let quoted = Scalar { text: "12".to_owned(), plain: false };
        assert_eq!(value(&quoted), Ok(json!("12")));
    }
}
