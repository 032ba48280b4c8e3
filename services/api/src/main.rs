//! The `honk-api` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    honk_service::main("honk-api", honk_api::serve)
}
