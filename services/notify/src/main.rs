//! The `honk-notify` process.
fn main() {}
