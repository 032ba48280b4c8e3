//! The `honk-migrate` process.
fn main() {}
