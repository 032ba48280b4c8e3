//! What the migration will take: requests, money, time. Requests follow from the listing and from how the engine works; money from
//! a small table of prices; time from the dry run, and so only where there was one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sample::Sampled;

/// Keys of a listing's page.
const PAGE: u64 = 1_000;

/// Listings of a migration: one to look, one to copy, one to prove, and one to see whether anybody came too late.
const LISTINGS: u64 = 4;

const MIB: u64 = 1 << 20;

/// Objects above this many bytes go in parts, unless the agents are set otherwise.
pub const PART_THRESHOLD: u64 = 16 * MIB;

/// Bytes of a part, unless the agents are set otherwise.
const PART: u64 = 8 * MIB;

/// Prices, in millionths of the currency. The defaults are Amazon S3's in its first region (`us-east-1`, standard class).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// A thousand requests that write, copy or list.
    pub thousand_writes: u64,
    /// A thousand requests that read.
    pub thousand_reads: u64,
    /// A GiB that leaves the source's store.
    pub gib_out: u64,
    /// Whether stores at endpoints of their own cost as much. They are mostly one's own, and cost nothing.
    pub everywhere: bool,
    /// The currency's name.
    pub currency: String,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            thousand_writes: 5_000,
            thousand_reads: 400,
            gib_out: 90_000,
            everywhere: false,
            currency: "USD".to_owned(),
        }
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that go in parts.
    pub objects_in_parts: u64,
    /// Their bytes.
    pub bytes_in_parts: u64,
    /// Whether one store copies by itself.
    pub inside: bool,
    /// Whether the source's store is paid for, and the target's.
    pub paid: (bool, bool),
}

/// Requests by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Requests {
    list: u64,
    read: u64,
    write: u64,
}

impl Work {
    fn requests(&self) -> Requests {
        let list = LISTINGS * 2 * self.objects.div_ceil(PAGE).max(1);
        if self.inside {
            return Requests { list, read: 0, write: self.objects };
        }
        let small = self.objects - self.objects_in_parts;
        let parts = self.bytes_in_parts.div_ceil(PART).max(self.objects_in_parts);
        // An upload in parts is begun and completed, too.
        Requests { list, read: small + parts, write: small + parts + 2 * self.objects_in_parts }
    }

    /// Millionths of the currency.
    fn cost(&self, prices: &Prices) -> u64 {
        let requests = self.requests();
        let (at_source, at_target) = (u64::from(self.paid.0), u64::from(self.paid.1));
        let writes = requests.list / 2 * (at_source + at_target) + requests.write * at_target;
        let reads = requests.read * at_source;
        let out = if self.inside { 0 } else { self.bytes * at_source };
        let gib = u128::from(out) * u128::from(prices.gib_out) / u128::from(1_u64 << 30);
        (writes * prices.thousand_writes + reads * prices.thousand_reads) / 1_000
            + u64::try_from(gib).unwrap_or(u64::MAX)
    }

    /// Whole seconds at the sample's pace; nothing without a sample.
    fn seconds(&self, sampled: &Sampled) -> Option<u64> {
        let took = u128::from(u64::try_from(sampled.took.as_micros()).ok()?);
        let share = |all: u64, of: u64| (of > 0).then(|| took * u128::from(all) / u128::from(of));
        // Small objects are bound by requests, large ones by bytes: what is slower counts.
        let micros = share(self.objects, sampled.objects)?.max(share(self.bytes, sampled.bytes).unwrap_or_default());
        u64::try_from(micros.div_ceil(1_000_000)).ok()
    }

    /// The estimate as an output.
    pub fn estimate(&self, prices: &Prices, sampled: Option<&Sampled>) -> Value {
        let requests = self.requests();
        let mut estimate = json!({
            "requests": { "list": requests.list, "read": requests.read, "write": requests.write },
            "cost": decimal(self.cost(prices)), "currency": prices.currency,
        });
        if let Some(seconds) = sampled.and_then(|sampled| self.seconds(sampled)) {
            estimate["seconds"] = seconds.into();
        }
        estimate
    }
}

/// Millionths as a decimal number, exactly: a text, because a JSON number may become another one on its way.
fn decimal(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_and_costs_follow_from_what_there_is_to_do() {
        let inside = Work { objects: 1_500, bytes: 3 << 30, inside: true, paid: (true, true), ..Work::default() };
        assert_eq!(inside.requests(), Requests { list: 16, read: 0, write: 1_500 });
        // 1,508 requests at 5 thousandths each, and nothing leaves the store.
        assert_eq!(inside.cost(&Prices::default()), 7_580);
        let across = Work { inside: false, objects_in_parts: 1, bytes_in_parts: 1 << 30, ..inside };
        assert_eq!(across.requests(), Requests { list: 16, read: 1_499 + 128, write: 1_499 + 128 + 2 });
        let cost = (16 + 1_629) * 5 + 1_627 * 400 / 1_000 + 3 * 90_000;
        assert_eq!(across.cost(&Prices::default()), cost);
        assert_eq!(Work { paid: (false, false), ..across }.cost(&Prices::default()), 0);
        assert_eq!(decimal(cost), "0.278875");
    }

    #[test]
    fn time_is_told_from_a_sample_and_not_without_one() {
        let work = Work { objects: 1_000, bytes: 1_000, ..Work::default() };
        let sampled = Sampled { objects: 10, bytes: 5, took: Duration::from_millis(100) };
        assert_eq!(work.seconds(&sampled), Some(20), "the bytes take longer than the requests");
        assert_eq!(work.seconds(&Sampled { bytes: 1_000, ..sampled }), Some(10));
        assert_eq!(work.seconds(&Sampled::default()), None);
        assert_eq!(work.estimate(&Prices::default(), None).get("seconds"), None);
    }
}
