//! What a dataset's transformation is told and what it answers: the `transform` and `expect` of `honk/migrate`, and the messages between
//! the migrate agent and the program `honk-transform`, which it runs as a child: one request on its standard input, JSON lines on its
//! standard output. The query engine is in that program alone, so that nobody else is built with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::Place;
use crate::evidence::EvidenceSide;
use crate::reason::Reason;

/// `transform:` of `honk/migrate`: how the dataset is to look at its target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransformSpec {
    /// A query over the table `source`; instead of `rename`, `cast`, `drop` and `add`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Old name to new name.
    pub rename: BTreeMap<String, String>,
    /// A column, by its name at the source, to its SQL type.
    pub cast: BTreeMap<String, String>,
    /// Columns, by their names at the source, that are left out.
    pub drop: Vec<String>,
    /// New columns, and the SQL expressions over the source's columns that they come from.
    pub add: BTreeMap<String, String>,
    /// The form of the target's files.
    pub format: Format,
    /// Columns whose values become folders.
    pub partition_by: Vec<String>,
    /// How the target's files are compressed; none given: `zstd` for Parquet, `none` for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Rows of a file at most; none given: [`TransformSpec::ROWS_PER_FILE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows_per_file: Option<u64>,
    /// What cannot be seen from the source's files themselves.
    pub input: InputSpec,
}

impl TransformSpec {
    /// Rows of a file where nothing else is asked for.
    pub const ROWS_PER_FILE: u64 = 5_000_000;

    /// Whether a short form is used.
    pub fn has_short_forms(&self) -> bool {
        !(self.rename.is_empty() && self.cast.is_empty() && self.drop.is_empty() && self.add.is_empty())
    }

    /// What is wrong with it in itself, whatever the data: `None` if nothing.
    pub fn problem(&self) -> Option<String> {
        if self.sql.is_some() && self.has_short_forms() {
            return Some("`sql` says it all: give it, or `rename`, `cast`, `drop` and `add`, not both".to_owned());
        }
        if self.max_rows_per_file == Some(0) {
            return Some("`max_rows_per_file` must be at least 1".to_owned());
        }
        if self.format != Format::Parquet && self.compression == Some(Compression::Snappy) {
            return Some("`compression: snappy` is for Parquet; text takes zstd, gzip or none".to_owned());
        }
        let both = self.drop.iter().find(|name| self.rename.contains_key(*name) || self.cast.contains_key(*name))?;
        Some(format!("the column `{both}` is dropped, and renamed or cast as well"))
    }
}

/// What cannot be seen from files, and what shall not be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputSpec {
    /// The form of all files; none given: by each key's extension, else by the first bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Between the fields of CSV; none given: a comma, or a tab for `.tsv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// SQL types of columns of text files, which are otherwise inferred from the first rows.
    pub columns: BTreeMap<String, String>,
    /// Fields of CSV that mean that there is no value.
    pub null: Vec<String>,
    /// Bytes of one row of text; a longer one is refused instead of held in memory.
    pub max_row_bytes: u64,
}

impl Default for InputSpec {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            columns: BTreeMap::new(),
            null: vec![String::new()],
            max_row_bytes: 16 << 20,
        }
    }
}

/// Forms of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line; as input also one array of objects.
    Json,
}

impl Format {
    /// Its word, which is also the extension of files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// Snappy; only inside Parquet.
    Snappy,
    /// Gzip.
    Gzip,
    /// Not at all.
    None,
}

/// `expect:` of `honk/migrate`: what the transformed rows must be. Rows that do not fit are put aside, and too many of them fail the job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Exactly these columns, in any order; empty: not checked.
    pub columns: Vec<String>,
    /// A column to its SQL type.
    pub types: BTreeMap<String, String>,
    /// Whether a column may be without a value.
    pub nullability: BTreeMap<String, bool>,
    /// Rows in all.
    pub row_count: Bounds,
    /// Columns, or lists of columns, whose values occur once.
    pub unique: Vec<Names>,
    /// Columns that have a value in every row.
    pub not_null: Vec<String>,
    /// Least and greatest values of columns.
    pub ranges: BTreeMap<String, Bounds>,
    /// The share of the source's rows, from 0 to 1, that may be put aside; with 0, the first one fails the job.
    pub max_rejected: f64,
    /// The folder for rows that do not fit: below the target, or `s3://…` for another place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// The same for the source's rows before the query, without `max_rejected`, `quarantine` and `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<Expect>>,
}

impl Expect {
    /// The folder below the target where rows are put that do not fit, unless another is given.
    pub const QUARANTINE: &str = "_quarantine";
    /// The ends of a transformation, after which the objects with rows that do not fit are called.
    pub const ENDS: [&str; 2] = ["source", "result"];
    /// How their names end.
    pub const LINES: &str = ".jsonl";

