//! All dead letters, by age and by the short id that people use.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use honk_bus::Message;
use honk_protocol::dead::{DeadLetter, StoredDeadLetter};
use honk_protocol::subject::DeadSubject;
use honk_protocol::topology::KEEP_DEAD;
use jiff::{SignedDuration, Timestamp};

use super::Page;
use super::feed::Index;
use crate::wire::DeadLetterQuery;

/// All dead letters.
#[derive(Default)]
pub(crate) struct Letters(RwLock<Shelves>);

#[derive(Default)]
struct Shelves {
    by_age: BTreeMap<u64, Arc<StoredDeadLetter>>,
    sequences: HashMap<String, u64>,
    subjects: HashMap<String, DeadSubject>,
}

impl Letters {
    /// The subject of the letter with this short id.
    pub(crate) fn subject(&self, id: &str) -> Option<DeadSubject> {
        self.read(|shelves| shelves.subjects.get(id).cloned())
    }

    /// At most `limit` letters that `query` selects, the newest first; none if its cursor is no cursor. The server drops old
    /// ones without a word, so what is older than it keeps is passed over.
    pub(crate) fn page(
        &self,
        query: &DeadLetterQuery,
        limit: usize,
        now: Timestamp,
    ) -> Option<Page<Arc<StoredDeadLetter>>> {
        let before = match query.cursor.as_deref().map(str::parse::<u64>) {
            None => Bound::Unbounded,
            Some(sequence) => Bound::Excluded(sequence.ok()?),
        };
        let keep = SignedDuration::try_from(KEEP_DEAD).unwrap_or(SignedDuration::MAX);
        let fits = |stored: &Arc<StoredDeadLetter>| {
            let letter = &stored.letter;
            let pool = match &letter.subject {
                DeadSubject::Job { pool, .. } => Some(pool),
                DeadSubject::Event { .. } | DeadSubject::Message { .. } => None,
            };
            now.duration_since(stored.time) < keep
                && query.reason.is_none_or(|reason| letter.reason == reason)
                && query.pool.as_ref().is_none_or(|wanted| pool == Some(wanted))
                && query.dataset.as_ref().is_none_or(|dataset| letter.dataset.as_deref() == Some(dataset.as_str()))
        };
        Some(self.read(|shelves| {
            let newest_first = shelves.by_age.range((Bound::Unbounded, before)).rev();
            let letters = newest_first.map(|(_, letter)| letter).filter(|letter| fits(letter)).cloned();
            Page::of(letters, limit, |letter| letter.sequence.to_string())
        }))
    }

    /// Forgets a letter that was just replayed or discarded, before the server says so.
    pub(crate) fn forget(&self, subject: &DeadSubject) {
        self.removed(&subject.to_string());
    }

    fn put(&self, stored: StoredDeadLetter) {
        let mut shelves = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let subject = stored.letter.subject.to_string();
        shelves.remove(&subject);
        shelves.subjects.insert(stored.letter.subject.id(), stored.letter.subject.clone());
        shelves.sequences.insert(subject, stored.sequence);
        shelves.by_age.insert(stored.sequence, Arc::new(stored));
    }

    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelves {
    fn remove(&mut self, subject: &str) {
        if let Some(stored) = self.sequences.remove(subject).and_then(|sequence| self.by_age.remove(&sequence)) {
            self.subjects.remove(&stored.letter.subject.id());
        }
    }
}

impl Index for Letters {
    fn changed(&self, message: &Message) {
        let Some(letter) = DeadLetter::from_headers(&message.subject, |name| message.headers.get(name)) else {
            tracing::warn!(message.subject, "left out of the index: it is no dead letter");
            return;
        };
        self.put(StoredDeadLetter { letter, sequence: message.sequence, time: message.time });
    }

    fn removed(&self, subject: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(subject);
    }

    fn subjects(&self) -> HashSet<String> {
        self.read(|shelves| shelves.sequences.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use honk_protocol::reason::Reason;
    use honk_protocol::run::Fault;

    use super::*;

    fn letter(sequence: u64, pool: &str, reason: Reason) -> StoredDeadLetter {
        let letter = DeadLetter {
            subject: format!("honk.dead.{pool}.r0123456789abcdef{sequence:04}.copy").parse().unwrap(),
            reason,
            fault: Fault::Failure,
            error: "it failed".into(),
            attempts: 1,
            original_subject: "honk.job.x".into(),
            original_sequence: sequence,
            dataset: Some(format!("d{sequence}")),
            trace: String::new(),
        };
        StoredDeadLetter { letter, sequence, time: Timestamp::UNIX_EPOCH }
    }

    fn sequences(letters: &Letters, query: &DeadLetterQuery, limit: usize) -> (Vec<u64>, Option<String>) {
        let page = letters.page(query, limit, Timestamp::UNIX_EPOCH).unwrap();
        (page.items.iter().map(|letter| letter.sequence).collect(), page.next)
    }

    #[test]
    fn pages_and_filters_select_the_newest_first() {
        let letters = Letters::default();
        for sequence in 1..=5 {
            let reason = if sequence == 3 { Reason::SourceMissing } else { Reason::AgentLost };
            letters.put(letter(sequence, if sequence > 3 { "migrate" } else { "notify" }, reason));
        }
        let any = DeadLetterQuery::default();
        assert_eq!(sequences(&letters, &any, 2), (vec![5, 4], Some("4".into())));
        let next = DeadLetterQuery { cursor: Some("4".into()), ..any.clone() };
        assert_eq!(sequences(&letters, &next, 3), (vec![3, 2, 1], None));
        let pool =
            DeadLetterQuery { pool: Some("notify".parse().unwrap()), reason: Some(Reason::AgentLost), ..any.clone() };
        assert_eq!(sequences(&letters, &pool, 9).0, [2, 1]);
        let dataset = DeadLetterQuery { dataset: Some("d3".parse().unwrap()), ..any.clone() };
        assert_eq!(sequences(&letters, &dataset, 9).0, [3]);
        assert!(letters.page(&DeadLetterQuery { cursor: Some("x".into()), ..any }, 1, Timestamp::UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_letter_is_found_by_its_id_until_it_is_gone_or_too_old() {
        let letters = Letters::default();
        let stored = letter(7, "migrate", Reason::AgentLost);
        letters.put(stored.clone());
        assert_eq!(letters.subject("r0123456789abcdef0007.copy"), Some(stored.letter.subject.clone()));
        assert_eq!(letters.page(&DeadLetterQuery::default(), 9, Timestamp::MAX).unwrap().items.len(), 0);
        letters.forget(&stored.letter.subject);
        assert_eq!(letters.subject("r0123456789abcdef0007.copy"), None);
        assert_eq!(sequences(&letters, &DeadLetterQuery::default(), 9).0, [0; 0]);
    }
}
