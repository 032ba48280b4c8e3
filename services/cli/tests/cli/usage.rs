//! Help, and being called wrongly.

use insta::assert_snapshot;

use super::stub::{command, run, show};

fn honk(arguments: &str) -> String {
    show(&run(&mut command(arguments), ""))
}

#[test]
fn the_help_names_the_commands_the_exit_codes_and_examples() {
    assert_snapshot!(honk("--help"), @"");
}

#[test]
fn the_help_of_a_command_has_its_options_and_examples() {
    assert_snapshot!(honk("dataset location --help"), @"");
}

#[test]
fn without_a_command_the_help_is_shown_as_an_error() {
    let shown = honk("");
    assert!(shown.starts_with("exit 2\n--- stdout\n--- stderr\nMigrates datasets"), "{shown}");
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    assert_snapshot!(honk("migrat my-dataset"), @"");
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_sent() {
    assert_snapshot!(honk("migrate my/dataset"), @"");
}

#[test]
fn a_place_that_is_none_is_refused_with_the_reason() {
    assert_snapshot!(honk("dataset location d --source old/d --target s3://new/d"), @"");
}

#[test]
fn a_source_without_a_target_is_refused() {
    assert_snapshot!(honk("dataset location d --source s3://old/d"), @"");
}

#[test]
fn dead_letters_are_named_or_all_are_meant() {
    assert!(honk("dlq replay").starts_with("exit 2\n"));
    assert!(honk("dlq replay a --all").starts_with("exit 2\n"));
    assert!(honk("dlq discard a --reason owner-missing").starts_with("exit 2\n"));
    assert!(honk("dlq discard --reason owner-missing").starts_with("exit 2\n"));
    assert!(honk("dlq list --reason no-such-reason").starts_with("exit 2\n"));
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    assert_snapshot!(honk("run list --api-url host:8080"), @"");
}

#[test]
fn the_completions_of_every_shell_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&mut command(&format!("completions {shell}")), "");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        assert!(script.contains("dlq") && script.contains("location"), "{shell}: {script}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command("completions bash").stdout(writer).output().unwrap();
    assert_eq!(show(&output), "exit 0\n--- stdout\n--- stderr\n");
}
