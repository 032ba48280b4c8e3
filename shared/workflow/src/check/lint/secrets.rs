//! Secrets that are written into the workflow. It is stored and shown to everyone who may see it, for as long as its versions are kept.

use super::Lint;
use crate::check::fields::Fields;
use crate::diagnostic::{Diagnostic, Pos, Report, quote};
use crate::expr::Template;
use crate::tree::{Entry, Kind, Node};

/// Parts of a variable's name that say that its value is secret.
const SECRET_WORDS: [&str; 11] = [
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "TOKEN",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PAT",
    "PWD",
];
/// Last parts that say that it is something about the secret.
const HARMLESS_ENDS: [&str; 11] =
    ["FILE", "PATH", "DIR", "NAME", "ID", "URL", "URI", "TTL", "TYPE", "HEADER", "ENDPOINT"];
/// How secrets of well-known kinds begin, with how many letters, digits or signs follow at least.
const SECRET_BEGINNINGS: [(&str, usize); 12] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk_live_", 16),
    ("whsec_", 16),
    ("eyJhbGciOi", 20),
];

pub(super) fn check(lint: &Lint<'_>, report: &mut Report) {
    let Kind::Map(fields) = &lint.root.kind else { return };
    environment(fields, report);
    for entry in lint.entries {
        let Kind::Map(fields) = &entry.value.kind else { continue };
        environment(fields, report);
        let Some(Kind::List(steps)) = Fields::of(fields, "steps").map(|steps| &steps.value.kind) else { continue };
        for step in steps {
            let Kind::Map(fields) = &step.kind else { continue };
            environment(fields, report);
            for key in ["run", "with"] {
                if let Some(entry) = Fields::of(fields, key) {
                    texts(key, &entry.value, report);
                }
            }
        }
    }
}

fn environment(fields: &[Entry], report: &mut Report) {
    let Some(Kind::Map(variables)) = Fields::of(fields, "env").map(|env| &env.value.kind) else { return };
    for Entry { key, value } in variables {
        let Kind::Scalar(scalar) = &value.kind else { continue };
        let is_literal = Template::parse(&scalar.text).is_ok_and(|template| template.literal().is_some());
        if (is_literal && says_secret(&key.text, &scalar.text)) || looks_secret(&scalar.text) {
            report.push(secret(&format!("the value of {}", quote(&key.text)), value.pos));
        }
    }
}

fn texts(what: &str, node: &Node, report: &mut Report) {
    match &node.kind {
        Kind::Scalar(scalar) if looks_secret(&scalar.text) => {
            report.push(secret(&format!("a part of {}", quote(what)), node.pos));
        }
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| texts(what, item, report)),
        Kind::Map(entries) => entries.iter().for_each(|entry| texts(what, &entry.value, report)),
    }
}

fn secret(what: &str, pos: Pos) -> Diagnostic {
    let message = format!("{what} looks like a secret, which would be stored and shown with the workflow");
    let help = "remove it, set the variable where the agents are started, and name it in `pass_env` of their `[steps]` settings";
    Diagnostic::warning("secret", pos, message).with_help(help)
}

/// A name such as `DB_PASSWORD`. A `…_KEY` is one only if its value could be: there are sort keys and partition keys.
fn says_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let mut parts = name.split('_');
    let last = name.rsplit('_').next().unwrap_or_default();
    let is_trivial = value.len() < 3 || value.parse::<f64>().is_ok() || matches!(value, "true" | "false" | "none");
    if is_trivial || HARMLESS_ENDS.contains(&last) {
        return false;
    }
    parts.any(|part| SECRET_WORDS.contains(&part)) || (last == "KEY" && is_random(value))
}

/// At least sixteen characters without spaces, among them letters and digits.
fn is_random(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    value.len() >= 16 && !value.contains(char::is_whitespace) && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

fn looks_secret(text: &str) -> bool {
    let is_key = text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----");
    let follows = |rest: &str| rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_-./+=".contains(b)).count();
    let begins = |(beginning, least): (&str, usize)| {
        let mut places = text.match_indices(beginning);
        places.any(|(at, _)| {
            let stands_alone = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            stands_alone && follows(&text[at + beginning.len()..]) >= least
        })
    };
    is_key || SECRET_BEGINNINGS.into_iter().any(begins)
}
