//! S3 servers of other makes, within, into and out of which datasets migrate. All other tests use the embedded one, which is our own
//! reading of the protocol and cannot tell where we misread it. What a server cannot do is found by a probe and left out by
//! its finding, never by the server's name; the same probe makes the table of `docs/STORES.md` (`UPDATE_DOCS=1` writes it anew).

#![expect(clippy::unwrap_used, reason = "a dataset that cannot be made fails the test")]

#[path = "foreign_store/servers.rs"]
mod servers;

use std::fmt::Write as _;

use bytes::Bytes;
use honk_service::environment;
use honk_storage::probe::{Abilities, Ability, probe};
use honk_storage::{Algorithm, Attributes, Store};
use honk_testkit::datasets::content;
use honk_testkit::harness::{SMALL_PARTS, SOURCE_BUCKET, TARGET_BUCKET};
use honk_testkit::{Dataset, Harness, PATIENCE, Service};
use serde_json::json;

const MIB: usize = 1 << 20;

/// More objects than one page of a listing holds.
const MANY: usize = 1_050;

/// Keys that only some stores keep, by what a probe says of them.
const KEYS: [(Ability, &[&str]); 4] = [
    (Ability::OddKeys, &["with space & +%20=.csv", "ünïcödé/näme", "semi;colon:at@"]),
    (Ability::DotKeys, &["dots/../up", "dots//empty"]),
    (Ability::FolderMarkers, &["folder/", "empty"]),
    (Ability::Neighbours, &["beside", "beside/below"]),
];

/// Fills a dataset's source with what both ends can keep. Returns how many objects it has.
async fn fill(store: &Store, prefix: &str, small: usize, can: impl Fn(Ability) -> bool) -> usize {
    let odd = KEYS.iter().filter(|(ability, _)| can(*ability)).flat_map(|(_, keys)| *keys);
    let mut keys: Vec<String> = odd.map(|key| (*key).to_owned()).collect();
    keys.extend((0..small).map(|number| format!("page/{number:04}.csv")));
    for key in &keys {
        let body = if key.ends_with('/') || key == "empty" { Bytes::new() } else { Bytes::from(key.repeat(100)) };
        store.put_small(&format!("{prefix}/{key}"), body, &Attributes::default()).await.unwrap();
    }
    let large = format!("{prefix}/large.bin");
    let parts = [5 * MIB, 5 * MIB, MIB].map(random);
    if can(Ability::Parts) {
        let upload = store.create_upload(&large, &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
        let mut sent = Vec::new();
        for (number, bytes) in (1..).zip(parts) {
            sent.push(upload.part(number, bytes).await.unwrap());
        }
        upload.complete(&sent).await.unwrap();
    } else {
        store.put_small(&large, parts.concat().into(), &Attributes::default()).await.unwrap();
    }
    store.put_small(&format!("{prefix}/whole.bin"), random(11 * MIB), &Attributes::default()).await.unwrap();
    keys.len() + 2
}

fn random(length: usize) -> Bytes {
    std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}

async fn abilities(harness: &Harness, url: &str) -> Abilities {
    for bucket in [SOURCE_BUCKET, TARGET_BUCKET] {
        harness.store_at(url, bucket).await.create_bucket().await.unwrap();
    }
    probe(&harness.store_at(url, TARGET_BUCKET).await, "probed/").await.unwrap()
}

/// A dataset goes from one store to the other and is the same there.
async fn migrates(
    harness: &Harness,
    name: &str,
    (from, to): (&str, &str),
    objects: usize,
    can: impl Fn(Ability) -> bool,
) {
    let source = harness.store_at(from, SOURCE_BUCKET).await;
    let target = harness.store_at(to, TARGET_BUCKET).await;
    let written = fill(&source, name, objects, can).await;
    harness.import(name, "Resource", &json!({}), &json!({ "type": "dataset", "owner": "team" })).await;
    harness.locate(name, (from, to)).await;
    let run = harness.migrate(&Dataset { name: name.parse().unwrap() }).await;
    let record = harness.succeed(std::slice::from_ref(&run), 4 * PATIENCE).await.remove(0);
    assert_eq!(record.attempts(), 3, "{name}: every job succeeded at once");
    let prefix = format!("{name}/");
    let (before, after) = (content(&source, &prefix).await, content(&target, &prefix).await);
    assert_eq!(before.len(), written, "{name}");
    assert_eq!(before, after, "{name}");
}

#[tokio::test]
async fn datasets_migrate_within_into_and_out_of_stores_of_other_makes() {
    let harness = Harness::start().await;
    let own = harness.s3.url();
    let _services = Service::ALL
        .map(|service| harness.spawn(service, if service == Service::Migrate { &SMALL_PARTS } else { &[] }));
    for foreign in servers::start().await {
        let found = abilities(&harness, &foreign.url).await;
        let can = |ability| found.can(ability);
        let name = foreign.name.split(' ').next().unwrap();
        migrates(&harness, &format!("{name}-into"), (&own, &foreign.url), 20, can).await;
        migrates(&harness, &format!("{name}-out-of"), (&foreign.url, &own), MANY, can).await;
        if can(Ability::Copy) {
            migrates(&harness, &format!("{name}-within"), (&foreign.url, &foreign.url), 20, can).await;
        }
    }
    harness.finish().await;
}

#[tokio::test]
async fn the_table_of_stores_is_what_a_probe_finds() {
    let harness = Harness::start().await;
    let mut found = vec![("embedded".to_owned(), abilities(&harness, &harness.s3.url()).await)];
    for foreign in servers::start().await {
        found.push((foreign.name.to_owned(), abilities(&harness, &foreign.url).await));
    }
    if found.len() == 1 {
        // They cannot be had here, which has been said aloud.
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/STORES.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- what the probe finds -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of what the probe finds -->\n").unwrap();
    let made = format!(
        "{before}<!-- what the probe finds -->\n{}<!-- end of what the probe finds -->\n{after}",
        table(&found)
    );
    if environment().get("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert!(
        made == text || environment().get("UPDATE_DOCS").is_some(),
        "run with UPDATE_DOCS=1; now it would be\n{made}"
    );
    harness.finish().await;
}

fn table(found: &[(String, Abilities)]) -> String {
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!("| | what is tried | {} | without it |\n", names.join(" | "));
    writeln!(text, "|---|---|{}---|", "---|".repeat(found.len())).unwrap();
    for ability in Ability::ALL {
        let cells =
            found.iter().map(|(_, found)| found.get(*ability).map_or("not tried".to_owned(), ToString::to_string));
        let cells = cells.map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ");
        writeln!(text, "| `{}` | {} | {cells} | {} |", ability.code(), ability.meaning(), ability.without()).unwrap();
    }
    text
}
