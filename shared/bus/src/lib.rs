//! NATS JetStream behind a few verbs: connect, provision, publish, pull, settle, compare-and-set, watch. The only crate
//! that imports `async_nats`, and it knows nothing of datasets.
//!
//! What it promises: a publish is acknowledged by the server or an error, never a hang; a connection that is lost comes
//! back by itself; a delivery that is dropped unsettled goes back to the server; an error says its cause once.

mod bucket;
mod connect;
mod delivery;
mod direct;
mod error;
mod message;
mod mirror;
mod objects;
mod provision;
mod publish;
mod pull;
mod watch;

pub use bucket::{Bucket, Entry};
pub use connect::{Bus, ConnectOptions};
pub use delivery::{Delivery, Heartbeat};
pub use direct::{Part, Start};
pub use error::{BusError, ProvisionError};
pub use message::{Headers, Message};
pub use mirror::Mirror;
pub use objects::Objects;
pub use provision::{Change, bucket_config, consumer_config, object_store_config, stream_config};
pub use publish::{Expect, Publication, Published};
pub use pull::{Backlog, Puller};
pub use watch::{Watch, WatchEvent};
