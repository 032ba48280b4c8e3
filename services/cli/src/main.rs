//! The `honk` command.
fn main() {}
