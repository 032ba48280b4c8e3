//! Archives that were made to harm: every one is refused, and nothing is ever outside of the folder.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use honk_bundle::{BundleError, BundleFile, MAX_FILE_BYTES, MAX_FILES, pack, unpack};
use honk_protocol::name::BundleHash;
use tar::{Builder, EntryType, Header};

/// An entry with whatever path, which the library itself would refuse to write.
fn entry(archive: &mut Builder<Vec<u8>>, path: &[u8], kind: EntryType, size: u64, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.set_link_name("/etc/passwd").expect("a link");
    }
    header.set_cksum();
    archive.append(&header, bytes).expect("appended");
}

fn archive(entries: &[(&[u8], EntryType)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (path, kind) in entries {
        let bytes: &[u8] = if *kind == EntryType::Regular { b"x" } else { b"" };
        entry(&mut archive, path, *kind, bytes.len() as u64, bytes);
    }
    archive.into_inner().expect("an archive")
}

fn refusal(bytes: &[u8], into: &Path) -> BundleError {
    unpack(bytes, &BundleHash::of(bytes), into).expect_err("refused")
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn no_path_leaves_the_folder() {
    let outer = tempfile::tempdir().expect("a folder");
    let into = outer.path().join("a/b");
    std::fs::create_dir_all(&into).expect("made");
    let paths: [&[u8]; 12] = [
        b"../evil",
        b"a/../../evil",
        b"/tmp/honk-evil",
        b"..",
        b".",
        b"./evil",
        b"a//evil",
        b"evil/",
        b"..\\evil",
        b"C:\\evil",
        b"a\nb",
        b"\xff\xfe",
    ];
    for path in paths {
        let error = refusal(&archive(&[(b"good", EntryType::Regular), (path, EntryType::Regular)]), &into);
        assert!(matches!(error, BundleError::Path { .. }), "{path:?}: {error}");
        assert!(is_empty(&into), "nothing is written before everything is checked");
    }
    assert!(!Path::new("/tmp/honk-evil").exists());
    let left: Vec<_> = std::fs::read_dir(outer.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn only_plain_files_are_taken() {
    let into = tempfile::tempdir().expect("a folder");
    let kinds = [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Directory, "a directory"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::Continuous, "an entry of type '7'"),
        (EntryType::new(b'Q'), "an entry of type 'Q'"),
    ];
    for (kind, expected) in kinds {
        let error = refusal(&archive(&[(b"thing", kind)]), into.path());
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(is_empty(into.path()));
}

#[test]
fn two_entries_for_one_file_are_refused() {
    let into = tempfile::tempdir().expect("a folder");
    let pairs: [[&[u8]; 2]; 4] = [[b"a", b"a"], [b"A", b"a"], [b"a", b"a/b"], [b"x/y", b"X"]];
    for pair in pairs {
        let error = refusal(&archive(&pair.map(|path| (path, EntryType::Regular))), into.path());
        assert!(matches!(error, BundleError::Conflict { .. }), "{error}");
    }
    assert!(is_empty(into.path()));
}

#[test]
fn sizes_are_limited_and_never_believed() {
    let into = tempfile::tempdir().expect("a folder");
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"large", EntryType::Regular, MAX_FILE_BYTES + 1, &vec![0; (8 << 20) + 1]);
    let large = builder.into_inner().expect("an archive");
    assert!(matches!(refusal(&large, into.path()), BundleError::FileTooLarge { .. }));

    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"liar", EntryType::Regular, 1 << 40, b"x");
    let liar = builder.into_inner().expect("an archive");
    assert!(matches!(refusal(&liar, into.path()), BundleError::FileTooLarge { .. }));

    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, b"short", EntryType::Regular, 4096, b"x");
    let mut short = builder.into_inner().expect("an archive");
    short.truncate(1024);
    assert!(matches!(refusal(&short, into.path()), BundleError::Archive(_)));

    let bytes = vec![0; (16 << 20) + 1];
    assert!(matches!(refusal(&bytes, into.path()), BundleError::TooLarge { .. }));

    let mut builder = Builder::new(Vec::new());
    for file in 0..=MAX_FILES {
        entry(&mut builder, format!("f{file}").as_bytes(), EntryType::Regular, 0, b"");
    }
    let many = builder.into_inner().expect("an archive");
    assert!(matches!(refusal(&many, into.path()), BundleError::TooManyFiles { .. }));
    assert!(is_empty(into.path()));
}

#[test]
fn what_is_no_archive_or_another_one_is_refused() {
    let into = tempfile::tempdir().expect("a folder");
    assert!(matches!(refusal(&[b'x'; 2000], into.path()), BundleError::Archive(_)));
    let error = unpack(b"x", &BundleHash::of(b"y"), into.path()).expect_err("refused");
    assert!(error.to_string().contains("is not what was registered"), "{error}");
    assert!(unpack(b"", &BundleHash::of(b""), into.path()).expect("an empty archive").is_empty());
}

fn bundle(path: &str) -> honk_bundle::Bundle {
    pack([BundleFile { path: path.to_owned(), bytes: b"new".to_vec(), executable: false }]).expect("packed")
}

#[test]
fn links_and_files_that_lie_in_the_folder_are_neither_followed_nor_overwritten() {
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::File::create(outside.path().join("victim")).and_then(|mut file| file.write_all(b"old")).expect("written");
    let into = tempfile::tempdir().expect("a folder");
    symlink(outside.path(), into.path().join("folder")).expect("linked");
    symlink(outside.path().join("victim"), into.path().join("file")).expect("linked");
    symlink(outside.path().join("made"), into.path().join("dangling")).expect("linked");
    std::fs::write(into.path().join("own"), "old").expect("written");
    for path in ["folder/victim", "folder/new", "folder/deep/new", "file", "dangling", "own", "own/below"] {
        let bundle = bundle(path);
        let error = unpack(&bundle.bytes, &bundle.hash, into.path()).expect_err("refused");
        assert!(error.is_the_machines() && error.to_string().contains(path), "{error}");
    }
    assert_eq!(std::fs::read_to_string(outside.path().join("victim")).expect("read"), "old");
    assert_eq!(std::fs::read_dir(outside.path()).expect("a folder").count(), 1);
    assert_eq!(std::fs::read_to_string(into.path().join("own")).expect("read"), "old");
}

#[test]
fn no_bit_but_the_executable_one_is_taken_from_an_archive() {
    let into = tempfile::tempdir().expect("a folder");
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_mode(0o6777);
    header.set_size(0);
    builder.append_data(&mut header, "tool", &b""[..]).expect("appended");
    let bytes = builder.into_inner().expect("an archive");
    unpack(&bytes, &BundleHash::of(&bytes), into.path()).expect("unpacked");
    let mode = std::fs::metadata(into.path().join("tool")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}
