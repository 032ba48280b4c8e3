//! What must hold before and after, and what becomes of rows that do not fit.

use honk_protocol::reason::Reason;
use serde_json::{Value, json};

use crate::setting::Setting;

const CSV: &[u8] = b"id,age\n1,20\n2,-5\n3\n4,30\n1,40\n5,\n6,60\n";

#[tokio::test]
async fn rows_that_do_not_fit_are_put_aside_with_the_reason() {
    let setting = Setting::with(&[("a.csv", CSV)]).await;
    let expect = json!({
        "not_null": ["age"], "unique": ["id"], "ranges": { "age": { "min": 0, "max": 60 } },
        "row_count": { "min": 3, "max": 3 }, "max_rejected": 0.6,
    });
    let result = setting.done(json!({ "format": "csv" }), expect.clone()).await;
    let target = setting.target().await;
    assert_eq!(&target["part-00000.csv"][..], b"id,age\n1,20\n4,30\n6,60\n");
    assert_eq!((result.evidence.before.rows, result.evidence.after.rows, result.evidence.rejected), (6, 3, 4));
    let aside = |key: &str| -> Vec<Value> {
        let text = std::str::from_utf8(&target[key]).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let source = aside("_quarantine/source.jsonl");
    assert_eq!((&source[0]["reason"], &source[0]["row"]), (&json!("transform-ragged"), &json!({ "fields": ["3"] })));
    let whys: Vec<_> = aside("_quarantine/result.jsonl").iter().map(|line| line["why"].to_string()).collect();
    assert_eq!(whys.len(), 3);
    assert!(whys[0].contains("less") && whys[1].contains("unique") && whys[2].contains("no value"), "{whys:?}");
    assert_eq!(result.files.len(), 3, "{:?}", result.files);
    let again = setting.done(json!({ "format": "csv" }), expect).await;
    assert_eq!((again.files, setting.target().await), (result.files, target), "the same again");
}

#[tokio::test]
async fn more_than_the_share_fails_and_with_no_share_the_first_does() {
    let setting = Setting::with(&[("a.csv", CSV)]).await;
    let share = json!({ "ranges": { "age": { "min": 0 } }, "max_rejected": 0.2 });
    let message = setting.fails(json!({}), share, Reason::TransformRejected).await;
    assert!(message.contains("2 of 7 rows") && message.contains("s3://data/to/_quarantine/"), "{message}");
    setting.fails(json!({}), json!({}), Reason::TransformRagged).await;
    let clean = Setting::with(&[("a.csv", b"id\n1\n2\n1\n")]).await;
    let message = clean.fails(json!({}), json!({ "unique": ["id"] }), Reason::TransformContract).await;
    assert!(message.contains("row 3 of result"), "{message}");
    let message = clean.fails(json!({}), json!({ "source": { "unique": [["id"]] } }), Reason::TransformContract).await;
    assert!(message.contains("row 3 of source"), "{message}");
    let message = clean.fails(json!({}), json!({ "row_count": { "max": 2 } }), Reason::TransformContract).await;
    assert!(message.contains("3 rows"), "{message}");
}

#[tokio::test]
async fn columns_and_types_are_checked_before_a_row_is_read() {
    // The second row could not be read.
    let setting = Setting::with(&[("a.csv", b"id,name\n1,x\n2\n")]).await;
    for (expect, reason, part) in [
        (json!({ "columns": ["id"] }), Reason::TransformContract, "`name`"),
        (json!({ "columns": ["id", "nam", "name"] }), Reason::TransformColumnUnknown, "did you mean `name`?"),
        (json!({ "types": { "id": "VARCHAR" } }), Reason::TransformContract, "`id` of result is Int64"),
        (json!({ "types": { "id": "NUMMER" } }), Reason::TransformSqlInvalid, "`NUMMER`"),
        (json!({ "source": { "types": { "id": "DATE" } } }), Reason::TransformContract, "of source"),
        (json!({ "ranges": { "id": { "min": "x" } } }), Reason::TransformContract, "`x`"),
        (json!({ "unique": ["ID2"] }), Reason::TransformColumnUnknown, "ID2"),
        (json!({ "columns": ["name", "id"], "types": { "id": "BIGINT" } }), Reason::TransformRagged, "line 3"),
    ] {
        let message = setting.fails(json!({}), expect.clone(), reason).await;
        assert!(message.contains(part), "{expect}: {message}");
    }
}

#[tokio::test]
async fn a_quarantine_elsewhere_is_not_part_of_the_target() {
    let setting = Setting::with(&[("a.csv", CSV)]).await;
    let expect = json!({ "max_rejected": 0.5, "quarantine": "s3://data/aside/run-1" });
    let result = setting.done(json!({}), expect).await;
    assert_eq!(setting.target().await.into_keys().collect::<Vec<_>>(), ["part-00000.parquet"]);
    assert_eq!(result.evidence.quarantine.as_deref(), Some("s3://data/aside/run-1"));
    assert!(setting.store.head("aside/run-1/source.jsonl").await.is_ok());
}
