//! The contract on rows, at one end of a transformation: what can be said of the columns before any row is read, and row by row what does
//! not fit and why.

use std::collections::BTreeMap;

use arrow::array::{Array as _, ArrayRef, BooleanArray, RecordBatch, Scalar, StringArray};
use arrow::compute::kernels::cmp::{gt, lt};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use honk_protocol::reason::Reason;
use honk_protocol::transform::{Bounds, Expect, Names};
use serde_json::Value;

use crate::fault::{Fault, listed, unknown_column};

/// The checks of one end, ready for its columns.
#[derive(Debug, Clone)]
pub struct Checker {
    end: &'static str,
    required: Vec<usize>,
    ranges: Vec<Range>,
    names: Vec<String>,
    row_count: Bounds,
}

#[derive(Debug, Clone)]
struct Range {
    column: usize,
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
}

impl Checker {
    /// Checks the columns of `end`, which is a word for people, and prepares what is checked row by row. `types` are the SQL types of
    /// `expect`, in Arrow's words.
    pub fn new(
        end: &'static str,
        expect: &Expect,
        schema: &SchemaRef,
        types: &BTreeMap<String, DataType>,
    ) -> Result<Self, Fault> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut checker =
            Self { end, required: Vec::new(), ranges: Vec::new(), names, row_count: expect.row_count.clone() };
        checker.has_exactly(&expect.columns)?;
        checker.has_types(types, schema)?;
        for name in expect.required() {
            checker.required.push(checker.column(name)?);
        }
        for name in expect.nullability.keys().chain(expect.unique.iter().flat_map(Names::names)) {
            checker.column(name)?;
        }
        for (name, bounds) in &expect.ranges {
            let column = checker.column(name)?;
            let kind = schema.field(column).data_type();
            let bound = |value: &Option<Value>| value.as_ref().map(|value| bound(name, value, kind)).transpose();
            checker.ranges.push(Range { column, min: bound(&bounds.min)?, max: bound(&bounds.max)? });
        }
        Ok(checker)
    }

    fn column(&self, name: &str) -> Result<usize, Fault> {
        let found = self.names.iter().position(|own| own == name);
        let what = format!("`expect`, of {},", self.end);
        found.ok_or_else(|| unknown_column(&what, name, self.names.iter().map(String::as_str)))
    }

    fn has_exactly(&self, columns: &[String]) -> Result<(), Fault> {
        if columns.is_empty() {
            return Ok(());
        }
        for name in columns {
            self.column(name)?;
        }
        let more: Vec<&str> = self.names.iter().filter(|name| !columns.contains(name)).map(String::as_str).collect();
        if more.is_empty() {
            return Ok(());
        }
        Err(broken(format!("{} has columns that `expect` does not name: {}", self.end, listed(&more))))
    }

    fn has_types(&self, types: &BTreeMap<String, DataType>, schema: &SchemaRef) -> Result<(), Fault> {
        for (name, wanted) in types {
            let kind = schema.field(self.column(name)?).data_type();
            if !is_alike(kind, wanted) {
                return Err(broken(format!("`{name}` of {} is {kind}, and `expect` says {wanted}", self.end)));
            }
        }
        Ok(())
    }

    /// Why rows do not fit: the first reason of each, in the order of the rows.
    pub fn misfits(&self, batch: &RecordBatch) -> Result<BTreeMap<usize, String>, Fault> {
        let mut misfits = BTreeMap::new();
        for &column in &self.required {
            let values = batch.column(column);
            if values.null_count() > 0 {
                let rows = (0..values.len()).filter(|row| values.is_null(*row));
                rows.for_each(|row| note(&mut misfits, row, || format!("`{}` has no value", self.names[column])));
            }
        }
        for range in &self.ranges {
            self.outside(range, batch, &mut misfits)?;
        }
        Ok(misfits)
    }

    fn outside(&self, range: &Range, batch: &RecordBatch, misfits: &mut BTreeMap<usize, String>) -> Result<(), Fault> {
        let (values, name) = (batch.column(range.column), &self.names[range.column]);
        let mut mark = |outside: &BooleanArray, why: &str| {
            let rows = (0..outside.len()).filter(|row| outside.is_valid(*row) && outside.value(*row));
            rows.for_each(|row| note(misfits, row, || format!("`{name}` is {why}")));
        };
        if let Some(min) = &range.min {
            mark(&lt(values, &Scalar::new(min.clone())).map_err(engine)?, "less than `expect` allows");
        }
        if let Some(max) = &range.max {
            mark(&gt(values, &Scalar::new(max.clone())).map_err(engine)?, "more than `expect` allows");
        }
        Ok(())
    }

    /// Whether the number of rows is right.
    pub fn count(&self, rows: u64) -> Result<(), Fault> {
        let number = |bound: &Option<Value>| bound.as_ref().and_then(Value::as_u64);
        let (min, max) = (number(&self.row_count.min), number(&self.row_count.max));
        if min.is_none_or(|min| rows >= min) && max.is_none_or(|max| rows <= max) {
            return Ok(());
        }
        let end = |bound: Option<u64>| bound.map_or_else(|| "any number".to_owned(), |bound| bound.to_string());
        let message = format!("{} has {rows} rows, and `row_count` is from {} to {}", self.end, end(min), end(max));
        Err(broken(message))
    }
}

fn note(misfits: &mut BTreeMap<usize, String>, row: usize, why: impl FnOnce() -> String) {
    misfits.entry(row).or_insert_with(why);
}

fn broken(message: String) -> Fault {
    Fault::new(Reason::TransformContract, message)
}

fn engine(error: arrow::error::ArrowError) -> Fault {
    Fault::of_engine(error.into())
}

/// The bound as one value of the column's type.
fn bound(name: &str, value: &Value, kind: &DataType) -> Result<ArrayRef, Fault> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(&StringArray::from(vec![text.as_str()]), kind, &strict);
    cast.map_err(|_| broken(format!("the range of `{name}` says `{text}`, which is no {kind}")))
}

/// Whether a type is what was meant: the several forms of text, and of a time in one zone, are one to people.
fn is_alike(kind: &DataType, wanted: &DataType) -> bool {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (kind, wanted) {
        (DataType::Timestamp(_, zone), DataType::Timestamp(_, wanted)) => zone.is_some() == wanted.is_some(),
        (DataType::Dictionary(_, kind), wanted) => is_alike(kind, wanted),
        (kind, wanted) => kind == wanted || (is_text(kind) && is_text(wanted)),
    }
}
