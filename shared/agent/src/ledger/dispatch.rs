//! What follows from a record's move is published here: jobs, the word that a run has ended, the turn of the run that waited.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_bus::{BusError, Expect, Publication};
use honk_protocol::dead::HEADER_TRACEPARENT;
use honk_protocol::job::JobMessage;
use honk_protocol::name::{JobName, PoolName};
use honk_protocol::run::Effect;
use honk_protocol::subject::{self, JobSubject};
use honk_service::messaging::publish_span;
use honk_service::trace_context;
use tracing::{Instrument, Span};

use super::{Ledger, LedgerError, Recorded, Trace, encode};

/// Items of one job whose messages are on their way at a time.
const ITEMS_AT_ONCE: usize = 64;

impl Ledger {
    pub(super) async fn publish(
        &self,
        recorded: &Recorded,
        effects: Vec<Effect>,
        trace: &Trace,
    ) -> Result<(), LedgerError> {
        let mut items = Vec::new();
        for effect in effects {
            match effect {
                Effect::Dispatch { job, pool, generation } if job.item_number().is_some() => {
                    items.push((job, pool, generation));
                }
                Effect::Dispatch { job, pool, generation } => {
                    let message = JobMessage::encode(&recorded.to_json()?, recorded.revision, &job, generation);
                    self.dispatch(subject_of(recorded, job, pool, generation), message, trace).await?;
                }
                Effect::Finished => {
                    self.leave_group(&recorded.run).await?;
                    let state = recorded.run.state.word();
                    self.bus.signal(subject::finished(&recorded.run.id), Bytes::from_static(state.as_bytes())).await?;
                }
                Effect::Promote(_) => Box::pin(self.settle_lane(&recorded.run.dataset)).await?,
            }
        }
        if items.is_empty() { Ok(()) } else { Box::pin(self.dispatch_items(recorded, items, trace)).await }
    }

    /// Publishes items, each with an excerpt of the record that has no other item in it, and with revision 0: nobody may write it back.
    async fn dispatch_items(
        &self,
        recorded: &Recorded,
        items: Vec<(JobName, PoolName, u32)>,
        trace: &Trace,
    ) -> Result<(), LedgerError> {
        let mut excerpt = recorded.run.without_items();
        let mut messages = Vec::with_capacity(items.len());
        for (name, pool, generation) in items {
            let Some(item) = recorded.run.job(&name) else { continue };
            excerpt.carry_item(item.clone());
            let message = JobMessage::encode(&encode(&excerpt)?, 0, &name, generation);
            messages.push(self.dispatch(subject_of(recorded, name, pool, generation), message, trace));
        }
        stream::iter(messages).buffer_unordered(ITEMS_AT_ONCE).try_collect().await
    }

    /// Publishes a job, once for all times: nothing may ever have been stored under its subject. The message carries on the span that it
    /// is published under; without an exporter, what was received.
    async fn dispatch(&self, to: JobSubject, message: Vec<u8>, trace: &Trace) -> Result<(), LedgerError> {
        let outside = Span::current().is_none();
        let span = publish_span(format_args!("honk.job.{}", to.pool), trace.parent().filter(|_| outside));
        let mut publication = Publication::new(to.to_string(), message).expect(Expect::New);
        if let Some(carried) = trace_context::current(&span).or(trace.0) {
            publication = publication.header(HEADER_TRACEPARENT, carried.to_string());
        }
        match self.bus.publish(publication).instrument(span).await {
            Ok(_) => Ok(()),
            Err(error) if BusError::is_conflict(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn subject_of(recorded: &Recorded, job: JobName, pool: PoolName, generation: u32) -> JobSubject {
    JobSubject { pool, run: recorded.run.id.clone(), job, generation }
}
