//! The `honk-intake` process.

fn main() -> std::process::ExitCode {
    honk_service::main("honk-intake", honk_intake::serve)
}
