//! YAML to a tree whose nodes know where they stand. Everything hostile about YAML ends here: what comes out is one
//! document within the limits, without aliases, tags, keys that are not text, and keys that occur twice.

use std::collections::BTreeMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::{Diagnostic, Pos, Report, quote};

/// Bytes of a workflow's text.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;
/// Mappings and lists within each other.
pub(crate) const MAX_DEPTH: usize = 64;
/// Keys and values, those that an alias repeats counted each time.
pub(crate) const MAX_NODES: usize = 10_000;
/// Bytes of all keys and values, counted the same way. More than `MAX_TEXT`, as an escape may be shorter than what it
/// stands for.
const MAX_EXPANDED: usize = 2 * MAX_TEXT;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) pos: Pos,
    pub(crate) kind: Kind,
    size: Size,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Neither quoted nor a block, so that it may mean a number, a boolean or nothing.
    pub(crate) plain: bool,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Rc<Node>,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) pos: Pos,
}

/// How large a node is with all that is in it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    depth: usize,
    bytes: usize,
}

/// Reads one document. Keys that occur twice are reported, and the first one kept.
///
/// # Errors
/// The fault that hides what follows it.
pub(crate) fn parse(text: &str, report: &mut Report) -> Result<Rc<Node>, Diagnostic> {
    if text.len() > MAX_TEXT {
        let message = format!("the text is longer than {MAX_TEXT} bytes");
        return Err(Diagnostic::error("too-large", Pos::START, message));
    }
    let mut options = granit_parser::options! {
        // A little above our own limit, which counts aliases too.
        flow_nesting_limit: MAX_DEPTH + 8,
        block_nesting_limit: MAX_DEPTH + 8,
    };
    options.set_emit_comments(false);
    let mut builder =
        Builder { report, open: Vec::new(), anchors: BTreeMap::new(), root: None, total: Size::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.event(event, span)?;
    }
    builder.root.filter(|root| !root.is_null()).ok_or_else(|| {
        Diagnostic::error("empty", Pos::START, "there is no workflow in this text")
            .with_help("a workflow has at least `name`, `on` and `jobs`")
    })
}

impl Node {
    /// Whether the value is missing or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

struct Builder<'r> {
    report: &'r mut Report,
    /// The collections whose end has not come yet, the outermost first.
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    /// All nodes so far, also those under keys that were dropped.
    total: Size,
}

struct Open {
    pos: Pos,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, seen: BTreeMap<String, Pos>, key: PendingKey },
}