    /// What is wrong with it in itself: `None` if nothing.
    pub fn problem(&self) -> Option<String> {
        if !(0.0..=1.0).contains(&self.max_rejected) {
            return Some("`max_rejected` is a share from 0 to 1".to_owned());
        }
        let inner = self.source.as_ref()?;
        let outer_only = inner.max_rejected != 0.0 || inner.quarantine.is_some() || inner.source.is_some();
        outer_only.then(|| "`max_rejected`, `quarantine` and `source` belong into `expect` itself".to_owned())
    }

    /// The folder below the target for rows that do not fit; none if it is elsewhere.
    pub fn quarantine_below(&self) -> Option<&str> {
        let folder = self.quarantine.as_deref().unwrap_or(Self::QUARANTINE);
        (!folder.starts_with("s3://")).then(|| folder.trim_matches('/'))
    }

    /// Whether the object of this key below the target is one of those with rows that do not fit.
    pub fn is_quarantine(&self, key: &str) -> bool {
        let inside = self.quarantine_below().and_then(|folder| key.strip_prefix(folder)?.strip_prefix('/'));
        inside.is_some_and(|name| Self::ENDS.iter().any(|end| name.strip_prefix(*end) == Some(Self::LINES)))
    }

    /// Columns that have a value in every row, however it is said.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        let by_nullability = self.nullability.iter().filter(|(_, nullable)| !**nullable).map(|(name, _)| name.as_str());
        self.not_null.iter().map(String::as_str).chain(by_nullability)
    }
}

/// The least and the greatest value allowed; both ends belong to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
}

/// One column, or several together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One column.
    One(String),
    /// Several together.
    Several(Vec<String>),
}

impl Names {
    /// The columns.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// What `honk-transform` reads from its standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformRequest {
    /// Where the dataset lies.
    pub source: Place,
    /// Where it goes.
    pub target: Place,
    /// The `[storage]` section of the agent, secrets included.
    pub storage: Value,
    /// What to do.
    pub transform: TransformSpec,
    /// What must hold.
    #[serde(default)]
    pub expect: Expect,
    /// Bytes that the query may hold in memory; what needs more goes to disk.
    pub memory_bytes: u64,
    /// The folder for that; none given: the system's own for temporary files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill: Option<String>,
    /// Objects that were at the target before, by their keys below it, and are somebody else's: they are replaced where the result has
    /// files of their names, and never removed. None where nobody has looked: then the program refuses what it would not write itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Vec<String>>,
    /// Whether it ends with its standard input, and so with the agent that holds the other end.
    #[serde(default)]
    pub tethered: bool,
}

/// One line that `honk-transform` writes to its standard output. The last line is a result or a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransformReply {
    /// How far it is.
    Progress(TransformProgress),
    /// It is done.
    Result(Box<TransformResult>),
    /// It could not be done.
    Failure(TransformFailure),
}

/// How far a transformation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformProgress {
    /// Objects of the source that are read.
    pub objects: u64,
    /// Objects of the source.
    pub objects_total: u64,
    /// Bytes of them that are read.
    pub bytes: u64,
    /// Bytes of them.
    pub bytes_total: u64,
}

/// Why a transformation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformFailure {
    /// The stable code.
    pub reason: Reason,
    /// What happened, with the object's key and the line or row where they are known.
    pub message: String,
    /// Whether trying again can help.
    pub again: bool,
}

/// What a transformation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformResult {
    /// What it was and what it came to.
    #[serde(flatten)]
    pub evidence: TransformEvidence,
    /// The source as it was listed, and so as it was read: each object was asked for in the version that the listing had.
    pub source: EvidenceSide,
    /// Every object that was written below the target, rows that were put aside included.
    pub files: Vec<FileEvidence>,
    /// Objects of an earlier attempt that were removed.
    pub removed: u64,
}

/// What a transformation was, and what is known of the rows at both of its ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransformEvidence {
    /// The query, as it was run.
    pub sql: String,
    /// The rows before.
    pub before: RowsEvidence,
    /// The rows after.
    pub after: RowsEvidence,
    /// Objects of the source that were read; others are empty, or no data by their names.
    pub source_objects: u64,
    /// Their bytes.
    pub source_bytes: u64,
    /// Rows that were put aside.
    pub rejected: u64,
    /// Where they are; none if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// Rows at one end of a transformation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowsEvidence {
    /// How many.
    pub rows: u64,
    /// Their columns, in their order.
    pub columns: Vec<ColumnEvidence>,
    /// Columns that are not listed here, because a run's record has no room for them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_columns: u64,
}

