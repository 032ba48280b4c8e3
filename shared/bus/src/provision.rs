//! Makes the server's streams and consumers match the topology: creates what is missing, changes what may be changed, and
//! refuses, saying the difference, where a change would lose messages. It never deletes anything.

use std::fmt::Debug;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Compression, Config, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType,
};
use honk_protocol::topology::{self, Consumer, Stream, Topology, WhenFull};

use crate::{Bucket, Bus, BusError, Objects, ProvisionError};

/// The window in which the server recognises a repeated message id.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// How long the marker of an expired key stands.
const MARKER_TTL: Duration = Duration::from_mins(5);

/// What the server says of a stream that reserves more than itself, or its account, has left.
const NO_ROOM: [ErrorCode; 2] = [ErrorCode::STORAGE_RESOURCES_EXCEEDED, ErrorCode::ACCOUNT_RESOURCES_EXCEEDED];

/// Something that provisioning did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created(String),
    /// It was different: `name: field: have → want, …`.
    Updated(String),
}

/// A setting that differs.
struct Difference {
    shown: String,
    /// Whether it can be changed without losing messages.
    safe: bool,
}

impl Bus {
    /// Makes the server match `topology`. Nothing is changed if any part of it cannot be.
    pub async fn provision(&self, topology: &Topology) -> Result<Vec<Change>, ProvisionError> {
        let mut steps = self.plan(topology).await?;
        if let Some(refused) = steps.iter().position(|step| matches!(step, Step::Refuse(_)))
            && let Step::Refuse(error) = steps.swap_remove(refused)
        {
            return Err(error);
        }
        self.carry_out_all(steps).await
    }

    /// Makes what is missing, and leaves everything that is there as it is.
    pub async fn restore(&self, topology: &Topology) -> Result<Vec<Change>, ProvisionError> {
        let mut steps = self.plan(topology).await?;
        steps.retain(|step| matches!(step, Step::CreateStream(_) | Step::CreateConsumer(..)));
        self.carry_out_all(steps).await
    }

    async fn plan(&self, topology: &Topology) -> Result<Vec<Step>, ProvisionError> {
        let mut wanted: Vec<(Config, &[Consumer])> = Vec::new();
        wanted.extend(topology.streams.iter().map(|stream| (stream_config(stream), &stream.consumers[..])));
        wanted.extend(topology.buckets.iter().map(|bucket| (bucket_config(bucket), &[][..])));
        wanted.extend(topology.object_stores.iter().map(|store| (object_store_config(store), &[][..])));
        let mut steps = Vec::new();
        for (stream, consumers) in &wanted {
            steps.extend(self.plan_stream(stream).await?);
            for consumer in *consumers {
                steps.extend(self.plan_consumer(&stream.name, consumer_config(consumer)).await?);
            }
        }
        Ok(steps)
    }

    async fn carry_out_all(&self, steps: Vec<Step>) -> Result<Vec<Change>, ProvisionError> {
        let mut changes = Vec::new();
        for step in steps {
            changes.push(self.carry_out(step).await?);
        }
        Ok(changes)
    }

    async fn plan_stream(&self, wanted: &Config) -> Result<Option<Step>, ProvisionError> {
        let existing = match self.context.get_stream(&wanted.name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) if is_stream_missing(&error.kind()) => {
                return Ok(Some(Step::CreateStream(Box::new(wanted.clone()))));
            }
            Err(error) => return Err(BusError::refused(format!("look at stream {}", wanted.name), &error).into()),
        };
        let differences = stream_differences(&existing, wanted);
        let update = |shown| Step::UpdateStream(Box::new(merge_stream(existing, wanted)), shown);
        Ok(show("stream", &wanted.name, &differences)
            .map_or_else(|error| Some(Step::Refuse(error)), |shown| shown.map(update)))
    }

    async fn plan_consumer(&self, stream: &str, wanted: pull::Config) -> Result<Option<Step>, ProvisionError> {
        let name = wanted.durable_name.clone().unwrap_or_default();
        let found: Result<async_nats::jetstream::consumer::Consumer<pull::Config>, _> =
            self.context.get_consumer_from_stream(name.as_str(), stream).await;
        let existing = match found {
            Ok(consumer) => consumer.cached_info().config.clone(),
            Err(error) if is_consumer_missing(&error) => {
                return Ok(Some(Step::CreateConsumer(stream.to_owned(), Box::new(wanted))));
            }
            Err(error) => return Err(BusError::refused(format!("look at consumer {name} of {stream}"), &error).into()),
        };
        let differences = consumer_differences(&existing, &wanted);
        let update = |shown| Step::UpdateConsumer(stream.to_owned(), Box::new(wanted), shown);
        Ok(show("consumer", &name, &differences)
            .map_or_else(|error| Some(Step::Refuse(error)), |shown| shown.map(update)))
    }

    async fn carry_out(&self, step: Step) -> Result<Change, ProvisionError> {
        match step {
            Step::Refuse(error) => Err(error),
            Step::CreateStream(config) => {
                let name = config.name.clone();
                let bytes = config.max_bytes;
                let created = self.context.create_stream(*config).await;
                created.map_err(|error| match error.kind() {
                    CreateStreamErrorKind::JetStream(refusal) if NO_ROOM.contains(&refusal.error_code()) => {
                        ProvisionError::NoRoom { name: name.clone(), bytes }
                    }
                    _ => BusError::refused(format!("create stream {name}"), &error).into(),
                })?;
                Ok(Change::Created(format!("stream {name}")))
            }
            Step::UpdateStream(config, shown) => {
                let updated = self.context.update_stream(*config).await;
                updated.map_err(|error| BusError::refused(format!("update stream {shown}"), &error))?;
                Ok(Change::Updated(format!("stream {shown}")))
            }
            Step::CreateConsumer(stream, config) => {
                let name = config.durable_name.clone().unwrap_or_default();
                let created = self.context.create_consumer_on_stream(*config, stream.as_str()).await;
                created.map_err(|error| BusError::refused(format!("create consumer {name} of {stream}"), &error))?;
                Ok(Change::Created(format!("consumer {name} of {stream}")))
            }
            Step::UpdateConsumer(stream, config, shown) => {
                let updated = self.context.update_consumer_on_stream(*config, stream.as_str()).await;
                updated.map_err(|error| BusError::refused(format!("update consumer {shown}"), &error))?;
                Ok(Change::Updated(format!("consumer {shown}")))
            }
        }
    }
}

