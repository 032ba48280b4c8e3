//! Where objects are: endpoint, bucket and prefix, and the questions that need no network.
//!
//! A prefix is a folder: `data/a` means `data/a/` and never matches `data/ab/`. Whether two places are one endpoint is
//! decided from the spelling of their URLs; two spellings of one server that this does not recognise are treated as two
//! servers, which costs speed, never safety of the source.

/// A bucket and prefix at an S3 endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The bucket's name.
    pub bucket: String,
    /// Empty for the whole bucket, else a folder; a missing final `/` is added by [`Place::prefix`].
    pub prefix: String,
    /// The URL of an S3-compatible server; `None` is AWS.
    pub endpoint: Option<String>,
    /// The region to sign for; `None` is the configured default.
    pub region: Option<String>,
}

impl Place {
    /// A place at AWS in the default region.
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), prefix: prefix.into(), endpoint: None, region: None }
    }

    /// The same bucket and prefix at the server with this URL.
    #[must_use]
    pub fn at(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// The prefix as listings use it: empty, or ending with `/`.
    pub fn prefix(&self) -> String {
        match self.prefix.as_str() {
            "" => String::new(),
            folder if folder.ends_with('/') => folder.to_owned(),
            folder => format!("{folder}/"),
        }
    }

    /// The full key of an object named relative to this place.
    pub fn key(&self, relative: &str) -> String {
        format!("{}{relative}", self.prefix())
    }

    /// The URL in one spelling: lower-case scheme and host, no default port, no final slash.
    pub(crate) fn endpoint_url(&self) -> Option<String> {
        self.endpoint.as_deref().map(|url| normal_endpoint(url, |host| host))
    }

    /// The same with one name for loopback: for comparing, and not for asking, because a certificate is for one name only.
    pub(crate) fn endpoint_id(&self) -> Option<String> {
        self.endpoint.as_deref().map(|url| normal_endpoint(url, one_loopback))
    }
}

/// Whether the two places are served by one endpoint, so that it can copy between them by itself.
pub fn is_same_endpoint(a: &Place, b: &Place) -> bool {
    a.endpoint_id() == b.endpoint_id() && a.region == b.region
}

/// Whether the places share objects: same endpoint and bucket, and equal prefixes or one inside the other.
///
/// The region is left out on purpose: a bucket is one bucket whatever region a request is signed for.
pub fn overlap(a: &Place, b: &Place) -> bool {
    let (one, other) = (a.prefix(), b.prefix());
    a.endpoint_id() == b.endpoint_id() && a.bucket == b.bucket && (one.starts_with(&other) || other.starts_with(&one))
}

fn normal_endpoint(url: &str, host_name: fn(&str) -> &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_ascii_lowercase() };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, format!(":{port}")),
        _ => (authority, String::new()),
    };
    format!("{scheme}://{}{port}{path}", host_name(host))
}

fn one_loopback(host: &str) -> &str {
    if matches!(host, "localhost" | "[::1]") { "127.0.0.1" } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(prefix: &str) -> Place {
        Place::new("bucket", prefix)
    }

    #[test]
    fn a_prefix_is_a_folder_and_not_the_start_of_a_name() {
        assert_eq!(place("data/a").prefix(), "data/a/");
        assert_eq!(place("data/a/").prefix(), "data/a/");
        assert_eq!(place("").prefix(), "");
        assert_eq!(place("data/a").key("x"), "data/a/x");
        assert!(!overlap(&place("data/a"), &place("data/ab")));
        assert!(overlap(&place("data/a"), &place("data/a/b")));
        assert!(overlap(&place(""), &place("anything")));
    }

    #[test]
    fn one_endpoint_has_many_spellings() {
        let same = ["http://localhost:80", "HTTP://LocalHost/", "http://127.0.0.1", "http://[::1]:80/"];
        for url in same {
            assert!(is_same_endpoint(&place("a").at(url), &place("b").at(same[0])), "{url}");
        }
        let asked = place("a").at("HTTPS://LocalHost:443/").endpoint_url();
        assert_eq!(asked.as_deref(), Some("https://localhost"), "its certificate is for this name");
        assert!(!is_same_endpoint(&place("a").at("http://localhost:81"), &place("b").at(same[0])));
        assert!(!is_same_endpoint(&place("a").at("https://localhost"), &place("b").at(same[0])));
        assert!(!is_same_endpoint(&place("a"), &place("b").at(same[0])));
    }

    proptest! {
        #[test]
        fn overlap_means_that_some_key_lies_in_both(a in "(a|b|/){0,4}", b in "(a|b|/){0,4}", key in "(a|b|/){0,9}") {
            let (one, other) = (place(&a), place(&b));
            prop_assert_eq!(overlap(&one, &other), overlap(&other, &one));
            let full = one.key(&key);
            if full.starts_with(&other.prefix()) {
                prop_assert!(overlap(&one, &other));
            }
            let shared = overlap(&one, &other);
            let longest = if one.prefix().len() > other.prefix().len() { one.prefix() } else { other.prefix() };
            let in_both = longest.starts_with(&one.prefix()) && longest.starts_with(&other.prefix());
            prop_assert_eq!(shared, in_both);
        }

        #[test]
        fn another_bucket_or_server_never_overlaps(prefix in "[a-c/]{0,5}") {
            let here = place(&prefix);
            prop_assert!(overlap(&here, &here.clone()));
            let other = Place { bucket: "other".into(), ..here.clone() };
            prop_assert!(!overlap(&here, &other));
            prop_assert!(!overlap(&here, &here.clone().at("http://elsewhere:9000")));
        }
    }
}
