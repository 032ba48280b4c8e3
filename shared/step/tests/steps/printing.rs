//! What arrives of what a program prints.

use honk_protocol::log::{LogStream, MAX_LINE_BYTES};
use honk_step::{Exit, Masks};

use crate::stage::{Stage, texts};

#[tokio::test]
async fn both_streams_arrive_apart_and_the_last_line_needs_no_end() {
    let (ended, lines) = Stage::new().shell("echo one; echo two >&2; printf 'three\\r\\n\\nfour'").await;
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(!ended.truncated && !ended.stopped && ended.limit.is_none());
    assert_eq!(texts(&lines, LogStream::Stdout), ["one", "three", "", "four"]);
    assert_eq!(texts(&lines, LogStream::Stderr), ["two"]);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced_and_escape_sequences_stay() {
    let script = r"import sys; sys.stdout.buffer.write(b'\xff\xfe\x00a\tb\x1b[31m\n' + 'ä🪿'.encode() + b'\xc3')";
    let (_, lines) = Stage::new().python(script).await;
    let expected = ["\u{fffd}\u{fffd}\u{fffd}a\tb\u{1b}[31m", "ä🪿\u{fffd}"];
    assert_eq!(texts(&lines, LogStream::Stdout), expected);
}

#[tokio::test]
async fn ten_mebibytes_without_a_line_feed_arrive_in_pieces() {
    let mut stage = Stage::new();
    stage.limits.log_bytes = 64 << 20;
    let (ended, lines) = stage.shell("head -c 10485760 /dev/zero | tr '\\0' x; echo; echo end").await;
    assert!(!ended.truncated);
    let (last, pieces) = lines.split_last().expect("lines");
    assert_eq!(last.text, "end");
    assert!(pieces.iter().all(|piece| piece.text.len() <= MAX_LINE_BYTES));
    assert_eq!(pieces.iter().map(|piece| piece.text.len()).sum::<usize>(), 10 << 20);
    let (tail, others) = pieces.split_last().expect("pieces");
    assert!(others.iter().all(|piece| piece.continued) && !tail.continued);
}

#[tokio::test]
async fn a_gibibyte_neither_blocks_the_program_nor_passes_the_cap() {
    let (ended, lines) = Stage::new().shell("head -c 1073741824 /dev/zero; echo $? >&2; exit 3").await;
    assert_eq!(ended.exit, Exit::Code(3));
    assert!(ended.truncated);
    let kept: usize = lines.iter().map(|line| line.text.len()).sum();
    assert!(kept <= 10 << 20 && kept > 9 << 20, "{kept}");
    let notes = texts(&lines, LogStream::Agent);
    assert_eq!(notes, ["the output is cut off here: it is larger than the 10 MiB that are kept of a step"]);
    assert_eq!(lines.last().map(|line| line.stream), Some(LogStream::Agent));
}

#[tokio::test]
async fn a_flood_of_empty_lines_is_capped_too() {
    let mut stage = Stage::new();
    stage.limits.log_bytes = 32 * 1000;
    let (ended, lines) = stage.shell("yes '' | head -n 100000").await;
    assert!(ended.truncated);
    assert_eq!(lines.len(), 1001);
}

#[tokio::test]
async fn a_program_waits_for_a_slow_listener_and_not_for_one_that_is_gone() {
    let stage = Stage::new();
    let mut step =
        stage.start(&["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; echo done > done"]);
    assert_eq!(step.line().await, "0");
    assert!(!stage.path().join("done").exists(), "the program waits");
    step.lines.close();
    while step.lines.recv().await.is_some() {}
    let (ended, _) = step.finish().await.expect("starts");
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(stage.path().join("done").exists());
}

#[tokio::test]
async fn known_secrets_and_usual_patterns_are_masked_also_across_reads() {
    let mut stage = Stage::new();
    stage.masks = Masks::new(["hunter2-and-more"]);
    let script = "import sys, time\nfor part in ['a hunter2', '-and', '-more b\\npassword=geheim ok\\n']:\n sys.stdout.write(part); sys.stdout.flush()";
    let (_, lines) = stage.python(script).await;
    assert_eq!(texts(&lines, LogStream::Stdout), ["a *** b", "password=*** ok"]);
}
