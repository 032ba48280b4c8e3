//! Notices about where a dataset lies: kept on the dataset's subject, where whoever reads it can follow them.

use honk_agent::registry::unavailable;
use honk_bus::{Bus, Publication};
use honk_protocol::notice::{Notice, Relocated};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::subject;
use jiff::Timestamp;

/// Publishes a notice of this `kind`. `id` makes a repeat the same notice.
pub(crate) async fn tell(
    bus: &Bus,
    (kind, id): (&str, String),
    time: Timestamp,
    data: Relocated,
) -> Result<(), Failed> {
    let subject = subject::notice(&data.dataset);
    let notice = Notice::of_location(kind, id.clone(), time, data);
    let body = serde_json::to_vec(&notice).map_err(|error| Failed::reject(Reason::InputInvalid, error.to_string()))?;
    let publication =
        Publication::new(subject, body).header("content-type", "application/cloudevents+json").message_id(id);
    bus.publish(publication).await.map(drop).map_err(|error| unavailable(&error))
}
