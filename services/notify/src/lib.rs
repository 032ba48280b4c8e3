//! Tells owners and consumers: signed webhooks and CloudEvents.
