//! Why a transformation failed: a reason code, what happened with key and line, and whether trying again can help.
//!
//! Faults travel through the query engine inside its own errors and are taken out of them again in [`Fault::of_engine`].

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use honk_protocol::dataset::Side;
use honk_protocol::reason::Reason;
use honk_protocol::settle::Again;
use honk_protocol::transform::TransformFailure;
use honk_storage::StorageError;
use parquet::errors::ParquetError;

/// A failed transformation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The stable code.
    pub reason: Reason,
    /// What happened.
    pub message: String,
    /// Whether trying again can help.
    pub again: bool,
}

impl Fault {
    /// One that will not pass by itself.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), again: false }
    }

    /// What a store answered at `side`.
    pub fn of_store(error: &StorageError, side: Side) -> Self {
        let failed = error.failed(side);
        Self { reason: failed.reason, message: failed.message, again: failed.again != Again::Never }
    }

    /// What went wrong on this machine: its disk, mostly.
    pub fn of_machine(doing: &str, error: &std::io::Error) -> Self {
        Self { reason: Reason::TransformMemory, message: format!("{doing}: {error}"), again: true }
    }

    /// What reading `key` as Parquet met: the store's own words where it was the store, else a damaged file.
    pub fn of_parquet(key: &str, error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(other) => truncated(key, &other.to_string()),
            },
            other => truncated(key, &other.to_string()),
        }
    }

    /// What the engine met, or the fault that came to it from a reader.
    pub fn of_engine(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(other) => Self::new(Reason::TransformSqlInvalid, other.to_string()),
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::of_engine(*inner),
            DataFusionError::Shared(inner) => Self::of_shared(&inner),
            DataFusionError::ArrowError(inner, _) => Self::of_arrow(*inner),
            DataFusionError::ResourcesExhausted(message) => Self::new(Reason::TransformMemory, message),
            DataFusionError::IoError(error) => Self::of_machine("the query's files on disk", &error),
            DataFusionError::SchemaError(inner, _) => of_schema(&inner),
            other => Self::new(Reason::TransformSqlInvalid, other.strip_backtrace()),
        }
    }

    fn of_arrow(error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(inner) => match inner.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(inner) => match inner.downcast::<DataFusionError>() {
                    Ok(inner) => Self::of_engine(*inner),
                    Err(other) => Self::new(Reason::TransformSqlInvalid, other.to_string()),
                },
            },
            other => Self::new(Reason::TransformSqlInvalid, other.to_string()),
        }
    }

    /// An error that several consumers of one stream were given cannot be taken apart, only looked into.
    fn of_shared(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::External(inner) => inner.downcast_ref::<Self>().cloned(),
            DataFusionError::ResourcesExhausted(message) => Some(Self::new(Reason::TransformMemory, message)),
            _ => None,
        }
        .unwrap_or_else(|| Self::new(Reason::TransformSqlInvalid, error.strip_backtrace()))
    }
}

impl From<Fault> for DataFusionError {
    fn from(fault: Fault) -> Self {
        Self::External(Box::new(fault))
    }
}

impl From<Fault> for TransformFailure {
    fn from(fault: Fault) -> Self {
        Self { reason: fault.reason, message: fault.message, again: fault.again }
    }
}

/// The object is cut off or damaged.
pub fn truncated(key: &str, detail: &str) -> Fault {
    Fault::new(Reason::TransformTruncated, format!("`{key}` is cut off or damaged: {detail}"))
}

/// A column that is not there, with the one that may have been meant.
pub fn unknown_column<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Fault {
    let known: Vec<&str> = known.into_iter().collect();
    let close = known.iter().filter(|other| is_close(name, other)).min_by_key(|other| distance(name, other));
    let hint = match close {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("there are {}", listed(&known)),
    };
    Fault::new(Reason::TransformColumnUnknown, format!("{what} names the column `{name}`, which is not there: {hint}"))
}

fn of_schema(error: &SchemaError) -> Fault {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            unknown_column("the query", &field.name, valid_fields.iter().map(|field| field.name.as_str()))
        }
        other => Fault::new(Reason::TransformSqlInvalid, other.to_string()),
    }
}

fn is_close(name: &str, other: &str) -> bool {
    distance(name, other) <= name.chars().count().div_ceil(3)
}

fn distance(name: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase())
}

/// At most a few of the names, in quotes.
pub fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_out_of_the_engine_as_it_went_in() {
        let fault = Fault::new(Reason::TransformRagged, "`a.csv`, line 3");
        let engine = DataFusionError::from(fault.clone()).context("somewhere");
        assert_eq!(Fault::of_engine(engine), fault);
        let nested = DataFusionError::from(ArrowError::ExternalError(Box::new(DataFusionError::from(fault.clone()))));
        assert_eq!(Fault::of_engine(nested), fault);
    }

    #[test]
    fn an_unknown_column_comes_with_the_closest_one() {
        let fault = unknown_column("`drop`", "orgin", ["Origin", "dest"]);
        assert!(fault.message.contains("did you mean `Origin`?"), "{fault}");
        let fault = unknown_column("`drop`", "zzz", ["Origin", "dest"]);
        assert!(fault.message.contains("there are `Origin`, `dest`"), "{fault}");
    }
}
