//! `retry_count`, `timeout`, `backoff` and `reject_codes`: what the workflow says is the default of its jobs.

use std::collections::BTreeSet;

use honk_protocol::retry::RetryPolicy;

use super::fields::Fields;
use super::values::{text_of, texts, whole_number};
use crate::diagnostic::{Diagnostic, Report, quote};
use crate::model::Job;
use crate::tree::Entry;
use crate::{duration, scalar};

pub(super) const MIN_TIMEOUT_MS: u64 = 1_000;
pub(super) const BACKOFF_KEYS: [&str; 3] = ["initial", "factor", "max"];
/// Seven days: the longest timeout and the longest delay.
const MAX_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
const MAX_FACTOR: f64 = 100.0;
/// `EX_TEMPFAIL` of `sysexits.h`.
const TEMPORARY: u8 = 75;

#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) retry: RetryPolicy,
    pub(super) timeout_ms: u64,
    pub(super) reject_codes: Vec<u8>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { retry: RetryPolicy::default(), timeout_ms: Job::DEFAULT_TIMEOUT_MS, reject_codes: Vec::new() }
    }
}

impl Policy {
    /// This policy, with what `fields` says instead.
    pub(super) fn overlaid(&self, fields: &Fields<'_>, report: &mut Report) -> Self {
        let mut policy = self.clone();
        if let Some(count) = fields.get("retry_count").and_then(|entry| retry_count(entry, report)) {
            policy.retry.retry_count = count;
        }
        if let Some(timeout) = fields.get("timeout").and_then(|entry| time(entry, MIN_TIMEOUT_MS, MAX_MS, report)) {
            policy.timeout_ms = timeout;
        }
        if let Some(codes) = fields.get("reject_codes").and_then(|entry| reject_codes(entry, report)) {
            policy.reject_codes = codes;
        }
        if let Some(entry) = fields.get("backoff") {
            backoff(entry, &mut policy.retry, report);
        }
        policy
    }
}

fn retry_count(entry: &Entry, report: &mut Report) -> Option<u32> {
    const MAX: u32 = RetryPolicy::MAX_RETRY_COUNT;
    let text = text_of(entry, report)?;
    let count = whole_number(text).filter(|count| *count <= MAX);
    if count.is_none() {
        let message = format!("`retry_count` must be a whole number from 0 to {MAX}, but is {}", quote(text));
        report.push(Diagnostic::error("retry-count", entry.value.pos, message));
    }
    count
}

/// Exit statuses after which trying again cannot help, in order.
pub(super) fn reject_codes(entry: &Entry, report: &mut Report) -> Option<Vec<u8>> {
    if entry.value.is_null() {
        report.push(Diagnostic::error("type", entry.key.pos, "`reject_codes` must be a list, but is empty"));
        return None;
    }
    let mut codes = BTreeSet::new();
    for (text, pos) in texts(entry, report) {
        match whole_number(text).and_then(|code| u8::try_from(code).ok()) {
            Some(TEMPORARY) => {
                let message = format!("exit status {TEMPORARY} always asks for another attempt, and cannot reject");
                let help = "remove it, and let the program end with another status";
                report.push(Diagnostic::error("reject-code", pos, message).with_help(help));
            }
            Some(code) if code > 0 => {
                codes.insert(code);
            }
            _ => {
                let message = format!("{} is no exit status of a failure", quote(text));
                let help = "write statuses from 1 to 255, like `reject_codes: [2, 64]`";
                report.push(Diagnostic::error("reject-code", pos, message).with_help(help));
            }
        }
    }
    Some(codes.into_iter().collect())
}

/// A duration, in milliseconds.
pub(super) fn time(entry: &Entry, min: u64, max: u64, report: &mut Report) -> Option<u64> {
    let text = text_of(entry, report)?;
    let Some(milliseconds) = duration::parse(text) else {
        let message = format!("{} of `{}` is not a duration", quote(text), entry.key.text);
        report.push(Diagnostic::error("duration", entry.value.pos, message).with_help(duration::HELP));
        return None;
    };
    if !(min..=max).contains(&milliseconds) {
        let (min, max) = (duration::show(min), duration::show(max));
        let message = format!("`{}` must be between {min} and {max}, but is {}", entry.key.text, quote(text));
        report.push(Diagnostic::error("duration-range", entry.value.pos, message));
        return None;
    }
    Some(milliseconds)
}

fn backoff(entry: &Entry, retry: &mut RetryPolicy, report: &mut Report) {
    let Some(fields) = Fields::read(&entry.value, "`backoff`", &BACKOFF_KEYS, report) else { return };
    if let Some(initial) = fields.get("initial").and_then(|entry| time(entry, 0, MAX_MS, report)) {
        retry.initial_ms = initial;
    }
    if let Some(max) = fields.get("max").and_then(|entry| time(entry, 0, MAX_MS, report)) {
        retry.max_ms = max;
    }
    if let Some(factor) = fields.get("factor").and_then(|entry| factor(entry, report)) {
        retry.factor = factor;
    }
    if retry.initial_ms > retry.max_ms {
        let (initial, max) = (duration::show(retry.initial_ms), duration::show(retry.max_ms));
        let message = format!("the first delay ({initial}) is longer than the longest one ({max})");
        report.push(
            Diagnostic::error("backoff", entry.key.pos, message)
                .with_help(format!("write `max: {initial}` or more, or a shorter `initial`")),
        );
    }
}

fn factor(entry: &Entry, report: &mut Report) -> Option<f64> {
    let text = text_of(entry, report)?;
    let factor = text.parse().ok().filter(|factor| (1.0..=MAX_FACTOR).contains(factor) && scalar::reads_back(*factor));
    if factor.is_none() {
        let message = format!("`factor` must be a number from 1 to {MAX_FACTOR}, but is {}", quote(text));
        report.push(Diagnostic::error("backoff", entry.value.pos, message));
    }
    factor
}
