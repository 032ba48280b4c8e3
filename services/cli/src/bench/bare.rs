//! What the messages of a chain cost by themselves: the same streams and consumers, as many writes of the same sizes under the same
//! expectations, the same deliveries and acknowledgements, through the same client. Nothing is read, decided or recorded: what a chain costs
//! more than this is Honk's, and how much this costs is the machine's.

use std::sync::Arc;

use bytes::Bytes;
use honk_agent::pump::Pump;
use honk_bus::{Bus, BusError, Delivery, Expect, Publication};
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::name::{DatasetName, JobName, PoolName, RunId};
use honk_protocol::subject::{self, JobSubject};
use honk_protocol::topology;
use honk_service::config::NoSettings;
use honk_service::{Context, Failure};

use super::load::SOURCE;

/// About the size of a chain's record, which has 600 bytes when it is created and 850 at its end.
const RECORD: &[u8] = &[b'.'; 750];

/// As long as the header that every job message has.
const TRACEPARENT: &str = "00-00000000000000000000000000000001-0000000000000001-01";

/// One of the consumers that a chain goes through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    /// Whose jobs it takes; intake takes events.
    pool: Option<&'static str>,
    /// Whose jobs it publishes; the last one says that the run has ended.
    next: Option<&'static str>,
}

/// Intake and the three agents.
pub(super) const STAGES: [Stage; 4] = [
    Stage { pool: None, next: Some("validate") },
    Stage { pool: Some("validate"), next: Some("migrate") },
    Stage { pool: Some("migrate"), next: Some("notify") },
    Stage { pool: Some("notify"), next: None },
];

/// Serves one stage, `slots` messages at a time, until the context's lifecycle ends it.
pub(super) async fn serve(context: Context<NoSettings>, stage: Stage, slots: usize) -> Result<(), Failure> {
    let bus = honk_agent::start::connect(&context).await?;
    let (stream, consumer) = stage.pool.map_or((topology::EVENTS, topology::INTAKE), |pool| (topology::JOBS, pool));
    let puller = bus.pull(stream, consumer).await?;
    let pump = Pump { name: context.service.clone(), slots, health: context.health.clone() };
    let stage = Arc::new(Serving { bus, stage });
    pump.run(puller, &context.lifecycle, |delivery| Arc::clone(&stage).handle(delivery)).await;
    Ok(())
}

struct Serving {
    bus: Bus,
    stage: Stage,
}

/// What a message says of its chain.
struct Link {
    dataset: DatasetName,
    run: RunId,
    /// The record's; none before it is created.
    revision: Option<u64>,
}

impl Serving {
    async fn handle(self: Arc<Self>, delivery: Delivery) {
        if let Err(failure) = self.pass_on(delivery).await {
            tracing::error!(%failure, "a message was not passed on");
        }
    }

    /// Record, publish, acknowledge.
    async fn pass_on(&self, delivery: Delivery) -> Result<(), Failure> {
        let link = Link::read(&delivery, self.stage)?;
        let revision = self.record(&link).await?;
        match self.stage.next {
            Some(pool) => self.dispatch(&link, revision, pool).await?,
            None => self.bus.signal(subject::finished(&link.run), Bytes::from_static(b"success")).await?,
        }
        Ok(delivery.ack().await?)
    }

    async fn record(&self, link: &Link) -> Result<u64, BusError> {
        let runs = self.bus.runs();
        let expect = match link.revision {
            Some(revision) => Expect::Last(revision),
            None => Expect::LastOf { filter: runs.subject(&subject::lane_filter(&link.dataset)), sequence: 0 },
        };
        let ttl = self.stage.next.is_none().then_some(topology::KEEP_SUCCESS);
        let publication = runs.publication(&subject::run_key(&link.dataset, &link.run), RECORD);
        Ok(self.bus.publish(publication.expect(expect).ttl(ttl)).await?.sequence)
    }

    async fn dispatch(&self, link: &Link, revision: u64, pool: &str) -> Result<(), Failure> {
        let (pool, job) = (PoolName::new(pool)?, JobName::new(pool)?);
        let subject = JobSubject { pool, run: link.run.clone(), job, generation: 1 };
        let mut message = format!("{revision} {} ", link.dataset).into_bytes();
        message.extend_from_slice(RECORD);
        let publication = Publication::new(subject.to_string(), message).expect(Expect::New);
        self.bus.publish(publication.header(HEADER_TRACEPARENT, TRACEPARENT)).await?;
        Ok(())
    }
}

impl Link {
    fn read(delivery: &Delivery, stage: Stage) -> Result<Self, Failure> {
        let message = &delivery.message;
        if stage.pool.is_none() {
            let id = message.headers.get("Nats-Msg-Id").unwrap_or_default();
            return Ok(Self { dataset: DatasetName::new(id)?, run: RunId::of_event(SOURCE, id), revision: None });
        }
        let subject: JobSubject = message.subject.parse()?;
        let mut parts = message.payload.splitn(3, |byte| *byte == b' ').map(String::from_utf8_lossy);
        let (revision, dataset) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Ok(Self { dataset: DatasetName::new(&*dataset)?, run: subject.run, revision: Some(revision.parse()?) })
    }
}
