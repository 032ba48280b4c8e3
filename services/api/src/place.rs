//! Whether two places can be a dataset's source and target, as far as that can be told without asking the storage.

use honk_protocol::dataset::{LocationSpec, Place, S3Place};

use crate::wire::Fault;

/// The longest bucket name and key that S3 allows, in bytes.
const MAX_BUCKET: usize = 255;
const MAX_KEY: usize = 1024;

/// All faults of a location. A place whose prefix has a `/` at its ends means the same without.
pub(crate) fn check(spec: &LocationSpec) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (side, place) in [("source", &spec.source), ("target", &spec.target)] {
        let Place::S3(place) = place;
        check_place(&format!("{side}.s3"), place, &mut faults);
    }
    faults
}

fn check_place(path: &str, place: &S3Place, faults: &mut Vec<Fault>) {
    let unsafe_text = |text: &str| text.contains(|c: char| c.is_control());
    let bucket = &place.bucket;
    if bucket.is_empty() || bucket.len() > MAX_BUCKET || bucket.contains(['/', ' ']) || unsafe_text(bucket) {
        faults.push(fault(path, "bucket", "must be a bucket's name, without `s3://` and without a path"));
    }
    if place.prefix.len() > MAX_KEY || unsafe_text(&place.prefix) || place.prefix.contains("//") {
        faults.push(fault(path, "prefix", "must be a folder inside the bucket, such as `exports/2024`"));
    }
    if place.endpoint.as_deref().is_some_and(|endpoint| !is_web_url(endpoint)) {
        faults.push(fault(path, "endpoint", "must be a URL, such as `https://s3.example.com`"));
    }
}

fn fault(path: &str, field: &str, message: &str) -> Fault {
    Fault { message: message.to_owned(), path: Some(format!("{path}.{field}")), ..Fault::default() }
}

fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|host| {
        !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
    })
}

/// Whether one of the places lies inside the other, or both are the same. A place without an endpoint is at the agents'
/// default, which is not known here; `honk/validate` compares those again.
pub(crate) fn overlap(spec: &LocationSpec) -> bool {
    let (Place::S3(source), Place::S3(target)) = (&spec.source, &spec.target);
    let endpoint =
        |place: &S3Place| place.endpoint.as_deref().map(|url| url.trim_end_matches('/').to_ascii_lowercase());
    source.bucket == target.bucket && endpoint(source) == endpoint(target) && nested(&source.prefix, &target.prefix)
}

fn nested(a: &str, b: &str) -> bool {
    let folder = |prefix: &str| match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let (a, b) = (folder(a), folder(b));
    a.starts_with(&b) || b.starts_with(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bucket: &str, prefix: &str, endpoint: Option<&str>) -> S3Place {
        S3Place { bucket: bucket.into(), prefix: prefix.into(), endpoint: endpoint.map(Into::into), region: None }
    }

    fn spec(source: S3Place, target: S3Place) -> LocationSpec {
        LocationSpec { source: Place::S3(source), target: Place::S3(target), format: None }
    }

    #[test]
    fn places_overlap_if_one_folder_is_the_other_or_lies_inside_it() {
        for (source, target, expected) in [
            (place("a", "", None), place("b", "", None), false),
            (place("a", "", None), place("a", "", None), true),
            (place("a", "", None), place("a", "x", None), true),
            (place("a", "x/y/", None), place("a", "x", None), true),
            (place("a", "x", None), place("a", "xy", None), false),
            (place("a", "x", Some("http://h:1")), place("a", "x", Some("http://h:2")), false),
            (place("a", "x", Some("http://H:1/")), place("a", "x", Some("http://h:1")), true),
        ] {
            let spec = spec(source, target);
            assert_eq!(overlap(&spec), expected, "{spec:?}");
        }
    }

    #[test]
    fn faults_say_which_field_of_which_side_is_meant() {
        let spec = spec(place("", "a//b", Some("ftp://x")), place("s3://b", "ok", Some("https://user@host")));
        let paths: Vec<String> = check(&spec).into_iter().filter_map(|fault| fault.path).collect();
        assert_eq!(
            paths,
            ["source.s3.bucket", "source.s3.prefix", "source.s3.endpoint", "target.s3.bucket", "target.s3.endpoint"]
        );
    }
}
