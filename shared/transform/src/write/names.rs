//! The names of what a transformation writes: the same for the same rows, and recognisable, so that what an earlier attempt left behind can
//! be told from what is somebody else's.

use honk_protocol::transform::Expect;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The folder of rows whose partition column has no value, as Hive calls it.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";
const DIGITS: usize = 5;

/// What cannot stand in one part of a path, and what would be taken for the form itself.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b'/')
    .add(b'\\')
    .add(b'=')
    .add(b'%')
    .add(b'"')
    .add(b'\'')
    .add(b'*')
    .add(b':')
    .add(b'?')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// The file of this number.
pub fn part(number: u64, extension: &str) -> String {
    format!("part-{number:0DIGITS$}.{extension}")
}

/// The folder of a partition, with its final `/`; empty where there are no partitions.
pub fn folder<'a>(values: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let parts = values.into_iter().map(|(column, value)| match value.filter(|value| !value.is_empty()) {
        Some(value) => format!("{}={}/", encoded(column), encoded(&value)),
        None => format!("{}={NO_VALUE}/", encoded(column)),
    });
    parts.collect()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNSAFE).to_string()
}

/// The object with the rows of `end` that were put aside.
pub fn aside(end: &str) -> String {
    format!("{end}{}", Expect::LINES)
}

/// Whether an object below the target is a file of a transformation, by its key below the target.
pub fn is_ours(relative: &str) -> bool {
    let (folders, name) = relative.rsplit_once('/').map_or(("", relative), |(folders, name)| (folders, name));
    let partitioned = folders.is_empty() || folders.split('/').all(|folder| folder.contains('='));
    partitioned && is_part(name)
}

fn is_part(name: &str) -> bool {
    let Some((number, extension)) = name.strip_prefix("part-").and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let form = extension.strip_suffix(".zst").or_else(|| extension.strip_suffix(".gz")).unwrap_or(extension);
    number.len() >= DIGITS
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ["parquet", "csv", "json"].contains(&form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_transformation_writes_is_its_own() {
        for own in ["part-00000.parquet", "a=1/b=x%2Fy/part-123456.csv.gz"] {
            assert!(is_ours(own), "{own}");
        }
        for other in ["part-1.parquet", "data/part-00000.parquet", "part-00000.txt", "README"] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn every_value_has_a_folder_that_is_recognised() {
        let mut random = fastrand::Rng::with_seed(7);
        for _case in 0..5_000 {
            let value: String = (0..random.usize(0..20)).map(|_| random.char(..)).collect();
            let folder = folder([("c/ol", Some(value))]);
            assert_eq!(folder.matches('/').count(), 1, "{folder:?}");
            let number = random.u64(0..10_000_000);
            assert!(is_ours(&format!("{folder}{}", part(number, "json.zst"))), "{folder:?}");
        }
    }
}
