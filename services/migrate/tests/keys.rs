//! Keys that a careless mover loses, changes or takes for a path: each arrives under its own name with its own bytes, inside one store
//! and across two, and the second time nothing is left to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use honk_migrate::copy::{CopyError, Refusal};
use honk_protocol::reason::Reason;
use honk_protocol::settle::Again;
use honk_storage::probe::PROBE_FOLDER;
use honk_storage::{Attributes, Place, Store};
use world::{World, random};

/// S3's longest key, in bytes.
const LONGEST: usize = 1_024;

const ODD: [&str; 24] = [
    "..",
    "../up",
    "a/../b",
    "./here",
    "/leading",
    "//twice",
    "x//y",
    "with space",
    " starts and ends ",
    "plus+and%20percent%",
    "a&b=c?d#e",
    "quote'\"<>",
    "semi;colon:at@",
    "back\\slash",
    "ünïcödé/näme",
    "日本語/ファイル",
    "😀",
    "e\u{301}",
    "\u{e9}",
    "neighbour",
    "neighbour/below",
    "neighbour0",
    "~tilde*(star)!",
    "line\nbreak\tand tab",
];

/// Empty objects, some of which stand for folders in other tools.
const EMPTY: [&str; 4] = ["empty", "folder/", "folder/inside/", "neighbour/"];

async fn keys(store: &Store, prefix: &str) -> BTreeSet<String> {
    let all = store.list(prefix, 1_000).try_concat().await.unwrap();
    all.into_iter().map(|object| object.key.strip_prefix(prefix).unwrap().to_owned()).collect()
}

async fn fill(world: &World) -> usize {
    for key in ODD {
        world.put_source(key, Bytes::from(key), &world::attributes()).await;
    }
    for key in EMPTY {
        world.put_source(key, Bytes::new(), &Attributes::default()).await;
    }
    let longest = "l".repeat(LONGEST - world.target_place.prefix().len());
    world.put_source(&longest, random(100), &Attributes::default()).await;
    ODD.len() + EMPTY.len() + 1
}

#[tokio::test]
async fn every_key_arrives_as_it_is_and_nothing_is_left_for_a_second_copy() {
    for mut world in [World::one_server().await, World::two_servers().await] {
        let count = fill(&world).await;
        // A page that ends anywhere must not lose its neighbours.
        world.settings.page_size = 7;
        let report = world.migrate().await.unwrap();
        assert_eq!((report.copied, report.verified), (count as u64, count as u64));
        let (source, target) = (world.source_place.prefix(), world.target_place.prefix());
        assert_eq!(keys(&world.target, &target).await, keys(&world.source, &source).await);
        world.assert_equal().await;
        let again = world.migrate().await.unwrap();
        assert_eq!((again.copied, again.already_there), (0, count as u64));
    }
}

#[tokio::test]
async fn a_whole_bucket_has_keys_that_begin_with_a_slash() {
    let mut world = World::two_servers().await;
    world.source_place = Place { prefix: String::new(), ..world.source_place };
    for key in ["/", "/a", "//a", "a/", "../a"] {
        world.put_source(key, Bytes::from(key), &Attributes::default()).await;
    }
    assert_eq!(world.migrate().await.unwrap().verified, 5);
    world.assert_equal().await;
}

#[tokio::test]
async fn the_marker_of_the_datasets_own_folder_and_what_probes_left_are_no_data() {
    let world = World::two_servers().await;
    world.put_source("", Bytes::new(), &Attributes::default()).await;
    world.put_source("a", random(10), &Attributes::default()).await;
    let left = format!("{PROBE_FOLDER}plain");
    world.put_source(&left, random(10), &Attributes::default()).await;
    let at_target = world.target_place.key(&left);
    world.target.put_small(&at_target, random(10), &Attributes::default()).await.unwrap();
    let report = world.migrate().await.unwrap();
    assert_eq!((report.objects, report.copied, report.extra), (1, 1, 0));
}

#[tokio::test]
async fn an_object_that_is_called_like_its_folder_and_has_bytes_is_copied() {
    let world = World::two_servers().await;
    world.put_source("", random(3), &Attributes::default()).await;
    assert_eq!(world.migrate().await.unwrap().copied, 1);
    assert_eq!(keys(&world.target, &world.target_place.prefix()).await, BTreeSet::from([String::new()]));
}

#[tokio::test]
async fn keys_that_become_too_long_are_named_and_all_others_are_copied() {
    for mut world in [World::one_server().await, World::two_servers().await] {
        // It fits below `data/`, and not below the longer prefix of the target.
        let long = "l".repeat(LONGEST - world.source_place.prefix().len());
        world.put_source(&long, random(10), &Attributes::default()).await;
        for key in ["a", "z"] {
            world.put_source(key, random(10), &Attributes::default()).await;
        }
        let error = world.migrate().await.unwrap_err();
        let CopyError::Refused(refused) = &error else { panic!("{error}") };
        assert_eq!((refused.why, refused.objects, &refused.keys), (Refusal::Key, 1, &vec![long.clone()]));
        let failed = honk_migrate::fault::failed(&error, &world.source_place, &world.target_place);
        assert_eq!((failed.reason, failed.again), (Reason::KeyRefused, Again::Never), "{}", failed.message);
        assert_eq!(keys(&world.target, &world.target_place.prefix()).await.len(), 2, "the others are there");
        world.target_place = Place { prefix: "new".into(), ..world.target_place };
        assert_eq!(world.migrate().await.unwrap().verified, 3, "a shorter prefix helps");
    }
}
