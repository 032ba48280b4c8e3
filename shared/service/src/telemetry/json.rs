//! One flat JSON object a log line: the fields of all spans around an event, the inner ones winning, then its own.
//!
//! Flat, so that a search for a run or a trace is one key (`.run == "…"`) and not a walk through a list of spans.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Formats events; needs fields that are formatted as JSON objects (`JsonFields`).
pub(super) struct FlatJson;

impl<S, N> FormatEvent<S, N> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                merge(&mut line, &fields.fields);
            }
            line.insert("span".to_owned(), span.name().into());
        }
        let mut text = String::new();
        SystemTime.format_time(&mut Writer::new(&mut text))?;
        line.insert("timestamp".to_owned(), text.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        merge(&mut line, &fields);
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn merge(line: &mut Map<String, Value>, fields: &str) {
    if let Ok(fields) = serde_json::from_str::<Map<String, Value>>(fields) {
        line.extend(fields);
    }
}
