//! The agent runtime: pull, decode, handle, settle; heartbeats, fencing, retries, dead letters, drain.
