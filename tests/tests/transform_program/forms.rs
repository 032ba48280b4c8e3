//! What is read, what the query makes of it, what is written.

use honk_protocol::reason::Reason;
use serde_json::json;

use crate::setting::{Setting, file, lines};

const CSV: &[u8] = b"id,name,born,zip\n1,Ann,2001-02-03,00501\n2,\"Bo, the\nsecond\",,10001\n";

#[tokio::test]
async fn short_forms_rename_cast_drop_and_add() {
    let setting = Setting::with(&[("a.csv", CSV)]).await;
    let spec = json!({
        "rename": { "name": "who" }, "cast": { "id": "SMALLINT" }, "drop": ["zip"],
        "add": { "year": "date_part('year', born)" },
    });
    let result = setting.done(spec, json!({})).await;
    let rows = setting.csv("part-00000.parquet").await;
    assert_eq!(rows, "id,who,born,year\n1,Ann,2001-02-03,2001\n2,\"Bo, the\nsecond\",,\n");
    let kinds: Vec<_> =
        result.evidence.after.columns.iter().map(|column| (column.kind.as_str(), column.nulls)).collect();
    assert_eq!(kinds, [("Int16", 0), ("Utf8", 0), ("Date32", 1), ("Int32", 1)]);
    let before: Vec<_> = result.evidence.before.columns.iter().map(|column| column.kind.as_str()).collect();
    assert_eq!((before.as_slice(), result.evidence.before.rows), (&["Int16", "Utf8", "Date32", "Utf8"][..], 2));
    assert_eq!(
        result.evidence.before.columns[1].checksum, result.evidence.after.columns[1].checksum,
        "the names are as they were"
    );
}

#[tokio::test]
async fn every_form_and_wrapping_of_the_same_rows_is_one_table() {
    let zstd = file("csv", "zstd", "a.csv", b"id,name\n5,e\n6,f\n").await;
    let gzip = file("csv", "gzip", "a.csv", b"name,id\ng,7\n").await;
    let setting = Setting::with(&[
        ("1.jsonl", b"{\"id\":1,\"name\":\"a\"}\n\n{\"name\":\"b\",\"id\":2}"),
        ("2.json", b" [ {\"id\":3,\"name\":\"c]}\\\"\"} ,\n{\"id\":4} ] \n"),
        ("3.csv.zst", &zstd),
        ("4-without-extension", &gzip),
        ("_SUCCESS", b"not data"),
        ("empty.csv", b""),
    ])
    .await;
    let result = setting.done(json!({ "format": "csv" }), json!({})).await;
    let target = setting.target().await;
    let expected = "id,name\n1,a\n2,b\n3,\"c]}\"\"\"\n4,\n5,e\n6,f\n7,g\n";
    assert_eq!(std::str::from_utf8(&target["part-00000.csv"]).unwrap(), expected);
    assert_eq!((result.evidence.source_objects, result.evidence.before.rows, result.evidence.after.rows), (4, 7, 7));
}

#[tokio::test]
async fn json_out_keeps_missing_values_and_can_be_read_again() {
    let setting = Setting::with(&[("a.csv", b"id,x\n1,\n2,2.5\n")]).await;
    setting.done(json!({ "format": "json", "compression": "gzip" }), json!({})).await;
    let bytes = setting.target().await.remove("part-00000.json.gz").unwrap();
    let text = file("json", "none", "a.json.gz", &bytes).await;
    assert_eq!(std::str::from_utf8(&text).unwrap(), "{\"id\":1,\"x\":null}\n{\"id\":2,\"x\":2.5}\n");
}

