//! The `honk-runner` process.

fn main() -> std::process::ExitCode {
    honk_service::main("honk-runner", honk_runner::serve)
}
