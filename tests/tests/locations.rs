//! What readers, consumers and people see of where a dataset lies: followed, acknowledged, rolled back, and its source given up. Through the
//! API, with all services as processes of their own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

mod locations {
    pub(crate) mod consumers;
    pub(crate) mod retire;
    pub(crate) mod rollback;
    pub(crate) mod site;
}
