//! Read models in memory: every run and every dead letter, sorted and filtered without asking the server. Each copy of the
//! API builds its own when it starts and follows what changes.

mod feed;
mod letters;
mod runs;

pub(crate) use feed::follow;
pub(crate) use letters::Letters;
pub(crate) use runs::Runs;

/// Some items, and the cursor of what follows them.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` of `items`, which are in order from the page's beginning.
    fn of(items: impl Iterator<Item = T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let mut items: Vec<T> = items.take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}
