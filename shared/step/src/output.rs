//! What a program prints, on its way from two pipes to one listener.

use std::sync::atomic::{AtomicBool, Ordering};

use honk_protocol::log::{LogLine, LogStream};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::lines::{Lines, Piece};
use crate::masks::Masks;

/// What is read at once. A pipe of Linux holds 64 KiB.
const READ_BYTES: usize = 32 * 1024;

/// What is still read after [`Control::close`]: what a pipe can hold that somebody enlarged as far as the system allows.
const LAST_BYTES: usize = 1 << 20;

/// What a line counts besides its text.
const LINE_COST: u64 = 32;

/// Who gets the lines of a step.
#[derive(Debug)]
pub struct Listener<N> {
    /// Where they go, in the order in which they are read. While it is full, the program waits.
    pub lines: mpsc::Sender<LogLine>,
    /// Tells the time of a line.
    pub now: N,
}

/// What is said to and by an [`Output`] while it works.
#[derive(Debug, Default)]
pub(crate) struct Control {
    closed: CancellationToken,
    truncated: AtomicBool,
}

impl Control {
    /// Nobody should be left to write: take what is in the pipes, and do not wait for their end.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Whether something was left out.
    pub(crate) fn truncated(&self) -> bool {
        self.truncated.load(Ordering::Relaxed)
    }
}

/// Where the output of one step goes.
pub(crate) struct Output<'a, N> {
    masks: &'a Masks,
    control: &'a Control,
    listener: Listener<N>,
    /// What may still be kept, in bytes.
    room: u64,
    limit: u64,
    /// Nothing is kept any more: the room is used up, or the listener is gone.
    draining: bool,
}

impl<'a, N: Fn() -> Timestamp> Output<'a, N> {
    pub(crate) fn new(masks: &'a Masks, limit: u64, listener: Listener<N>, control: &'a Control) -> Self {
        Self { masks, control, listener, room: limit, limit, draining: false }
    }

    /// Reads both pipes until their ends.
    pub(crate) async fn pump(mut self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) {
        let mut stdout = Source::new(stdout, LogStream::Stdout, self.masks);
        let mut stderr = Source::new(stderr, LogStream::Stderr, self.masks);
        let mut after_close = 0;
        while stdout.is_open() || stderr.is_open() {
            let closed = self.control.closed.is_cancelled();
            // Without a fixed order, so that neither stream starves the other; but what can be read goes before being told to stop.
            let read = tokio::select! {
                biased;
                read = async { tokio::select! {
                    read = stdout.fill(), if stdout.is_open() => read,
                    read = stderr.fill(), if stderr.is_open() => read,
                } } => read,
                () = self.control.closed.cancelled() => break,
            };
            self.take(&mut stdout).await;
            self.take(&mut stderr).await;
            if closed {
                after_close += read;
                if after_close > LAST_BYTES {
                    break;
                }
            }
        }
        self.finish(&mut stdout).await;
        self.finish(&mut stderr).await;
    }

    /// What has no end of line is a line too.
    async fn finish<R>(&mut self, source: &mut Source<'_, R>) {
        source.lines.finish(&mut source.pieces);
        self.deliver(source).await;
    }

    /// Makes lines of what was read.
    async fn take<R>(&mut self, source: &mut Source<'_, R>) {
        if !self.draining && !source.buffer.is_empty() {
            source.lines.push(&source.buffer, &mut source.pieces);
            self.deliver(source).await;
        }
        source.buffer.clear();
    }

    async fn deliver<R>(&mut self, source: &mut Source<'_, R>) {
        if source.pieces.is_empty() {
            return;
        }
        let at = (self.listener.now)();
        for Piece { text, continued } in source.pieces.drain(..) {
            let cost = text.len() as u64 + LINE_COST;
            if self.draining {
                return;
            }
            if cost > self.room {
                return self.cut_off(at).await;
            }
            self.room -= cost;
            self.send(LogLine { at, stream: source.stream, text, continued }).await;
        }
    }

    /// Says that the rest is missing, once.
    async fn cut_off(&mut self, at: Timestamp) {
        self.control.truncated.store(true, Ordering::Relaxed);
        let text = format!(
            "the output is cut off here: it is larger than the {} that are kept of a step",
            mebibytes(self.limit)
        );
        self.send(LogLine { at, stream: LogStream::Agent, text, continued: false }).await;
        self.draining = true;
    }

    async fn send(&mut self, line: LogLine) {
        if self.listener.lines.send(line).await.is_err() {
            self.draining = true;
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{bytes} bytes") }
}

/// One pipe.
struct Source<'a, R> {
    pipe: Option<R>,
    stream: LogStream,
    buffer: Vec<u8>,
    lines: Lines<'a>,
    pieces: Vec<Piece>,
}

impl<'a, R> Source<'a, R> {
    fn new(pipe: Option<R>, stream: LogStream, masks: &'a Masks) -> Self {
        let buffer = Vec::with_capacity(READ_BYTES);
        Self { pipe, stream, buffer, lines: Lines::new(masks), pieces: Vec::new() }
    }

    fn is_open(&self) -> bool {
        self.pipe.is_some()
    }
}

impl<R: AsyncRead + Unpin> Source<'_, R> {
    /// Reads what there is into the empty buffer, and returns how much it is. A pipe that fails has ended.
    async fn fill(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        match pipe.read_buf(&mut self.buffer).await {
            Ok(read) if read > 0 => read,
            _ => {
                self.pipe = None;
                0
            }
        }
    }
}
