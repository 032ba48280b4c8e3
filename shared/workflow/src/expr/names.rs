//! The names that expressions may use, and the environment in which they are compiled. It has what an expression needs and nothing that grows
//! without bound: there are no loops, no functions but those of `if:`, no repetition, and the filters that could return more than they
//! are given are bounded here.

use std::fmt::Write;
use std::sync::LazyLock;

use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, filters, tests};

use super::MAX_RESULT;

/// What values are known by.
pub(crate) const ROOTS: [&str; 6] = ["input", "dataset", "location", "jobs", "run", "matrix"];
/// What is known of a run.
pub(crate) const RUN_FIELDS: [&str; 6] = ["id", "dataset", "workflow", "attempt", "trace_id", "created_at"];
/// What is known of a job that ended.
pub(crate) const JOB_FIELDS: [&str; 2] = ["outputs", "result"];
/// What an `if:` can ask for.
pub(crate) const STATUS_FUNCTIONS: [&str; 4] = ["success", "failure", "always", "cancelled"];
/// Words that are no names.
pub(super) const KEYWORDS: [&str; 12] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "True", "False", "none"];
/// What can follow `|`.
pub const FILTERS: [&str; 27] = [
    "abs", "bool", "default", "first", "float", "fromjson", "int", "items", "join", "last", "length", "list", "lower",
    "map", "max", "min", "replace", "reverse", "round", "sort", "split", "string", "sum", "tojson", "trim", "unique",
    "upper",
];
/// What can follow `is`.
pub const TESTS: [&str; 14] = [
    "boolean",
    "defined",
    "endingwith",
    "even",
    "false",
    "float",
    "integer",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
];
/// Those that can be `is`-tested as well, but need no mention in messages.
pub(super) const MORE_TESTS: [&str; 2] = ["true", "undefined"];

pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    add_filters(&mut environment);
    add_tests(&mut environment);
    environment
});

fn add_filters(to: &mut Environment<'static>) {
    to.add_filter("abs", filters::abs);
    to.add_filter("bool", filters::bool);
    to.add_filter("default", filters::default);
    to.add_filter("first", filters::first);
    to.add_filter("float", filters::float);
    to.add_filter("fromjson", from_json);
    to.add_filter("int", filters::int);
    to.add_filter("items", filters::items);
    to.add_filter("join", join);
    to.add_filter("last", filters::last);
    to.add_filter("length", filters::length);
    to.add_filter("list", filters::list);
    to.add_filter("lower", filters::lower);
    to.add_filter("map", map);
    to.add_filter("max", filters::max);
    to.add_filter("min", filters::min);
    to.add_filter("replace", replace);
    to.add_filter("reverse", filters::reverse);
    to.add_filter("round", filters::round);
    to.add_filter("sort", filters::sort);
    to.add_filter("split", filters::split);
    to.add_filter("string", string);
    to.add_filter("sum", filters::sum);
    to.add_filter("tojson", to_json);
    to.add_filter("trim", filters::trim);
    to.add_filter("unique", filters::unique);
    to.add_filter("upper", filters::upper);
}

fn add_tests(to: &mut Environment<'static>) {
    to.add_test("boolean", tests::is_boolean);
    to.add_test("defined", tests::is_defined);
    to.add_test("endingwith", tests::is_endingwith);
    to.add_test("even", tests::is_even);
    to.add_test("false", tests::is_false);
    to.add_test("float", tests::is_float);
    to.add_test("integer", tests::is_integer);
    to.add_test("mapping", tests::is_mapping);
    to.add_test("none", tests::is_none);
    to.add_test("number", tests::is_number);
    to.add_test("odd", tests::is_odd);
    to.add_test("sequence", tests::is_sequence);
    to.add_test("startingwith", tests::is_startingwith);
    to.add_test("string", tests::is_string);
    to.add_test("true", tests::is_true);
    to.add_test("undefined", tests::is_undefined);
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the text becomes longer than {MAX_RESULT} bytes"))
}

/// A text as it is, everything else as JSON: what an expression is in a text.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => to_json(value),
    }
}

fn string(value: &Value) -> Result<String, Error> {
    text(value)
}

/// Compact, so that it takes no arguments that lengthen it.
fn to_json(value: &Value) -> Result<String, Error> {
    let bad = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    serde_json::to_value(value).and_then(|json| serde_json::to_string(&json)).map_err(bad)
}

fn from_json(text: &str) -> Result<Value, Error> {
    let bad = |error: serde_json::Error| Error::new(ErrorKind::CannotDeserialize, format!("it is not JSON: {error}"));
    serde_json::from_str::<serde_json::Value>(text).map(|json| Value::from(Serde(json))).map_err(bad)
}

fn join(list: &Value, between: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(between.unwrap_or_default());
        }
        joined.push_str(&text(&item)?);
        if joined.len() > MAX_RESULT {
            return Err(too_long());
        }
    }
    Ok(joined)
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let mut replaced = String::new();
    let mut parts = text.split(from);
    replaced.push_str(parts.next().unwrap_or_default());
    for part in parts {
        write!(replaced, "{to}{part}").map_err(|_| too_long())?;
        if replaced.len() > MAX_RESULT {
            return Err(too_long());
        }
    }
    Ok(replaced)
}

/// Only `map(attribute='name')`: applying a filter to each item would multiply what each of them returns.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands over the named arguments")]
fn map(list: &Value, options: Kwargs) -> Result<Value, Error> {
    let attribute: &str = options.get("attribute")?;
    options.assert_all_used()?;
    let field = |item: Value| match item.kind() {
        ValueKind::Map => item.get_attr(attribute),
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("an item is a {kind}, not a mapping"))),
    };
    list.try_iter()?.map(field).collect::<Result<Vec<_>, _>>().map(Value::from)
}
