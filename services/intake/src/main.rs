//! The `honk-intake` process.
fn main() {}
