//! The `honk-migrate` process.

fn main() -> std::process::ExitCode {
    honk_service::main("honk-migrate", honk_migrate::serve)
}
