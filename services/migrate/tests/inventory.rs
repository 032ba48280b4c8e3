//! Migrations whose work is cut by an inventory that the store wrote of the source, against a real NATS server and a real S3 protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/course.rs"]
mod course;

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use honk_agent::action::Worked;
use honk_protocol::dataset::{Place, Side};
use honk_protocol::reason::Reason;
use honk_protocol::settle::{Again, Failed};
use honk_storage::Attributes;
use honk_testkit::World;
use md5::{Digest as _, Md5};
use parquet::basic::Compression as Codec;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};

use course::{Course, delete, migrate, put};

const MANIFEST: &str = "raw/2026-11-20T01-00Z/manifest.json";
const AGE: &str = "2026-11-20T01:00:00Z";

/// A row of an inventory: bucket, key, and its size; an old version if that is missing.
type Row = (&'static str, String, Option<u64>);

/// Keys as they are and as inventories encode them.
fn keys() -> Vec<(String, String)> {
    let odd = [("a b/c+d.csv", "a+b/c%2Bd.csv"), ("é/100%.csv", "%C3%A9/100%25.csv"), ("日本", "%E6%97%A5%E6%9C%AC")];
    let plain = (0..22).map(|number| format!("part-{number:04}.csv")).map(|key| (key.clone(), key));
    plain.chain(odd.map(|(key, encoded)| (key.to_owned(), encoded.to_owned()))).collect()
}

/// A dataset with an object for each key, and a bucket for the inventory of it.
async fn dataset(world: &World) -> (Place, Place) {
    let (source, target) = (world.place("old", "raw"), world.place("new", "in"));
    world.create_buckets(&[&source, &target, &world.place("lists", "")]).await;
    for (key, _) in keys() {
        put(world, &source, &key, "x").await;
    }
    world.register("sales", &source, &target).await;
    (source, target)
}

fn rows(key: impl Fn(&(String, String)) -> String) -> Vec<Row> {
    let of_source = keys().into_iter().map(|both| ("old", format!("raw/{}", key(&both)), Some(1)));
    let others =
        [("old", "other/x".to_owned(), Some(9)), ("else", "raw/y".into(), Some(9)), ("old", "raw/z".into(), None)];
    of_source.chain(others).collect()
}

fn csv(rows: &[Row]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for (bucket, key, size) in rows {
        let is_latest = size.is_some();
        writeln!(gzip, "\"{bucket}\",\"{key}\",\"v\",\"{is_latest}\",\"{}\"", size.unwrap_or(7)).unwrap();
    }
    gzip.finish().unwrap()
}

fn parquet(rows: &[Row]) -> Vec<u8> {
    let schema = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); \
        optional binary version_id (UTF8); optional boolean is_latest; optional int64 size; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(Codec::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for rows in rows.chunks(10) {
        let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let buckets: Vec<_> = rows.iter().map(|row| text(row.0)).collect();
        let keys: Vec<_> = rows.iter().map(|row| text(&row.1)).collect();
        let are_latest: Vec<_> = rows.iter().map(|row| row.2.is_some()).collect();
        let sizes: Vec<_> = rows.iter().map(|row| i64::try_from(row.2.unwrap_or(7)).unwrap()).collect();
        let (all, none) = (vec![1; rows.len()], vec![0; rows.len()]);
        let mut group = writer.next_row_group().unwrap();
        for column in 0..5 {
            let mut open = group.next_column().unwrap().unwrap();
            match column {
                0 => open.typed::<ByteArrayType>().write_batch(&buckets, None, None),
                1 => open.typed::<ByteArrayType>().write_batch(&keys, None, None),
                2 => open.typed::<ByteArrayType>().write_batch(&[], Some(&none), None),
                3 => open.typed::<BoolType>().write_batch(&are_latest, Some(&all), None),
                _ => open.typed::<Int64Type>().write_batch(&sizes, Some(&all), None),
            }
            .unwrap();
            open.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Writes an inventory with these files, with `changes` made to its manifest.
async fn write(world: &World, format: &str, files: &[Vec<u8>], changes: &Value) {
    let md5 = |bytes: &[u8]| hex::encode(Md5::digest(bytes));
    let name = |number: usize| format!("raw/data/{number}");
    let named = files.iter().enumerate();
    let named =
        named.map(|(number, file)| json!({ "key": name(number), "size": file.len(), "MD5checksum": md5(file) }));
    let mut manifest = json!({
        "sourceBucket": "old", "destinationBucket": "arn:aws:s3:::lists", "version": "2016-11-30",
        "creationTimestamp": "1795136400000", "fileFormat": format, "fileSchema": "Bucket, Key, VersionId, IsLatest, Size",
        "files": named.collect::<Vec<_>>(),
    });
    for (name, value) in changes.as_object().unwrap() {
        manifest[name] = value.clone();
    }
    let manifest = manifest.to_string().into_bytes();
    let store = world.open(&world.place("lists", "")).await;
    let checksum = format!("{}\n", md5(&manifest)).into_bytes();
    let mut objects = vec![(MANIFEST.to_owned(), manifest), (MANIFEST.replace(".json", ".checksum"), checksum)];
    objects.extend(files.iter().enumerate().map(|(number, file)| (name(number), file.clone())));
    for (key, bytes) in objects {
        store.put_small(&key, Bytes::from(bytes), &Attributes::default()).await.unwrap();
    }
}

fn with() -> Value {
    json!({ "chunk": { "objects": 10 }, "inventory": format!("s3://lists/{MANIFEST}") })
}

/// Migrates after the source has changed since the inventory, and again while parts are copied.
async fn migrates_by_a_stale_inventory(world: &World, (source, target): (Place, Place)) {
    delete(world, &source, "part-0001.csv").await;
    put(world, &source, "new at the end.csv", "new").await;
    put(world, &source, "part-0002.csv", "changed").await;
    let mut course = Course::new(world, "sales", &with());
    let parts = {
        let worked = course.attempt().await;
        course.split(worked)
    };
    assert_eq!((parts.len(), world.count(&target).await), (3, (0, 0)));
    let mut due = Vec::new();
    for part in &parts {
        assert_eq!(due, vec![]);
        due = course.part(part).await;
        put(world, &source, "! late.csv", "late").await;
    }
    course.rejoin(due);
    let evidence = course.finish().await["evidence"].clone();
    let planned_by = json!({ "inventory": format!("s3://lists/{MANIFEST}"), "created_at": AGE });
    assert_eq!(evidence["planned_by"], planned_by);
    let first = &evidence["rounds"][0];
    assert_eq!((&first["parts"], &first["copied"]), (&json!(3), &json!(25)), "25 keys were there when parts began");
    assert_eq!((&evidence["source"]["objects"], world.location("sales").await.active), (&json!(26), Side::Target));
    assert_eq!(evidence["source"]["digest"], evidence["target"]["digest"]);
    assert_eq!(world.count(&source).await, world.count(&target).await);
}

#[tokio::test]
async fn work_is_cut_by_a_stale_inventory_in_csv_and_everything_arrives() {
    let world = World::start().await;
    let places = dataset(&world).await;
    let rows = rows(|(_, encoded)| encoded.clone());
    write(&world, "CSV", &[csv(&rows[..12]), csv(&rows[12..])], &json!({})).await;
    migrates_by_a_stale_inventory(&world, places).await;
}

#[tokio::test]
async fn work_is_cut_by_a_stale_inventory_in_parquet_and_everything_arrives() {
    let world = World::start().await;
    let places = dataset(&world).await;
    let rows = rows(|(key, _)| key.clone());
    write(&world, "Parquet", &[parquet(&rows[12..]), parquet(&rows[..12])], &json!({})).await;
    migrates_by_a_stale_inventory(&world, places).await;
}

#[tokio::test]
async fn a_part_whose_objects_are_all_gone_has_nothing_to_do() {
    let world = World::start().await;
    let (source, target) = dataset(&world).await;
    write(&world, "CSV", &[csv(&rows(|(_, encoded)| encoded.clone()))], &json!({})).await;
    for (key, _) in keys().iter().filter(|(key, _)| key.as_str() < "part-0010") {
        delete(&world, &source, key).await;
    }
    let mut course = Course::new(&world, "sales", &with());
    let worked = course.attempt().await;
    let mut due = Vec::new();
    for part in course.split(worked) {
        due = course.part(&part).await;
    }
    course.rejoin(due);
    course.finish().await;
    assert_eq!(world.count(&source).await, world.count(&target).await);
}

#[tokio::test]
async fn where_others_are_at_the_target_both_sides_are_listed() {
    let world = World::start().await;
    let (_, target) = dataset(&world).await;
    put(&world, &target, "part-0001.csv", "somebody's").await;
    let failed = migrate_once(&world, &with()).await.unwrap_err();
    assert_eq!(failed.reason, Reason::TargetConflict, "{}", failed.message);
    // And so is a small dataset, and one whose job may not be split.
    delete(&world, &target, "part-0001.csv").await;
    let mut alone = Course::new(&world, "sales", &with());
    alone.context.may_split = false;
    let evidence = alone.finish().await["evidence"].clone();
    assert_eq!((&evidence["source"]["objects"], evidence.get("planned_by")), (&json!(25), None));
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_is_refused_with_the_reason() {
    let world = World::start().await;
    let (_, target) = dataset(&world).await;
    let refused = async |text: &str| {
        let failed = migrate_once(&world, &with()).await.unwrap_err();
        assert_eq!((failed.reason, failed.again), (Reason::InventoryInvalid, Again::Never), "{}", failed.message);
        assert!(failed.message.contains(text), "{text} is not in {}", failed.message);
    };
    refused("manifest.json: there is no such object").await;
    let whole = csv(&rows(|(_, encoded)| encoded.clone()));
    let file = [whole.clone()];
    write(&world, "ORC", &file, &json!({})).await;
    refused("its files are ORC").await;
    write(&world, "CSV", &file, &json!({ "sourceBucket": "another" })).await;
    refused("of the bucket \"another\"").await;
    write(&world, "CSV", &file, &json!({ "fileSchema": "Bucket, Key" })).await;
    refused("no column Size").await;
    write(&world, "CSV", &file, &json!({ "files": [{ "key": "raw/data/0", "MD5checksum": "00" }] })).await;
    refused("s3://lists/raw/data/0: its MD5 is").await;
    write(&world, "CSV", &file, &json!({ "files": [{ "key": "raw/data/7", "MD5checksum": "00" }] })).await;
    refused("s3://lists/raw/data/7: there is no such object").await;
    // As the store wrote it, and still not whole.
    write(&world, "CSV", &[whole[..whole.len() / 2].to_vec()], &json!({})).await;
    refused("cannot be read").await;
    write(&world, "Parquet", &[b"PAR1 and then nothing of Parquet PAR1".to_vec()], &json!({})).await;
    refused("cannot be read").await;
    write(&world, "CSV", &file, &json!({})).await;
    put(&world, &world.place("lists", ""), MANIFEST, "{}").await;
    refused("manifest.json: its MD5 is").await;
    assert_eq!(world.count(&target).await, (0, 0), "nothing was copied");

    let failed = migrate_once(&world, &json!({ "inventory": "lists/manifest.json" })).await.unwrap_err();
    assert_eq!(failed.reason, Reason::InputInvalid);
    assert!(failed.message.contains("s3://bucket/path/manifest.json"), "{}", failed.message);
}

async fn migrate_once(world: &World, with: &Value) -> Result<Worked, Failed> {
    use honk_agent::Action as _;
    migrate(world).attempt(&Course::new(world, "sales", with).context).await
}
