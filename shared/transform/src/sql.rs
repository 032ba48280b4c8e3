//! The short forms as the query that they stand for.

use datafusion::arrow::datatypes::SchemaRef;
use honk_protocol::reason::Reason;
use honk_protocol::transform::TransformSpec;

use crate::fault::{Fault, unknown_column};

/// The query: as it is given, or what the short forms come to over these columns.
pub fn query(spec: &TransformSpec, schema: &SchemaRef) -> Result<String, Fault> {
    if let Some(problem) = spec.problem() {
        return Err(Fault::new(Reason::InputInvalid, problem));
    }
    if let Some(sql) = &spec.sql {
        return Ok(sql.trim_end_matches(|end: char| end == ';' || end.is_whitespace()).trim_start().to_owned());
    }
    let named = [
        ("`rename`", spec.rename.keys().collect::<Vec<_>>()),
        ("`cast`", spec.cast.keys().collect()),
        ("`drop`", spec.drop.iter().collect()),
    ];
    for (what, names) in named {
        for name in names {
            if schema.column_with_name(name).is_none() {
                return Err(unknown_column(what, name, schema.fields().iter().map(|field| field.name().as_str())));
            }
        }
    }
    let columns: Vec<String> = kept(spec, schema).chain(added(spec)).collect();
    if columns.is_empty() {
        return Err(Fault::new(Reason::TransformSqlInvalid, "`drop` leaves no column"));
    }
    Ok(format!("SELECT {} FROM source", columns.join(", ")))
}

/// What becomes of the source's columns. One that `add` names anew is replaced by it.
fn kept<'s>(spec: &'s TransformSpec, schema: &'s SchemaRef) -> impl Iterator<Item = String> + 's {
    let names = schema.fields().iter().map(|field| field.name());
    let names =
        names.filter(|name| !spec.drop.contains(name)).map(|name| (name, spec.rename.get(name).unwrap_or(name)));
    names.filter(|(_, new)| !spec.add.contains_key(*new)).map(|(name, new)| match spec.cast.get(name) {
        Some(kind) => format!("CAST({} AS {kind}) AS {}", quoted(name), quoted(new)),
        None if name == new => quoted(name),
        None => format!("{} AS {}", quoted(name), quoted(new)),
    })
}

fn added(spec: &TransformSpec) -> impl Iterator<Item = String> + '_ {
    spec.add.iter().map(|(name, expression)| format!("{expression} AS {}", quoted(name)))
}

/// A name as SQL has it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn compiled(spec: &str) -> Result<String, Fault> {
        let fields = ["a", "B c", "d\"e"].map(|name| Field::new(name, DataType::Utf8, true));
        query(&serde_json::from_str(spec).unwrap(), &Arc::new(Schema::new(fields.to_vec())))
    }

    #[test]
    fn short_forms_become_one_query() {
        let sql = compiled(r#"{"rename":{"B c":"b"},"cast":{"a":"BIGINT"},"drop":["d\"e"],"add":{"twice":"a || a"}}"#);
        assert_eq!(sql.unwrap(), r#"SELECT CAST("a" AS BIGINT) AS "a", "B c" AS "b", a || a AS "twice" FROM source"#);
        assert_eq!(compiled("{}").unwrap(), r#"SELECT "a", "B c", "d""e" FROM source"#);
        assert_eq!(compiled(r#"{"sql":"SELECT 1 ; "}"#).unwrap(), "SELECT 1");
    }

    #[test]
    fn a_column_that_is_not_there_is_named_with_the_form_that_names_it() {
        let fault = compiled(r#"{"drop":["b c"]}"#).unwrap_err();
        assert_eq!(fault.reason, Reason::TransformColumnUnknown);
        assert!(fault.message.contains("`drop`") && fault.message.contains("did you mean `B c`?"), "{fault}");
    }
}
