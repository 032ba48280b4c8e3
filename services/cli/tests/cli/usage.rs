//! Help, and being called wrongly.

use insta::assert_snapshot;

use super::stub::{command, run, show};

fn honk(arguments: &str) -> String {
    show(&run(&mut command(arguments), ""))
}

#[test]
fn the_help_names_the_commands_the_exit_codes_and_examples() {
    assert_snapshot!(honk("--help"), @r#"
    exit 0
    --- stdout
    Migrates datasets across a fleet

    Usage: honk [OPTIONS] <COMMAND>

    Commands:
      dev          Start the whole system on this machine
      demo         Migrate real and generated datasets, and check every byte
      register     Check workflows and register them, with the files that their steps name
      workflow     Look at workflows and their versions, and at what they print
      lint         Show what is wrong with workflows, without registering them
      catalog      Tell Honk which datasets there are
      dataset      Look at datasets, say where they lie and shall go, and go back
      consumer     Look at who reads a dataset, and say who has moved
      plan         Say what a migration of a dataset would do, without moving a byte
      migrate      Migrate datasets
      run          Look at runs, and follow them
      dlq          Look at dead letters, and replay or discard them
      doctor       Find out what is wrong with the set-up
      provision    Make the NATS server's streams and consumers what Honk needs
      bench        Measure how much work an installation can do
      completions  Print a script that completes commands in a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Global options:
      -o, --output <FORMAT>
              How data is printed on standard output

              Possible values:
              - text: Tables and lines, for people
              - json: One JSON value a line, for programs

              [default: text]

          --api-url <URL>
              Where Honk's API listens

              [env: HONK_API_URL]
              [default: http://127.0.0.1:8080]

    Examples:
      honk demo
      honk dev --state ./state
      honk register workflows/migrate-dataset.yml
      honk migrate my-dataset --wait

    Exit codes:
      0  done
      1  the thing failed: a run, a document, a check
      2  wrong usage
      3  the API cannot be reached
    --- stderr
    "#);
}

#[test]
fn the_help_of_a_command_has_its_options_and_examples() {
    assert_snapshot!(honk("dataset location --help"), @r#"
    exit 0
    --- stdout
    Show where a dataset lies; with --source and --target, set it

    Usage: honk dataset location [OPTIONS] <NAME>

    Arguments:
      <NAME>
              The dataset

    Options:
          --watch
              Print it again whenever it changes, until interrupted

          --source <S3URL>
              Where it lies, as `s3://bucket/prefix`

          --target <S3URL>
              Where it shall go, as `s3://bucket/prefix`

          --source-endpoint <URL>
              The source's S3 endpoint, unless it is the agents' own

          --target-endpoint <URL>
              The target's S3 endpoint, unless it is the agents' own

          --source-region <REGION>
              The source's region

          --target-region <REGION>
              The target's region

          --format <FORMAT>
              The data's format, such as parquet

      -h, --help
              Print help (see a summary with '-h')

    Global options:
      -o, --output <FORMAT>
              How data is printed on standard output

              Possible values:
              - text: Tables and lines, for people
              - json: One JSON value a line, for programs

              [default: text]

          --api-url <URL>
              Where Honk's API listens

              [env: HONK_API_URL]
              [default: http://127.0.0.1:8080]

    Examples:
      honk dataset location my-dataset
      honk dataset location my-dataset --watch -o json
      honk dataset location my-dataset --source s3://old/my-dataset --target s3://new/my-dataset
      honk dataset location d --source s3://old/d --target s3://new/d --target-endpoint https://s3.example.org
    --- stderr
    "#);
}

#[test]
fn without_a_command_the_help_is_shown_as_an_error() {
    let shown = honk("");
    assert!(shown.starts_with("exit 2\n--- stdout\n--- stderr\nMigrates datasets"), "{shown}");
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    assert_snapshot!(honk("migrat my-dataset"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'migrat'

      tip: a similar subcommand exists: 'migrate'

    Usage: honk [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_sent() {
    assert_snapshot!(honk("migrate my/dataset"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'my/dataset' for '[NAME]...': dataset name `my/dataset` must be 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends

    For more information, try '--help'.
    "#);
}

#[test]
fn a_place_that_is_none_is_refused_with_the_reason() {
    assert_snapshot!(honk("dataset location d --source old/d --target s3://new/d"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'old/d' for '--source <S3URL>': it must look like `s3://bucket/prefix`

    For more information, try '--help'.
    "#);
}

#[test]
fn a_source_without_a_target_is_refused() {
    assert_snapshot!(honk("dataset location d --source s3://old/d"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      --target <S3URL>

    Usage: honk dataset location --source <S3URL> --target <S3URL> <NAME>

    For more information, try '--help'.
    "#);
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
fn a_time_that_is_none_is_refused_before_anything_is_sent() {
    for arguments in ["run logs r0123456789abcdef0123 --since yesterday", "workflow logs d --since -10m"] {
        let shown = honk(arguments);
        assert!(shown.starts_with("exit 2\n"), "{shown}");
    }
    assert!(honk("workflow logs d --attempt 0").starts_with("exit 2\n"));
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    assert_snapshot!(honk("run list --api-url host:8080"), @r#"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'host:8080' for '--api-url <URL>': it must look like `http://host:port`

    For more information, try '--help'.
    "#);
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
