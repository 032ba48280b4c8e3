//! The `honk-notify` process.

fn main() -> std::process::ExitCode {
    honk_service::main("honk-notify", honk_notify::serve)
}
