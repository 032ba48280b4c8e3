//! What is true at the end of every test: no run is left open, no consumer has anything left to do, and nothing lies in the dead
//! letters that the test did not expect there.

use honk_protocol::dataset::Location;
use honk_protocol::dead::DeadLetter;
use honk_protocol::reason::Reason;
use honk_protocol::topology::{self, NOTICES};

use crate::runs::show;
use crate::{Harness, PATIENCE, eventually};

impl Harness {
    /// Checks the floor with nothing in the dead letters. The services must still run: they settle what is left.
    pub async fn finish(self) {
        self.finish_with(&[]).await;
    }

    /// Checks the floor with exactly these reasons in the dead letters, in any order.
    pub async fn finish_with(mut self, expected: &[Reason]) {
        self.nothing_is_pending().await;
        let open: Vec<String> = self.runs().await.values().filter(|run| !run.state.is_finished()).map(show).collect();
        assert!(open.is_empty(), "runs are left open:\n  {}", open.join("\n  "));
        let letters = self.dead_letters().await;
        let mut reasons: Vec<Reason> = letters.iter().map(|letter| letter.reason).collect();
        let mut expected = expected.to_vec();
        reasons.sort_unstable();
        expected.sort_unstable();
        assert_eq!(reasons, expected, "the dead letters: {letters:#?}");
        self.finished = true;
    }

    /// Waits until no consumer has anything to deliver or unsettled.
    pub async fn nothing_is_pending(&self) {
        eventually("nothing is pending", PATIENCE, || async {
            let mut pending = Vec::new();
            for stream in &self.topology.streams {
                for consumer in &stream.consumers {
                    let backlog = self.bus.backlog(&stream.name, &consumer.name).await;
                    let backlog = backlog.map_err(|error| error.to_string())?;
                    if backlog.waiting + backlog.unsettled > 0 {
                        pending.push(format!("{} of {}: {backlog:?}", consumer.name, stream.name));
                    }
                }
            }
            if pending.is_empty() { Ok(()) } else { Err(pending.join(", ")) }
        })
        .await;
    }

    /// Everything in the dead letters.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let messages = self.bus.changes(topology::DEAD, 1).await.unwrap();
        let messages = messages.into_iter().filter(|message| !message.is_removal());
        let letters =
            messages.map(|message| DeadLetter::from_headers(&message.subject, |name| message.headers.get(name)));
        letters.map(|letter| letter.expect("a dead letter's headers")).collect()
    }

    /// Waits until there are as many dead letters, and returns them.
    pub async fn dead_letters_when(&self, count: usize) -> Vec<DeadLetter> {
        eventually(&format!("{count} dead letters"), PATIENCE, || async {
            let letters = self.dead_letters().await;
            if letters.len() == count { Ok(letters) } else { Err(format!("{letters:#?}")) }
        })
        .await
    }

    /// How often readers of any dataset were sent to another place: each time its location began a new epoch.
    pub async fn cut_overs(&self) -> u64 {
        let entries = self.bus.locations().get_all(">").await.unwrap();
        let locations = entries.iter().map(|entry| serde_json::from_slice::<Location>(&entry.value).unwrap());
        locations.map(|location| location.epoch - 1).sum()
    }

    /// How many notices were ever stored.
    pub async fn notices(&self) -> u64 {
        self.last_sequence(NOTICES).await
    }

    async fn last_sequence(&self, stream: &str) -> u64 {
        let messages = self.bus.changes(stream, 1).await.unwrap();
        messages.iter().map(|message| message.sequence).max().unwrap_or_default()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.finished, "the test did not end with `finish`");
        }
    }
}
