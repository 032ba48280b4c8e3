//! What is wrong with a configuration, all of it, each fault naming where it stands and what is expected.

use std::fmt;

use config::ConfigError;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable or file key at fault: `HONK_DRAIN__SECONDS`, `drain.seconds in /etc/honk.toml`.
    pub at: String,
    /// What is wrong and what is expected.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// All faults of a configuration, sorted by where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    faults: Vec<Fault>,
}

impl ConfigErrors {
    /// Also for what a service finds only after loading, such as two settings that exclude each other.
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| a.at.cmp(&b.at));
        Self { faults }
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.len() {
            1 => f.write_str("1 fault in the configuration")?,
            count => write!(f, "{count} faults in the configuration")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The error without its key and origin, which the fault names already.
pub(super) fn explain(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { unexpected, expected, .. } => format!("{unexpected}, expected {expected}"),
        ConfigError::At { error, .. } => explain(error),
        ConfigError::Message(message) => message.clone(),
        ConfigError::Foreign(error) => error.to_string(),
        ConfigError::FileParse { cause, .. } => cause.to_string(),
        other => other.to_string(),
    }
}

/// The known key that was most likely meant. One underscore where two belong counts as the nearest slip.
pub(super) fn nearest<'a>(unknown: &str, known: &'a [String]) -> Option<&'a String> {
    let plain = |key: &str| key.replace(['.', '-'], "_");
    let unknown = plain(unknown);
    let distance = |key: &&String| strsim::damerau_levenshtein(&unknown, &plain(key));
    known.iter().min_by_key(distance).filter(|key| distance(key) <= (unknown.len() / 4).max(2))
}
