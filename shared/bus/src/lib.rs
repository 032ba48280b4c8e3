//! NATS JetStream: connect, provision, publish, pull, settle, compare-and-set, watch.
