//! The `honk` command: everything a person does.

mod api;
mod arguments;
mod command;
mod error;
mod output;
mod place;
mod view;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    command::main(std::env::args_os()).await
}