enum PendingKey {
    /// The next node is a key.
    Awaited,
    /// The next node is this key's value.
    Is(Key),
    /// The next node is the value of a key that was refused.
    Refused,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let pos = Pos::of(span.start);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                return Err(Diagnostic::error("documents", pos, "a second YAML document begins here")
                    .with_help("write each workflow into a file of its own"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                let scalar = Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                let size = Size { nodes: 1, depth: 0, bytes: scalar.text.len() };
                self.complete(Node { pos, kind: Kind::Scalar(scalar), size }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                self.open(pos, anchor, Content::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                let key = PendingKey::Awaited;
                self.open(pos, anchor, Content::Map { entries: Vec::new(), seen: BTreeMap::new(), key })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).map(Rc::clone) else {
                    return Err(Diagnostic::error(
                        "alias-recursive",
                        pos,
                        "this alias stands inside of what it repeats",
                    ));
                };
                self.count(node.size, pos)?;
                self.place(node);
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, pos: Pos, anchor: usize, content: Content) -> Result<(), Diagnostic> {
        self.count(Size { nodes: 1, depth: 1, bytes: 0 }, pos)?;
        self.open.push(Open { pos, anchor, content });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Open { pos, anchor, content }) = self.open.pop() else { return };
        let (kind, inner) = match content {
            Content::List(items) => {
                let inner = items.iter().fold(Size::default(), |sum, item| sum.with(item.size));
                (Kind::List(items), inner)
            }
            Content::Map { entries, .. } => {
                let inner = entries.iter().fold(Size::default(), |sum, entry| {
                    sum.with(Size { nodes: 1, depth: 0, bytes: entry.key.text.len() }).with(entry.value.size)
                });
                (Kind::Map(entries), inner)
            }
        };
        let size = Size { nodes: inner.nodes + 1, depth: inner.depth + 1, bytes: inner.bytes };
        self.finish(Node { pos, kind, size }, anchor);
    }

    /// A scalar is complete at once.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.count(node.size, node.pos)?;
        self.finish(node, anchor);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node);
    }

    /// Adds what comes next, and refuses it if that is more than a workflow may have.
    fn count(&mut self, size: Size, pos: Pos) -> Result<(), Diagnostic> {
        self.total = self.total.with(Size { depth: 0, ..size });
        if self.open.len() + size.depth > MAX_DEPTH {
            return Err(too_deep(pos));
        }
        if self.total.nodes > MAX_NODES {
            let message = format!("the workflow has more than {MAX_NODES} keys and values, aliases written out");
            return Err(Diagnostic::error("too-large", pos, message));
        }
        if self.total.bytes > MAX_EXPANDED {
            let message = format!("the workflow is longer than {MAX_EXPANDED} bytes, aliases written out");
            return Err(Diagnostic::error("too-large", pos, message));
        }
        Ok(())
    }

    /// Puts a node to where it belongs: into the innermost open collection, or to the top.
    fn place(&mut self, node: Rc<Node>) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, seen, key } => match std::mem::replace(key, PendingKey::Awaited) {
                PendingKey::Awaited => *key = pending(&node, seen, self.report),
                PendingKey::Is(key) => entries.push(Entry { value: at_key_if_missing(node, &key), key }),
                PendingKey::Refused => {}
            },
        }
    }
}

impl Size {
    const fn with(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            depth: if self.depth > other.depth { self.depth } else { other.depth },
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl Pos {
    fn of(marker: Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

fn pending(node: &Node, seen: &mut BTreeMap<String, Pos>, report: &mut Report) -> PendingKey {
    let Kind::Scalar(Scalar { text, .. }) = &node.kind else {
        report.push(Diagnostic::error("key-type", node.pos, "a key must be text, not a list or mapping"));
        return PendingKey::Refused;
    };
    if let Some(first) = seen.get(text) {
        let message = format!("{} is here twice, first in line {}", quote(text), first.line);
        report.push(Diagnostic::error("key-duplicate", node.pos, message).with_help("rename or remove one of them"));
        return PendingKey::Refused;
    }
    seen.insert(text.clone(), node.pos);
    PendingKey::Is(Key { text: text.clone(), pos: node.pos })
}

/// A value that is not there has no place of its own, so faults of it are shown at its key.
fn at_key_if_missing(node: Rc<Node>, key: &Key) -> Rc<Node> {
    if !node.is_null() {
        return node;
    }
    let kind = Kind::Scalar(Scalar { text: String::new(), plain: true });
    Rc::new(Node { pos: key.pos, kind, size: node.size })
}

fn refuse_tag(tagged: bool, span: Span) -> Result<(), Diagnostic> {
    if tagged {
        let pos = Pos::of(span.tag_start().unwrap_or(span.start));
        return Err(Diagnostic::error("tag", pos, "a workflow has no YAML tags (`!…`)")
            .with_help("remove the tag; put the value in quotes if it is to be text"));
    }
    Ok(())
}

fn too_deep(pos: Pos) -> Diagnostic {
    Diagnostic::error("too-deep", pos, format!("more than {MAX_DEPTH} lists and mappings are nested here"))
}

fn syntax(error: &ScanError) -> Diagnostic {
    let pos = Pos::of(*error.marker());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(pos),
        _ => Diagnostic::error("syntax", pos, format!("this is not YAML: {}", error.info())),
    }
}
