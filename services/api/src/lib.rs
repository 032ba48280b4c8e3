//! The HTTP API: events, catalog, locations, workflows, runs, dead letters.
