//! The `honk-validate` process.
fn main() {}
