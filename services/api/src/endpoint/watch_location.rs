//! `GET /api/datasets/{name}/location/watch`: a location as server-sent events named `location`: how it is, and then how it is after every
//! change, for as long as the reader listens. The event's id is the epoch.
//!
//! What comes is the state of the moment, not a log: a slow reader skips states, and never the last one.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use honk_protocol::dataset::Location;
use honk_protocol::name::DatasetName;
use honk_protocol::subject::location_key;

use crate::problem::ApiError;
use crate::state::Api;
use crate::wire::LocationView;

pub(super) async fn handle(State(api): State<Api>, Path(name): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let name = DatasetName::new(name)?;
    // The copy in memory may be a moment behind what this reader has already been told.
    let (_, entry) = super::show_location::stored(&api, &name).await?;
    crate::state::read_own_write(&api.locations, entry.revision).await;
    Ok(Sse::new(events(Follow { api, name, shown: None })).keep_alive(KeepAlive::default()))
}

struct Follow {
    api: Api,
    name: DatasetName,
    shown: Option<Arc<Location>>,
}

impl Follow {
    /// The location once it is another one than was shown; none when the process stops.
    async fn next(&mut self) -> Option<LocationView> {
        loop {
            // Read before the value: a change in between is seen at the next look.
            let seen = self.api.locations.revision();
            let now = self.api.locations.get(&location_key(&self.name));
            if let Some(now) = now.filter(|now| self.shown.as_ref() != Some(now)) {
                let view = LocationView::new(&self.name, &now);
                self.shown = Some(now);
                return Some(view);
            }
            tokio::select! {
                () = self.api.stopping.cancelled() => return None,
                () = self.api.locations.reached(seen + 1) => {}
            }
        }
    }
}

fn events(follow: Follow) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(follow, |mut follow| async move {
        let view = follow.next().await?;
        let data = serde_json::to_string(&view).unwrap_or_default();
        Some((Ok(Event::default().event("location").id(view.epoch.to_string()).data(data)), follow))
    })
}