#[tokio::test]
async fn partitions_become_folders_and_files_end_when_they_are_full() {
    let csv = format!("kind,n\n{}", lines(50, |n| format!("{},{n}\n", ["a/b", "", "c"][n % 3])));
    let setting = Setting::with(&[("a.csv", csv.as_bytes())]).await;
    let spec = json!({ "format": "csv", "partition_by": ["kind"], "max_rows_per_file": 10 });
    let result = setting.done(spec, json!({})).await;
    let keys: Vec<_> = setting.target().await.into_keys().collect();
    assert_eq!(
        keys,
        [
            "kind=__HIVE_DEFAULT_PARTITION__/part-00000.csv",
            "kind=__HIVE_DEFAULT_PARTITION__/part-00001.csv",
            "kind=a%2Fb/part-00000.csv",
            "kind=a%2Fb/part-00001.csv",
            "kind=c/part-00000.csv",
            "kind=c/part-00001.csv",
        ]
    );
    let target = setting.target().await;
    assert_eq!(&target["kind=c/part-00001.csv"][..], b"n\n32\n35\n38\n41\n44\n47\n");
    assert_eq!(result.files.iter().map(|file| file.rows).sum::<u64>(), 50);
}

#[tokio::test]
async fn parquet_of_different_ages_is_one_table() {
    let old = Setting::with(&[("a.csv", b"id,gone\n1,x\n")]).await;
    old.done(json!({ "cast": { "id": "INT" } }), json!({})).await;
    let new = Setting::with(&[("a.csv", b"id,new\n2,y\n")]).await;
    new.done(json!({}), json!({})).await;
    let [first, second] =
        [old.target().await, new.target().await].map(|mut all| all.remove("part-00000.parquet").unwrap());
    let setting = Setting::with(&[("1.parquet", &first), ("2.parquet", &second)]).await;
    let result = setting.done(json!({ "format": "csv" }), json!({})).await;
    let target = setting.target().await;
    assert_eq!(&target["part-00000.csv"][..], b"id,gone,new\n1,x,\n2,,y\n");
    assert_eq!(result.evidence.before.columns[0].kind, "Int64");
}

#[tokio::test]
async fn sql_groups_and_joins_and_what_is_not_a_query_is_refused() {
    let setting = Setting::with(&[("a.csv", b"Kind,n\na,1\nb,2\na,3\n")]).await;
    let sql = "SELECT s.Kind, COUNT(*) AS many, SUM(s.n) AS n FROM source s GROUP BY s.Kind ORDER BY s.Kind";
    let result = setting.done(json!({ "sql": sql, "format": "csv" }), json!({})).await;
    assert_eq!(&setting.target().await["part-00000.csv"][..], b"Kind,many,n\na,2,4\nb,1,2\n");
    assert_eq!((result.evidence.before.rows, result.evidence.after.rows), (3, 2));
    for (sql, part) in [
        ("DROP TABLE source", "DDL"),
        ("COPY source TO '/tmp/x.csv'", "DML"),
        ("SELEC 1", "Expected"),
        ("EXPLAIN SELECT 1", "SELECT"),
        ("SELECT now() AS t FROM source", "`now()`"),
        ("SELECT n FROM source WHERE n > random()", "`random()`"),
    ] {
        let message = setting.fails(json!({ "sql": sql }), json!({}), Reason::TransformSqlInvalid).await;
        assert!(message.contains(part), "{sql}: {message}");
    }
    let message =
        setting.fails(json!({ "sql": "SELECT kind FROM source" }), json!({}), Reason::TransformColumnUnknown).await;
    assert!(message.contains("did you mean `Kind`?"), "{message}");
}

#[tokio::test]
async fn a_limit_still_has_evidence_of_all_rows_and_no_rows_have_columns() {
    let rows = lines(100_000, |n| format!("{n}\n"));
    let setting = Setting::with(&[("a.csv", format!("n\n{rows}").as_bytes())]).await;
    let result = setting.done(json!({ "sql": "SELECT n FROM source LIMIT 3" }), json!({})).await;
    assert_eq!((result.evidence.before.rows, result.evidence.after.rows), (100_000, 3));
    let result = setting.done(json!({ "sql": "SELECT n FROM source WHERE n < 0" }), json!({})).await;
    assert_eq!((result.evidence.after.rows, result.files.len()), (0, 1));
    assert_eq!(setting.csv("part-00000.parquet").await, "n\n");
    let result = setting.done(json!({ "sql": "SELECT 1 AS one" }), json!({})).await;
    assert_eq!((result.evidence.before.rows, result.evidence.after.rows), (100_000, 1));
}
