//! Everything that is wrong with files has its reason, and the message says where.

use honk_protocol::reason::Reason;
use serde_json::{Value, json};

use crate::setting::{Setting, file, lines};

async fn message(objects: &[(&str, &[u8])], spec: Value, reason: Reason, parts: &[&str]) {
    let setting = Setting::with(objects).await;
    let message = setting.fails(spec, json!({}), reason).await;
    for part in parts {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    assert!(setting.target().await.is_empty(), "nothing is written of {message}");
}

#[tokio::test]
async fn a_row_that_is_ragged_or_not_utf_8_or_no_value_is_named_with_its_line() {
    let ragged = b"a,b\n1,2\n\"x\ny\",4\n5\n";
    message(&[("r.csv", ragged)], json!({}), Reason::TransformRagged, &["`from/r.csv`, line 5", "1 field"]).await;
    let latin = b"a,b\n1,2\n3,caf\xe9\n";
    message(&[("l.csv", latin)], json!({}), Reason::TransformEncoding, &["line 3", "`b`"]).await;
    let latin = b"{\"a\":1}\n{\"a\":\"\xff\"}\n";
    message(&[("l.json", latin)], json!({}), Reason::TransformEncoding, &["`from/l.json`, line 2"]).await;
    let mut rows = lines(5_000, |n| format!("{n}\n"));
    rows += "x7\n";
    let csv = format!("n\n{rows}");
    message(
        &[("v.csv", csv.as_bytes())],
        json!({}),
        Reason::TransformValue,
        &["line 5002", "`n` is `x7`, and no Int64"],
    )
    .await;
    let json_rows = lines(5_000, |n| format!("{{\"n\":{n}}}\n"));
    let wrong = format!("{json_rows}{{\"n\":1.5}}\n");
    message(&[("v.json", wrong.as_bytes())], json!({}), Reason::TransformValue, &["line 5001", "`n`"]).await;
    let new_field = format!("{json_rows}{{\"n\":1,\"later\":2}}\n");
    message(&[("v.json", new_field.as_bytes())], json!({}), Reason::TransformValue, &["line 5001", "later"]).await;
    let cut = b"{\"a\":1}\n{\"a\":";
    message(&[("c.json", cut)], json!({}), Reason::TransformValue, &["`from/c.json`, line 2"]).await;
}

#[tokio::test]
async fn a_header_that_changes_between_or_within_objects_is_named() {
    let between: &[(&str, &[u8])] = &[("1.csv", b"a,b\n1,2\n"), ("2.csv", b"a,c\n1,2\n")];
    message(between, json!({}), Reason::TransformHeader, &["`from/2.csv`", "`from/1.csv`", "lacks `b`", "has `c`"])
        .await;
    let within = b"name,size\nx,1\nname,size\ny,2\n";
    message(&[("w.csv", within)], json!({}), Reason::TransformHeader, &["`from/w.csv`, line 3"]).await;
    let twice = b"a,a\n1,2\n";
    message(&[("t.csv", twice)], json!({}), Reason::TransformHeader, &["line 1", "`a`"]).await;
}

#[tokio::test]
async fn a_row_without_end_is_refused_and_not_held() {
    let spec = || json!({ "input": { "max_row_bytes": 100_000 } });
    let long = |start: &str| format!("{start}{}", "x".repeat(3_000_000)).into_bytes();
    message(&[("a.csv", &long("a,b\n1,\""))], spec(), Reason::TransformRowTooLong, &["`from/a.csv`, line 2"]).await;
    message(&[("a.json", &long("{\"a\":1}\n{\"a\":\""))], spec(), Reason::TransformRowTooLong, &["line 2"]).await;
    message(&[("b.json", &long("[{\"a\":1},\n\n{\"a\":\""))], spec(), Reason::TransformRowTooLong, &["line 3"]).await;
}

#[tokio::test]
async fn what_is_cut_off_or_nothing_known_is_named() {
    let parquet = file("parquet", "none", "a.csv", b"a\n1\n").await;
    let end = &parquet[..parquet.len() - 5];
    message(&[("p.parquet", end)], json!({}), Reason::TransformTruncated, &["`from/p.parquet`"]).await;
    message(&[("p.parquet", b"PAR1")], json!({}), Reason::TransformTruncated, &["shorter"]).await;
    let rows = lines(20_000, |n| format!("{n},{}\n", n * 7919 % 10_007));
    let wrapped = file("csv", "gzip", "a.csv", format!("a,b\n{rows}").as_bytes()).await;
    let cut = &wrapped[..wrapped.len() / 2];
    message(&[("g.csv.gz", cut)], json!({}), Reason::TransformTruncated, &["`from/g.csv.gz`"]).await;
    message(&[("a.json", b"[{\"a\":1},")], json!({}), Reason::TransformTruncated, &["`from/a.json`"]).await;
    message(&[("logo.png", b"\x89PNG\r\n\x1a\n")], json!({}), Reason::TransformInputUnknown, &["`from/logo.png`"])
        .await;
    message(&[("_SUCCESS", b"x")], json!({}), Reason::SourceEmpty, &["from/"]).await;
}

#[tokio::test]
async fn types_that_do_not_make_one_table_name_the_column_and_two_objects() {
    let text = file("parquet", "snappy", "a.csv", b"a\nx\n").await;
    let number = file("parquet", "gzip", "a.csv", b"a\n1\n").await;
    let objects: &[(&str, &[u8])] = &[("1.parquet", &text), ("2.parquet", &number)];
    let parts = ["`a` is Utf8 in `from/1.parquet`", "Int64 in `from/2.parquet`"];
    message(objects, json!({}), Reason::TransformSchema, &parts).await;
    message(
        &[("a.csv", b"abc\n1\n")],
        json!({ "drop": ["abd"] }),
        Reason::TransformColumnUnknown,
        &["did you mean `abc`?"],
    )
    .await;
}
