//! Why a process ends: an error, and what the operator can do about it.
//!
//! `Failure` is deliberately no `std::error::Error`, so that `?` turns any error into one.

use std::error::Error;
use std::fmt;

/// An error on its way to the operator, with an optional hint.
pub struct Failure {
    source: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    /// A failure that has no error below it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { source: message.into().into(), hint: None }
    }

    /// Adds what the operator can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the operator can do, if known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { source: Box::new(error), hint: None }
    }
}

impl fmt::Display for Failure {
    /// The whole chain on one line: `cannot connect: connection refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self}, hint: {:?})", self.hint)
    }
}

/// Adds a hint to any result: `connect(&url).await.or_hint("is nats-server running?")?`.
pub trait Hint<T> {
    /// Turns an error into a [`Failure`] with that hint.
    fn or_hint(self, hint: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Hint<T> for Result<T, E> {
    fn or_hint(self, hint: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| error.into().with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot reach the server")]
    struct Unreachable(#[source] std::io::Error);

    #[test]
    fn the_chain_is_printed_once_and_the_hint_apart() {
        let error = Unreachable(std::io::Error::other("connection refused"));
        let failure = Err::<(), _>(error).or_hint("is it running?").unwrap_err();
        assert_eq!(failure.to_string(), "cannot reach the server: connection refused");
        assert_eq!(failure.hint(), Some("is it running?"));
    }
}
