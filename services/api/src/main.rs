//! The `honk-api` process.
fn main() {}
