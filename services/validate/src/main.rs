//! The `honk-validate` process.

fn main() -> std::process::ExitCode {
    honk_service::main("honk-validate", honk_validate::serve)
}
