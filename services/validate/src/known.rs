//! What is known of stores already. The full probe costs some sixty requests, and what it finds is the same for every dataset of a
//! bucket, so an agent remembers it for a while; that the dataset's own place can be written to is tried for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use honk_storage::Place;
use honk_storage::probe::Abilities;
use tokio::time::Instant;

/// For how long a finding is taken for granted: a night's datasets of one bucket are probed a few times, and a changed policy is
/// noticed the same hour.
const LIFETIME: Duration = Duration::from_mins(10);

/// Buckets remembered at a time.
const MOST: usize = 1_000;

/// A bucket at an endpoint.
type Id = (Option<String>, Option<String>, String);

/// Findings by bucket; shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<HashMap<Id, (Instant, Abilities)>>>);

fn id(place: &Place) -> Id {
    (place.endpoint.clone(), place.region.clone(), place.bucket.clone())
}

impl Known {
    /// What was found of the place's bucket a short while ago.
    pub fn of(&self, place: &Place) -> Option<Abilities> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id(place)).filter(|(at, _)| at.elapsed() < LIFETIME).map(|(_, found)| found.clone())
    }

    /// Remembers it.
    pub fn remember(&self, place: &Place, found: &Abilities) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| at.elapsed() < LIFETIME);
        if known.len() < MOST {
            known.insert(id(place), (Instant::now(), found.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_finding_holds_for_its_bucket_and_for_a_while() {
        let (known, place) = (Known::default(), Place::new("bucket", "a"));
        assert_eq!(known.of(&place), None);
        known.remember(&place, &Abilities::default());
        assert!(known.of(&Place::new("bucket", "b")).is_some(), "it is about the bucket, not the prefix");
        assert!(known.of(&Place::new("other", "a")).is_none());
        assert!(known.of(&place.clone().at("http://elsewhere")).is_none());
        tokio::time::advance(LIFETIME).await;
        assert_eq!(known.of(&place), None);
    }
}
