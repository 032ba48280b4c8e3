//! Done again, whatever was left behind, a transformation ends with the same objects, byte for byte; and it stays within its memory.

use honk_protocol::reason::Reason;
use serde_json::json;

use crate::setting::{Setting, lines};

fn rows(count: usize) -> Vec<u8> {
    let rows = lines(count, |n| format!("{},{},{}\n", n % 7, n, (n * 7_919) % 10_007));
    format!("part,n,hash\n{rows}").into_bytes()
}

#[tokio::test]
async fn the_same_input_gives_the_same_bytes_over_what_an_earlier_attempt_left() {
    for spec in [
        json!({ "partition_by": ["part"], "max_rows_per_file": 5_000 }),
        json!({ "format": "csv", "compression": "zstd", "max_rows_per_file": 20_000 }),
        json!({ "format": "json", "compression": "gzip" }),
    ] {
        let setting = Setting::with(&[("1.csv", &rows(60_000)), ("2.csv", &rows(10))]).await;
        let first = setting.done(spec.clone(), json!({})).await;
        let target = setting.target().await;
        let extension = first.files[0].key.split_once('.').unwrap().1.to_owned();
        setting.put(&format!("to/{}", first.files[0].key), b"half".to_vec()).await;
        setting.put(&format!("to/part-99999.{extension}"), b"of an attempt with more".to_vec()).await;
        setting.put("to/_quarantine/result.jsonl", b"{}".to_vec()).await;
        let again = setting.done(spec, json!({})).await;
        assert_eq!((again.removed, &again.files), (2, &first.files));
        assert_eq!((again.evidence.before, again.evidence.after), (first.evidence.before, first.evidence.after));
        assert!(setting.target().await == target, "the bytes are the same");
    }
}

#[tokio::test]
async fn what_somebody_else_wrote_is_neither_mixed_with_nor_removed() {
    let setting = Setting::with(&[("1.csv", &rows(10))]).await;
    setting.put("to/report.csv", b"a\n1\n".to_vec()).await;
    let message = setting.fails(json!({}), json!({}), Reason::TargetConflict).await;
    assert!(message.contains("`to/report.csv`"), "{message}");
    assert_eq!(setting.target().await.len(), 1);
}

#[tokio::test]
async fn what_is_told_to_be_somebody_elses_is_never_removed_not_even_by_a_failure() {
    let setting = Setting::with(&[("1.csv", b"n\n1\n1\n")]).await;
    for key in ["to/part-00005.parquet", "to/report.csv"] {
        setting.put(key, b"precious".to_vec()).await;
    }
    setting.put("to/part-00006.parquet", b"of an earlier attempt".to_vec()).await;
    let mut request = setting.request(&json!({}), &json!({}));
    request.kept = Some(vec!["part-00005.parquet".to_owned(), "report.csv".to_owned()]);
    assert_eq!(setting.send(&request).await.unwrap().removed, 1);
    let keys = || async { setting.target().await.into_keys().collect::<Vec<_>>() };
    assert_eq!(keys().await, ["part-00000.parquet", "part-00005.parquet", "report.csv"]);
    request.expect.row_count.max = Some(json!(1));
    assert_eq!(setting.send(&request).await.unwrap_err().reason, Reason::TransformContract);
    assert_eq!(keys().await, ["part-00005.parquet", "report.csv"]);
}

#[tokio::test]
async fn more_than_the_memory_goes_to_disk_and_more_than_can_go_there_says_so() {
    let setting = Setting::with(&[("1.csv", &rows(400_000))]).await;
    let sql = "SELECT n, hash, repeat(CAST(hash AS VARCHAR), 20) AS long FROM source ORDER BY hash, n";
    let mut request = setting.request(&json!({ "sql": sql }), &json!({ "unique": ["n"] }));
    request.memory_bytes = 24 << 20;
    let result = setting.send(&request).await.unwrap();
    assert_eq!(result.evidence.after.rows, 400_000);
    let sql = "SELECT max(n) AS n, count(DISTINCT repeat(CAST(n AS VARCHAR), 50)) AS m FROM source";
    let mut request = setting.request(&json!({ "sql": sql }), &json!({}));
    request.memory_bytes = 4 << 20;
    let fault = setting.send(&request).await.unwrap_err();
    assert_eq!(fault.reason, Reason::TransformMemory, "{}", fault.message);
}
