//! What a migration has proved, and how: kept with the run among the outputs of its job, under [`OUTPUT`], and shown by
//! `honk run evidence`.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Place;
use crate::name::{DatasetName, RunId};
use crate::transform::{RowsEvidence, TransformEvidence};

/// The name of the output.
pub const OUTPUT: &str = "evidence";

/// What was proved of a dataset before its readers were sent to the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// The dataset.
    pub dataset: DatasetName,
    /// The run.
    pub run: RunId,
    /// The epoch that the cut-over began.
    pub epoch: u64,
    /// When the last comparison was complete; nothing was found to be different.
    pub proved_at: Timestamp,
    /// Where the dataset was.
    pub source: EvidenceSide,
    /// Where it is.
    pub target: EvidenceSide,
    /// The digest of the target by its own `ETag`s: whoever lists it can make it again.
    pub listing: String,
    /// What was asked to be proved: `none`, `sample` or `full`; of a transformation nothing but `written`: that the target lists what was
    /// written.
    pub verify: String,
    /// What proved the objects equal.
    pub means: EvidenceMeans,
    /// What the work was first cut by, if it was not a listing of both places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_by: Option<PlannedBy>,
    /// How it came about, in the order of time.
    pub rounds: Vec<Round>,
    /// Objects at the target that are not the migration's and were left alone.
    pub foreign: u64,
    /// Objects that were not migrated, because the target had others under their names and was to keep them.
    pub skipped: u64,
    /// How long writers were asked to wait, in milliseconds.
    pub held_ms: u64,
    /// Objects that were written to the source after the last comparison; the target does not have them. None if nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// What became of the rows, where the dataset was not copied as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformEvidence>,
}

/// One of the two places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EvidenceSide {
    /// Where.
    pub place: Place,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The sum, modulo 2^256, of the SHA-256 of `key\0size\0checksum\n` of each object, in hex: the same in whatever order they are added.
    pub digest: String,
}

/// An inventory that the work was cut by. Nothing was proved by it: every object was listed at both places afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedBy {
    /// The address of its manifest.
    pub inventory: String,
    /// When the store began to write it, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// How many objects were proved equal by what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EvidenceMeans {
    /// By `ETag`s that tell the content.
    pub etag: u64,
    /// By checksums that the stores keep, or that were made while copying.
    pub checksum: u64,
    /// By their size alone.
    pub size: u64,
    /// Of all these, so many were read back from the target as well.
    pub read_back: u64,
}

/// One time that the target was brought to where the source was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Round {
    /// What kind it was.
    pub kind: RoundKind,
    /// Agents' deliveries that shared the work; 1 if one did all.
    pub parts: u32,
    /// Objects copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects removed, because the source had them no longer.
    pub removed: u64,
    /// Objects that changed while they were copied, and so were left to the next round.
    pub unsettled: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a round was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RoundKind {
    /// While writers went on.
    Copy,
    /// While they were asked to wait.
    Hold,
    /// The same, but it took too long: they were let go on.
    Aborted,
}

/// What came too late.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Late {
    /// How many objects.
    pub objects: u64,
    /// The first of them, relative to the place.
    pub first: Vec<String>,
}

impl Evidence {
    /// For people.
    pub fn to_markdown(&self) -> String {
        let what = match &self.transform {
            None => {
                format!("{} objects and {} bytes are the same on both sides", self.target.objects, self.target.bytes)
            }
            Some(transform) => {
                format!(
                    "{} rows became {}, and the target lists what was written",
                    transform.before.rows, transform.after.rows
                )
            }
        };
        let mut text = format!(
            "# Evidence: {} is at its target\n\nRun `{}`, epoch {}. Proved at {}: {what}.\n\n",
            self.dataset, self.run, self.epoch, self.proved_at
        );
        text.push_str("| | place | objects | bytes | digest |\n|---|---|---|---|---|\n");
        for (name, side) in [("source", &self.source), ("target", &self.target)] {
            put(
                &mut text,
                format_args!("| {name} | `{}` | {} | {} | `{}` |\n", side.place, side.objects, side.bytes, side.digest),
            );
        }
        put(
            &mut text,
            format_args!("\nThe target's listing, by its own ETags, has the digest `{}`.\n\n", self.listing),
        );
        match &self.transform {
            None => self.put_means(&mut text),
            Some(transform) => transform.put_markdown(&mut text),
        }
        text.push_str("| round | parts | copied | bytes | removed | unsettled | ms |\n|---|---|---|---|---|---|---|\n");
        for round in &self.rounds {
            let kind = match round.kind {
                RoundKind::Copy => "copy",
                RoundKind::Hold => "hold",
                RoundKind::Aborted => "hold, aborted",
            };
            let Round { parts, copied, bytes, removed, unsettled, took_ms, .. } = round;
            put(
                &mut text,
                format_args!("| {kind} | {parts} | {copied} | {bytes} | {removed} | {unsettled} | {took_ms} |\n"),
            );
        }
        if let Some(PlannedBy { inventory, created_at }) = &self.planned_by {
            let age = created_at.map(|at| format!(" of {at}")).unwrap_or_default();
            put(
                &mut text,
                format_args!(
                    "\nThe work was first cut by the inventory `{inventory}`{age}; every object was listed afterwards.\n"
                ),
            );
        }
        put(&mut text, format_args!("\nWriters were asked to wait for {} ms.\n", self.held_ms));
        if self.foreign > 0 {
            put(
                &mut text,
                format_args!("{} objects at the target are not the migration's and were left alone.\n", self.foreign),
            );
        }
        if self.skipped > 0 {
            put(&mut text, format_args!("{} objects were not migrated: the target keeps its own.\n", self.skipped));
        }
        match &self.late {
            Some(late) if late.objects > 0 => put(
                &mut text,
                format_args!(
                    "**{} objects were written to the source too late, and are not at the target**: {}\n",
                    late.objects,
                    late.first.join(", ")
                ),
            ),
            Some(_) => text.push_str("Nothing was written to the source after the last comparison.\n"),
            None => {}
        }
        text
    }
}