impl TransformEvidence {
    /// Leaves out what does not fit into about `bytes` of JSON: the end of the query, and columns, which are counted.
    pub fn fit(&mut self, bytes: usize) {
        let share = bytes / 3;
        if self.sql.len() > share {
            self.sql.truncate(self.sql.floor_char_boundary(share));
            self.sql.push_str(" …");
        }
        self.before.fit(share);
        self.after.fit(share);
    }
}

impl RowsEvidence {
    fn fit(&mut self, bytes: usize) {
        // What the names of the fields and the figures come to.
        const FIGURES: usize = 160;
        let mut room = bytes;
        let mut fits = |column: &ColumnEvidence| {
            let needs = FIGURES + column.name.len() + column.kind.len();
            room.checked_sub(needs).map(|left| room = left).is_some()
        };
        let listed = self.columns.iter().take_while(|column| fits(column)).count();
        self.more_columns += (self.columns.len() - listed) as u64;
        self.columns.truncate(listed);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ColumnEvidence {
    /// Its name.
    pub name: String,
    /// Its type, in Arrow's words.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be without a value.
    pub nullable: bool,
    /// Rows without a value.
    pub nulls: u64,
    /// The sum of its values' hashes, in hexadecimal; the order of rows does not change it. docs/TRANSFORM.md has the definition.
    pub checksum: String,
}

/// One object that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEvidence {
    /// Its key below the target.
    pub key: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// What the store called the version.
    pub etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(yaml: &Value) -> TransformSpec {
        serde_json::from_value(yaml.clone()).unwrap()
    }

    #[test]
    fn what_contradicts_itself_is_named_before_anything_is_read() {
        let sql = serde_json::json!({ "sql": "SELECT 1", "drop": ["a"] });
        assert!(spec(&sql).problem().unwrap().contains("not both"));
        let rows = serde_json::json!({ "max_rows_per_file": 0 });
        assert!(spec(&rows).problem().unwrap().contains("at least 1"));
        let snappy = serde_json::json!({ "format": "csv", "compression": "snappy" });
        assert!(spec(&snappy).problem().unwrap().contains("snappy"));
        let dropped = serde_json::json!({ "drop": ["a"], "rename": { "a": "b" } });
        assert!(spec(&dropped).problem().unwrap().contains("`a`"));
        assert_eq!(spec(&serde_json::json!({ "rename": { "a": "b" } })).problem(), None);
    }

    #[test]
    fn an_expectation_of_the_source_has_no_share_of_its_own() {
        let expect = |text: &str| serde_json::from_str::<Expect>(text).unwrap().problem();
        assert!(expect(r#"{"source":{"max_rejected":0.1}}"#).is_some());
        assert!(expect(r#"{"max_rejected":1.1}"#).is_some());
        assert_eq!(expect(r#"{"source":{"not_null":["a"]},"max_rejected":0.5}"#), None);
    }

    #[test]
    fn rows_that_were_put_aside_are_told_from_other_objects() {
        let expect = |text: &str| serde_json::from_str::<Expect>(text).unwrap();
        let default = expect("{}");
        assert!(default.is_quarantine("_quarantine/source.jsonl") && default.is_quarantine("_quarantine/result.jsonl"));
        assert!(
            !default.is_quarantine("_quarantine/other.jsonl") && !default.is_quarantine("a/_quarantine/source.jsonl")
        );
        assert!(expect(r#"{"quarantine":"/aside/"}"#).is_quarantine("aside/source.jsonl"));
        assert!(!expect(r#"{"quarantine":"s3://b/aside"}"#).is_quarantine("aside/source.jsonl"));
    }

    #[test]
    fn columns_that_do_not_fit_into_a_record_are_counted() {
        let column = |number: usize| ColumnEvidence { name: format!("c{number}"), ..ColumnEvidence::default() };
        let rows = RowsEvidence { rows: 1, columns: (0..1_000).map(column).collect(), more_columns: 0 };
        let sql = format!("SELECT {}", "é, ".repeat(9_000));
        let mut all = TransformEvidence { sql, before: rows.clone(), after: rows, ..TransformEvidence::default() };
        all.fit(30_000);
        for rows in [&all.before, &all.after] {
            assert!((10..100).contains(&rows.columns.len()), "{}", rows.columns.len());
            assert_eq!(rows.columns.len() as u64 + rows.more_columns, 1_000);
        }
        assert!(all.sql.ends_with(" …") && serde_json::to_vec(&all).unwrap().len() < 30_500);
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        assert!(serde_json::from_str::<TransformSpec>(r#"{"fromat":"csv"}"#).is_err());
        assert!(serde_json::from_str::<Expect>(r#"{"uniqe":["a"]}"#).is_err());
    }
}
