//! What one acknowledged write costs by itself: the measure of the machine, against which a chain's cost can be compared between machines
//! and between a quiet hour and a noisy one.

use honk_bus::{Bus, BusError, Publication};
use tokio::task::JoinSet;

use super::cpu::{Meter, micros_each};

/// Callers that each await every acknowledgement.
const CALLERS: usize = 64;

/// Writes that are measured of each.
const WRITES_EACH: usize = 800;

/// A notice about no dataset: stored, and read by nobody.
const SUBJECT: &str = "honk.notice.-";

/// Bytes of one, about those of a run record.
const BYTES: usize = 1_024;

/// CPU time of one write in microseconds, by this process and the server together.
pub(super) async fn cost(bus: &Bus, server: Option<u32>) -> Result<f64, BusError> {
    let meter = Meter::start(server);
    let mut writers = JoinSet::new();
    for _ in 0..CALLERS {
        let bus = bus.clone();
        writers.spawn(async move {
            for _ in 0..WRITES_EACH {
                bus.publish(Publication::new(SUBJECT, vec![b' '; BYTES])).await?;
            }
            Ok(())
        });
    }
    while let Some(Ok(written)) = writers.join_next().await {
        written?;
    }
    Ok(micros_each(meter.spent().total(), CALLERS * WRITES_EACH))
}