enum Step {
    CreateStream(Box<Config>),
    UpdateStream(Box<Config>, String),
    CreateConsumer(String, Box<pull::Config>),
    UpdateConsumer(String, Box<pull::Config>, String),
    Refuse(ProvisionError),
}

/// A stream as the server's API has it.
pub fn stream_config(stream: &Stream) -> Config {
    Config {
        name: stream.name.clone(),
        description: Some(stream.description.to_owned()),
        subjects: stream.subjects.clone(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: stream.replicas,
        max_age: stream.max_age.unwrap_or_default(),
        max_messages: -1,
        max_bytes: stream.max_bytes.unwrap_or(-1),
        max_consumers: -1,
        max_messages_per_subject: stream.max_per_subject.unwrap_or(-1),
        max_message_size: topology::MAX_MESSAGE_BYTES,
        discard: match stream.when_full {
            WhenFull::RefuseNew => DiscardPolicy::New,
            WhenFull::DropOld => DiscardPolicy::Old,
        },
        compression: stream.compressed.then_some(Compression::S2),
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        allow_rollup: stream.message_ttl,
        allow_message_ttl: stream.message_ttl,
        ..Config::default()
    }
}

/// A bucket as the stream that it is.
pub fn bucket_config(bucket: &topology::Bucket) -> Config {
    let stream = Stream {
        name: Bucket::stream_of(bucket.name),
        description: bucket.description,
        subjects: vec![format!("$KV.{}.>", bucket.name)],
        max_age: None,
        max_per_subject: Some(1),
        max_bytes: None,
        when_full: WhenFull::RefuseNew,
        compressed: false,
        message_ttl: bucket.message_ttl,
        replicas: bucket.replicas,
        consumers: Vec::new(),
    };
    Config {
        allow_rollup: true,
        deny_delete: true,
        subject_delete_marker_ttl: bucket.message_ttl.then_some(MARKER_TTL),
        ..stream_config(&stream)
    }
}

/// An object store as the stream that it is, as every client of NATS makes it (ADR-20).
pub fn object_store_config(store: &topology::ObjectStore) -> Config {
    let stream = Stream {
        name: Objects::stream_of(store.name),
        description: store.description,
        subjects: vec![format!("$O.{}.C.>", store.name), format!("$O.{}.M.>", store.name)],
        max_age: store.max_age,
        max_per_subject: None,
        max_bytes: None,
        when_full: WhenFull::RefuseNew,
        compressed: false,
        message_ttl: false,
        replicas: store.replicas,
        consumers: Vec::new(),
    };
    Config { allow_rollup: true, ..stream_config(&stream) }
}

/// A consumer as the server's API has it.
pub fn consumer_config(consumer: &Consumer) -> pull::Config {
    pull::Config {
        durable_name: Some(consumer.name.clone()),
        name: Some(consumer.name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        replay_policy: ReplayPolicy::Instant,
        filter_subject: consumer.filter.clone().unwrap_or_default(),
        ack_wait: consumer.ack_wait,
        max_deliver: consumer.max_deliver,
        max_ack_pending: consumer.max_ack_pending,
        max_waiting: 2_048,
        ..pull::Config::default()
    }
}

fn is_stream_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// A stream that is still to be created has no consumers either.
fn is_consumer_missing(error: &async_nats::jetstream::stream::ConsumerError) -> bool {
    let missing = [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND];
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if missing.contains(&error.error_code()))
}

fn differ<T: PartialEq + Debug>(field: &str, have: &T, want: &T, safe: bool) -> Option<Difference> {
    (have != want).then(|| Difference { shown: format!("{field}: {have:?} → {want:?}"), safe })
}

/// A limit may grow; shrinking it would drop what lies beyond. `unlimited` is the value that means no limit.
fn limit<T: PartialOrd + Debug + Copy>(field: &str, have: T, want: T, unlimited: T) -> Option<Difference> {
    differ(field, &have, &want, want == unlimited || (have != unlimited && want > have))
}

fn stream_differences(have: &Config, want: &Config) -> Vec<Difference> {
    let lost_subjects = have.subjects.iter().any(|subject| !want.subjects.contains(subject));
    let all = [
        differ("subjects", &have.subjects, &want.subjects, !lost_subjects),
        differ("retention", &have.retention, &want.retention, false),
        differ("storage", &have.storage, &want.storage, false),
        differ("replicas", &have.num_replicas, &want.num_replicas, want.num_replicas > have.num_replicas),
        differ("discard", &have.discard, &want.discard, true),
        differ("allow_direct", &have.allow_direct, &want.allow_direct, true),
        differ("allow_rollup_hdrs", &have.allow_rollup, &want.allow_rollup, true),
        differ("allow_msg_ttl", &have.allow_message_ttl, &want.allow_message_ttl, want.allow_message_ttl),
        limit("max_age", have.max_age, want.max_age, Duration::ZERO),
        limit("max_msgs_per_subject", have.max_messages_per_subject, want.max_messages_per_subject, -1),
        limit("max_msg_size", have.max_message_size, want.max_message_size, -1),
    ];
    all.into_iter().flatten().collect()
}

/// What Honk does not manage (bytes, compression, placement, metadata, …) stays as the operator set it.
fn merge_stream(have: Config, want: &Config) -> Config {
    Config {
        subjects: want.subjects.clone(),
        num_replicas: want.num_replicas,
        discard: want.discard,
        allow_direct: want.allow_direct,
        allow_rollup: want.allow_rollup,
        allow_message_ttl: want.allow_message_ttl,
        max_age: want.max_age,
        max_messages_per_subject: want.max_messages_per_subject,
        max_message_size: want.max_message_size,
        ..have
    }
}

fn consumer_differences(have: &async_nats::jetstream::consumer::Config, want: &pull::Config) -> Vec<Difference> {
    let all = [
        differ("ack_policy", &have.ack_policy, &want.ack_policy, false),
        differ("deliver_policy", &have.deliver_policy, &want.deliver_policy, false),
        differ("filter_subject", &have.filter_subject, &want.filter_subject, false),
        differ("ack_wait", &have.ack_wait, &want.ack_wait, true),
        limit("max_deliver", have.max_deliver, want.max_deliver, -1),
        differ("max_ack_pending", &have.max_ack_pending, &want.max_ack_pending, true),
    ];
    all.into_iter().flatten().collect()
}

/// `name: differences`, nothing if there are none, or an error if one of them cannot be changed.
fn show(kind: &'static str, name: &str, differences: &[Difference]) -> Result<Option<String>, ProvisionError> {
    let list =
        |of: &mut dyn Iterator<Item = &Difference>| of.map(|one| one.shown.as_str()).collect::<Vec<_>>().join(", ");
    if differences.iter().any(|difference| !difference.safe) {
        let differences = list(&mut differences.iter().filter(|difference| !difference.safe));
        return Err(ProvisionError::Differs { kind, name: name.to_owned(), differences });
    }
    Ok((!differences.is_empty()).then(|| format!("{name}: {}", list(&mut differences.iter()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        stream_config(&Topology::new(&topology::Settings::default()).streams[1])
    }

    #[test]
    fn a_limit_may_grow_and_a_shrinking_one_is_refused_with_the_difference() {
        let have = config();
        let longer = Config { max_age: have.max_age * 2, ..have.clone() };
        let shown = show("stream", "S", &stream_differences(&have, &longer)).expect("growing is safe");
        assert!(shown.expect("a difference").contains("max_age"));
        let error = show("stream", "S", &stream_differences(&longer, &have)).expect_err("shrinking loses messages");
        assert!(error.to_string().contains("max_age: 5184000s → 2592000s"), "{error}");
    }

    #[test]
    fn what_an_operator_set_beside_stays() {
        let have = Config { max_bytes: 7, ..config() };
        assert!(stream_differences(&have, &config()).is_empty());
        assert_eq!(merge_stream(have, &config()).max_bytes, 7);
    }

    #[test]
    fn replicas_may_be_added_and_not_taken_away() {
        let three = Config { num_replicas: 3, ..config() };
        assert!(show("stream", "S", &stream_differences(&config(), &three)).is_ok());
        assert!(show("stream", "S", &stream_differences(&three, &config())).is_err());
    }

    #[test]
    fn another_retention_is_refused() {
        let have = Config { retention: RetentionPolicy::WorkQueue, ..config() };
        assert!(show("stream", "S", &stream_differences(&have, &config())).is_err());
    }
}
