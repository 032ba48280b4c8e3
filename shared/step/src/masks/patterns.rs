//! What credentials usually look like.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::Regex;

use super::Found;

/// One form. Its groups are masked, or all of it if it has none. It is looked for only where one of its triggers stands, in whatever case.
struct Pattern {
    triggers: &'static [&'static str],
    regex: &'static str,
}

const PATTERNS: &[Pattern] = &[
    // The id of an AWS access key, lasting or temporary.
    Pattern { triggers: &["AKIA", "ASIA"], regex: r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b" },
    // A value that is assigned to a name that says what it is. PWD in capitals is the shell's directory.
    Pattern {
        triggers: &[
            "passw",
            "pwd",
            "passphrase",
            "secret",
            "token",
            "api_key",
            "apikey",
            "api-key",
            "access_key",
            "accesskey",
            "private_key",
        ],
        regex: r#"(?x)(?: [Pp]wd | (?i-u:passw(?:or)?d|passphrase|secret|token|api[_-]?key|(?:secret|access|private)[_-]?(?:access)?[_-]?key))
            (?: ["']?\s*=>?\s* | ["']\s*:\s* )
            (?: "((?:[^"\\]|\\.)+) | '((?:[^'\\]|\\.)+) | ([^\s"'&,;=][^\s"'&,;]*) )"#,
    },
    // The same with a colon, as YAML and headers have it, where fewer words are secret: "token: expected" is a message.
    Pattern {
        triggers: &["passw", "secret", "token", "api_key", "apikey", "api-key"],
        regex: r#"(?x)(?: (?i-u:passw(?:or)?d|secret(?:[_-]?(?:access)?[_-]?key)?):\s*["']?([^\s"']+)
            | (?i-u:token|api[_-]?key):\s*["']?([^\s"']{16,}) )"#,
    },
    Pattern { triggers: &["bearer"], regex: r"\b(?i-u:bearer)[\s:]+([A-Za-z0-9._~+/=-]{8,})" },
    Pattern {
        triggers: &["authorization"],
        regex: r#"(?i-u:authorization)["']?\s*[:=]\s*["']?(?i-u:basic|digest|negotiate|token|apikey)\s+([^\s"']+)"#,
    },
    // The password in a URL. The last @ before the path ends it, because some passwords contain one.
    Pattern { triggers: &["://"], regex: r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?\#@:"']*:([^\s/?\#"'<>]+)@"# },
    Pattern {
        triggers: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        regex: r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    },
    Pattern { triggers: &["xox"], regex: r"\bxox[a-z]-[A-Za-z0-9-]{10,}" },
    // A JSON web token: two or three parts, the first of which begins with `{"` in base64.
    Pattern { triggers: &["eyJ"], regex: r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?" },
    // A private key, as far as it stands in one line; the lines that follow are masked by [`in_key_after`].
    Pattern {
        triggers: &["-----BEGIN"],
        regex: r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(.*?)(?:-----END [A-Z0-9 ]*-----|$)",
    },
];

/// The line that begins a private key, and the one that ends it.
static KEY_BEGINS: LazyLock<Regex> = LazyLock::new(|| compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
static KEY_ENDS: LazyLock<Regex> = LazyLock::new(|| compile(r"-----END [A-Z0-9 ]*-----"));

/// A line that can stand inside of a key: nothing but base64, or enough of it behind whatever a logger wrote before it, or a header.
static KEY_BODY: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^\s*[A-Za-z0-9+/=]*\s*$|[A-Za-z0-9+/]{40}|^\s*(?:Proc-Type|DEK-Info|Version|Comment): ")
});

static REGEXES: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PATTERNS.iter().map(|pattern| compile(pattern.regex)).collect());

/// The search for all triggers, and the pattern that each belongs to.
static TRIGGERS: LazyLock<(AhoCorasick, Vec<usize>)> = LazyLock::new(|| {
    let (triggers, owners): (Vec<_>, Vec<_>) = PATTERNS
        .iter()
        .enumerate()
        .flat_map(|(owner, pattern)| pattern.triggers.iter().map(move |trigger| (*trigger, owner)))
        .unzip();
    #[expect(clippy::expect_used, reason = "built of constants; every test of this crate that masks a line would fail")]
    let search = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(triggers).expect("triggers are few");
    (search, owners)
});

#[expect(
    clippy::expect_used,
    reason = "the expressions are constants; every test of this crate that masks a line would fail"
)]
fn compile(regex: &str) -> Regex {
    Regex::new(regex).expect("a regular expression")
}

/// Adds what looks like a credential; with `in_key`, also the rest of a private key that began in an earlier line.
pub(super) fn find(text: &str, in_key: bool, found: &mut Found) {
    if in_key && let Some(end) = key_goes_on(text) {
        found.add(0..end);
    }
    let (search, owners) = &*TRIGGERS;
    let mut wanted = [false; PATTERNS.len()];
    for hit in search.find_overlapping_iter(text) {
        wanted[owners[hit.pattern().as_usize()]] = true;
    }
    for (regex, _) in REGEXES.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
        for captures in regex.captures_iter(text) {
            let mut groups = captures.iter().flatten().map(|group| group.range());
            let Some(whole) = groups.next() else { continue };
            if regex.captures_len() == 1 {
                found.add(whole);
            } else {
                found.secrets.extend(groups);
                found.matches.push(whole);
            }
        }
    }
}

/// Whether a private key goes on after this line.
pub(super) fn in_key_after(line: &str, in_key: bool) -> bool {
    if !in_key && !line.contains("-----BEGIN") {
        return false;
    }
    let last = |regex: &Regex| regex.find_iter(line).last().map(|found| found.end());
    match (last(&KEY_BEGINS), last(&KEY_ENDS)) {
        (Some(begin), Some(end)) => begin > end,
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => in_key && KEY_BODY.is_match(line),
    }
}

/// How far into the line a key goes that began in an earlier one; not at all if the line cannot belong to a key.
fn key_goes_on(line: &str) -> Option<usize> {
    match KEY_ENDS.find(line) {
        Some(end) => Some(end.start()),
        None => KEY_BODY.is_match(line).then_some(line.len()),
    }
}

/// Whether a credential cannot go on with this character.
pub(super) fn ends_secret(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '&' | ',' | ';' | '<' | '>')
}
