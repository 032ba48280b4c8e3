//! Reads server-sent events (HTML standard, section "Server-sent events") from the pieces that the network makes of them.
//!
//! Lines end as Honk's server ends them, with or without a carriage return. Comments, which keep the connection alive, and the
//! fields `id` and `retry` are passed over.

/// The most bytes an event may have: a run record fits into a NATS message, and is about as long in the API's form.
const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StreamEvent {
    /// Its name.
    pub(super) name: String,
    /// Its lines of data.
    pub(super) data: String,
}

/// The stream sent an event that nobody should have to keep in memory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {MAX_EVENT_BYTES} bytes")]
pub(super) struct TooLong;

/// What is read of the stream so far.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    rest: Vec<u8>,
    event: StreamEvent,
}

impl EventReader {
    /// Takes a piece of the stream, and returns the events that it completes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<StreamEvent>, TooLong> {
        let mut events = Vec::new();
        self.rest.extend_from_slice(piece);
        let rest = std::mem::take(&mut self.rest);
        let mut lines = rest.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() {
                self.rest = line.to_vec();
            } else {
                events.extend(self.line(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))));
            }
        }
        if self.rest.len() + self.event.data.len() > MAX_EVENT_BYTES { Err(TooLong) } else { Ok(events) }
    }

    fn line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
            "data" => self.event.data.extend(["\n", value]),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\n\nevent: run\nid: 1\ndata: {\"ä\":\ndata: 1}\n\r\nevent: end\r\ndata:x\r\n\r\nevent: cut";

    fn event(name: &str, data: &str) -> StreamEvent {
        StreamEvent { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_the_same_however_the_network_cuts_them() {
        for size in 1..STREAM.len() {
            let mut reader = EventReader::default();
            let pieces = STREAM.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| reader.push(piece).unwrap()).collect();
            assert_eq!(events, [event("run", "{\"ä\":\n1}"), event("end", "x")], "pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_does_not_fill_the_memory() {
        let mut reader = EventReader::default();
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..9).any(|_| reader.push(&piece) == Err(TooLong)));
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let mut reader = EventReader::default();
        assert!((0..9).any(|_| reader.push(&line) == Err(TooLong)));
    }
}
