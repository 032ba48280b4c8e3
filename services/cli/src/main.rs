//! The `honk` command: everything a person does.

mod api;
mod arguments;
mod bench;
mod command;
mod demo;
mod error;
mod output;
mod place;
mod system;
mod view;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    command::main(std::env::args_os()).await
}