impl Evidence {
    fn put_means(&self, text: &mut String) {
        let EvidenceMeans { etag, checksum, size, read_back } = self.means;
        put(
            text,
            format_args!(
                "Proved equal (`verify: {}`): {etag} by ETag, {checksum} by checksum, {size} by size alone; {read_back} of them were also read back.\n\n",
                self.verify
            ),
        );
    }
}

impl TransformEvidence {
    fn put_markdown(&self, text: &mut String) {
        let Self { sql, before, after, source_objects, source_bytes, rejected, quarantine } = self;
        put(
            text,
            format_args!(
                "## Transformation\n```sql\n{sql}\n```\n{source_objects} objects and {source_bytes} bytes were read. "
            ),
        );
        match quarantine {
            Some(place) => put(text, format_args!("{rejected} rows did not fit and are in `{place}`.\n\n")),
            None => text.push_str("All rows fit.\n\n"),
        }
        put_rows(text, "before", before);
        put_rows(text, "after", after);
    }
}

fn put_rows(text: &mut String, when: &str, rows: &RowsEvidence) {
    put(
        text,
        format_args!(
            "{} rows {when}:\n\n| column | type | without a value | checksum |\n|---|---|---|---|\n",
            rows.rows
        ),
    );
    for column in &rows.columns {
        // A column may have any name.
        let name = column.name.replace('|', "\\|").replace(['\n', '\r'], " ");
        let nullable = if column.nullable { "" } else { " NOT NULL" };
        put(text, format_args!("| {name} | {}{nullable} | {} | `{}` |\n", column.kind, column.nulls, column.checksum));
    }
    if rows.more_columns > 0 {
        put(text, format_args!("\n{} more columns are not listed here.\n", rows.more_columns));
    }
    text.push('\n');
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    text.write_fmt(line).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::ColumnEvidence;

    fn sample() -> Evidence {
        let place: Place = serde_json::from_str(r#"{"s3":{"bucket":"old"}}"#).expect("a place");
        let side = EvidenceSide { place, objects: 2, bytes: 9, digest: "ab".into() };
        let round =
            Round { kind: RoundKind::Hold, parts: 1, copied: 2, bytes: 9, removed: 0, unsettled: 0, took_ms: 5 };
        Evidence {
            dataset: "sales".parse().expect("a name"),
            run: RunId::of_event("test", "1"),
            epoch: 2,
            proved_at: Timestamp::UNIX_EPOCH,
            source: side.clone(),
            target: side,
            listing: "cd".into(),
            verify: "sample".into(),
            means: EvidenceMeans { etag: 2, ..EvidenceMeans::default() },
            planned_by: Some(PlannedBy { inventory: "s3://lists/manifest.json".into(), created_at: None }),
            rounds: vec![round],
            foreign: 0,
            skipped: 0,
            held_ms: 7,
            late: Some(Late { objects: 1, first: vec!["a.csv".into()] }),
            transform: None,
        }
    }

    fn says(evidence: &Evidence, parts: &[&str]) {
        let text = evidence.to_markdown();
        for part in parts {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let json = serde_json::to_string(evidence).expect("serialises");
        assert_eq!(serde_json::from_str::<Evidence>(&json).expect("reads back"), *evidence);
    }

    #[test]
    fn people_read_what_was_proved_and_what_came_too_late() {
        let parts = [
            "sales",
            "epoch 2",
            "2 objects and 9 bytes are the same",
            "| source | `s3://old` | 2 | 9 | `ab` |",
            "`verify: sample`): 2 by ETag",
            "| hold | 1 | 2 | 9 |",
            "7 ms",
            "`s3://lists/manifest.json`; every",
            "too late",
            "a.csv",
        ];
        says(&sample(), &parts);
        assert!(!serde_json::to_string(&sample()).expect("serialises").contains("transform"));
    }

    #[test]
    fn people_read_what_became_of_the_rows() {
        let column = |name: &str, nullable| ColumnEvidence {
            name: name.into(),
            kind: "Int64".into(),
            nullable,
            nulls: 1,
            checksum: "0f".into(),
        };
        let rows = |rows, columns| RowsEvidence { rows, columns, more_columns: 0 };
        let transform = TransformEvidence {
            sql: "SELECT 1".into(),
            before: rows(4, vec![column("a|b", true)]),
            after: RowsEvidence { more_columns: 3, ..rows(3, vec![column("c", false)]) },
            source_objects: 2,
            source_bytes: 9,
            rejected: 1,
            quarantine: Some("s3://new/_quarantine/".into()),
        };
        let parts = [
            "4 rows became 3",
            "SELECT 1",
            "2 objects and 9 bytes were read. 1 rows did not fit and are in `s3://new/_quarantine/`",
            "| a\\|b | Int64 | 1 | `0f` |",
            "| c | Int64 NOT NULL | 1 | `0f` |",
            "3 more columns",
        ];
        says(&Evidence { transform: Some(transform), ..sample() }, &parts);
    }
}
