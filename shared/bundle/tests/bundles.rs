//! Bundles on their way: packed, kept, unpacked.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use honk_bundle::{BundleError, BundleFile, Cache, CacheError, MAX_FILE_BYTES, MAX_FILES, pack, unpack};
use honk_protocol::name::BundleHash;
use proptest::prelude::*;

fn file(path: &str, bytes: impl Into<Vec<u8>>) -> BundleFile {
    BundleFile { path: path.to_owned(), bytes: bytes.into(), executable: false }
}

/// What lies below a folder: path, content, whether executable.
fn tree(folder: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let executable = path.metadata().expect("a file").permissions().mode() & 0o111 != 0;
            let name = path.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
            found.insert(name, (std::fs::read(path).expect("read"), executable));
        }
    }
    found
}

#[test]
fn the_same_files_make_the_same_bundle_in_any_order() {
    let files = [file("b/c.py", "2"), file("a.py", "1"), file("ab", "")];
    let one = pack(files.clone()).expect("packed");
    let two = pack(files.into_iter().rev()).expect("packed");
    assert_eq!(one, two);
    assert_eq!(one.files, ["a.py", "ab", "b/c.py"]);
    // Another hash here means that what is registered again after an upgrade becomes another version.
    assert_eq!(one.hash.to_string(), "00ce831a80ac554a7a2ecb7b8a80c5ce3a5b141310248caa8f3db243cf8a8cb2");
    let other = pack([BundleFile { executable: true, ..file("a.py", "1") }]).expect("packed");
    assert_ne!(other.hash, pack([file("a.py", "1")]).expect("packed").hash);
}

#[test]
fn what_is_over_a_limit_is_named_with_it() {
    let text = |files: Vec<BundleFile>| pack(files).expect_err("over a limit").to_string();
    let most = usize::try_from(MAX_FILE_BYTES).expect("a size");
    assert!(
        text(vec![file("large", vec![0; most + 1])])
            .starts_with("large has 8388609 bytes, and a file in a bundle has at most 8388608")
    );
    let several = (0..3).map(|n| file(&format!("part{n}"), vec![0; 6 << 20])).collect();
    assert!(text(several).contains("at most 16777216 (16 MiB) are allowed; its largest file is part"));
    let many = (0..=MAX_FILES).map(|n| file(&format!("f{n}"), "")).collect();
    assert!(text(many).starts_with("the bundle has 1001 files or more, and a bundle has at most 1000"));
    assert!(text(vec![file("../x", "")]).contains("\"../x\" cannot be in a bundle: `..` leads out of the folder"));
    assert!(text(vec![file("README", ""), file("readme", "")]).starts_with("README and readme cannot both be"));
    assert!(pack([file("exact", vec![0; most])]).is_ok());
}

#[tokio::test]
async fn a_bundle_is_fetched_once_however_many_want_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::new(folder.path().join("cache"));
    let bundle = pack([file("a/b.py", "print(1)")]).expect("packed");
    let fetched = AtomicUsize::new(0);
    let place = async |cache: Cache| {
        let work = tempfile::tempdir().expect("a folder");
        let files = cache
            .unpack_into(&bundle.hash, work.path(), async || {
                fetched.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(bundle.bytes.clone())
            })
            .await
            .expect("unpacked");
        assert_eq!(files, ["a/b.py"]);
        assert_eq!(tree(work.path())["a/b.py"].0, b"print(1)");
    };
    tokio::join!(place(cache.clone()), place(cache.clone()), place(cache.clone()));
    place(Cache::new(folder.path().join("cache"))).await;
    assert_eq!(fetched.load(Ordering::Relaxed), 1);
    assert_eq!(tree(folder.path()).len(), 1, "nothing but the bundle is left");
}

#[tokio::test]
async fn a_bundle_that_is_damaged_in_the_cache_is_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = pack([file("a", "1")]).expect("packed");
    std::fs::write(folder.path().join(format!("{}.tar", bundle.hash)), &bundle.bytes[..512]).expect("written");
    let work = tempfile::tempdir().expect("a folder");
    let cache = Cache::new(folder.path());
    let fetch = async || Ok::<_, Infallible>(bundle.bytes.clone());
    cache.unpack_into(&bundle.hash, work.path(), fetch).await.expect("unpacked");
    let kept = std::fs::read(folder.path().join(format!("{}.tar", bundle.hash))).expect("kept");
    assert_eq!(kept, bundle.bytes);
}

#[tokio::test]
async fn what_was_fetched_is_verified_and_a_failed_fetch_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let work = tempfile::tempdir().expect("a folder");
    let cache = Cache::new(folder.path());
    let hash = BundleHash::of(b"something else");
    let wrong = cache.unpack_into(&hash, work.path(), async || Ok::<_, Infallible>(vec![0; 1024])).await;
    assert!(matches!(wrong, Err(CacheError::Bundle(BundleError::Hash { .. }))));
    let failed = cache.unpack_into(&hash, work.path(), async || Err(std::io::Error::other("no bucket"))).await;
    assert!(matches!(failed, Err(CacheError::Fetch(error)) if error.to_string() == "no bucket"));
    assert!(tree(work.path()).is_empty() && tree(folder.path()).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_packed_is_unpacked(
        files in proptest::collection::btree_map(
            "[a-z0-9 äß._-]{1,9}x(/[a-z]{1,120}y){0,1}", (proptest::collection::vec(any::<u8>(), 0..2000), any::<bool>()), 0..12,
        ),
    ) {
        let packed = pack(files.iter().map(|(path, (bytes, executable))| BundleFile {
            path: path.clone(), bytes: bytes.clone(), executable: *executable,
        }));
        // One of the paths may be another's folder.
        prop_assume!(packed.is_ok());
        let bundle = packed.expect("packed");
        let into = tempfile::tempdir().expect("a folder");
        let unpacked = unpack(&bundle.bytes, &bundle.hash, into.path()).expect("unpacked");
        prop_assert_eq!(unpacked, bundle.files);
        prop_assert_eq!(tree(into.path()), files);
    }

    #[test]
    fn any_bytes_are_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let into = tempfile::tempdir().expect("a folder");
        unpack(&bytes, &BundleHash::of(&bytes), into.path()).ok();
    }
}
