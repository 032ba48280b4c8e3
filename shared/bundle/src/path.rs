//! Which paths are safe: those that mean the same file below a folder on every system, whoever reads them.

use std::collections::BTreeMap;

use crate::MAX_PATH_BYTES;
use crate::error::BundleError;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It has no character.
    #[error("it is empty")]
    Empty,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("it is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// It begins with `/`, or with a drive as Windows has them.
    #[error("it is absolute: name files relative to the workflow's folder")]
    Absolute,
    /// `..`
    #[error("`..` leads out of the folder: put the file below the workflow's folder")]
    Parent,
    /// `.`, or nothing between two `/` or behind the last.
    #[error("a part of it is empty or `.`: write it without")]
    NotNormal,
    /// `\`
    #[error("it contains `\\`, which separates folders on some systems: use `/`")]
    Backslash,
    /// A NUL byte, a line feed, and the like.
    #[error("it contains a control character")]
    Control,
    /// It is no UTF-8.
    #[error("it is no UTF-8 text")]
    NotText,
}

/// The path itself, if it is relative, has only normal parts, and means the same on every system.
pub fn safe_path(path: &str) -> Result<&str, PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    if path.contains(char::is_control) {
        return Err(PathFault::Control);
    }
    if path.contains('\\') {
        return Err(PathFault::Backslash);
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with('/') || drive {
        return Err(PathFault::Absolute);
    }
    for part in path.split('/') {
        match part {
            ".." => return Err(PathFault::Parent),
            "" | "." => return Err(PathFault::NotNormal),
            _ => {}
        }
    }
    Ok(path)
}

/// Refuses two paths of which one is in the way of the other.
pub(crate) fn check_conflicts<'p>(paths: impl IntoIterator<Item = &'p str>) -> Result<(), BundleError> {
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        if let Some(first) = files.insert(path.to_lowercase(), path) {
            return Err(BundleError::Conflict { first: first.to_owned(), second: path.to_owned() });
        }
    }
    for (folded, path) in &files {
        let mut folders = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        if let Some(file) = folders.find_map(|folder| files.get(folder)) {
            return Err(BundleError::Conflict { first: (*file).to_owned(), second: (*path).to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_in_the_folder_are_safe() {
        for path in ["a", "a/b.py", "...", "a/..b", ".hidden", "ä 🪿", "~", "-rf", "ab:c"] {
            assert_eq!(safe_path(path), Ok(path));
        }
        let long = "x".repeat(MAX_PATH_BYTES + 1);
        let unsafe_paths = [
            ("", PathFault::Empty),
            (long.as_str(), PathFault::TooLong),
            ("/etc/passwd", PathFault::Absolute),
            ("//server/share", PathFault::Absolute),
            ("C:/x", PathFault::Absolute),
            ("c:x", PathFault::Absolute),
            ("..", PathFault::Parent),
            ("a/../b", PathFault::Parent),
            ("a/..", PathFault::Parent),
            (".", PathFault::NotNormal),
            ("./a", PathFault::NotNormal),
            ("a//b", PathFault::NotNormal),
            ("a/", PathFault::NotNormal),
            ("..\\a", PathFault::Backslash),
            ("a\0b", PathFault::Control),
            ("a\nb", PathFault::Control),
        ];
        for (path, fault) in unsafe_paths {
            assert_eq!(safe_path(path), Err(fault), "{path:?}");
        }
    }

    #[test]
    fn paths_in_each_others_way_are_refused() {
        assert!(check_conflicts(["a/b", "a/c", "ab", "b"]).is_ok());
        for (first, second) in [("a", "a"), ("A.py", "a.py"), ("a", "a/b"), ("a/B/c", "A/b"), ("Ä", "ä")] {
            let error = check_conflicts([first, second]).expect_err("in the way").to_string();
            assert!(error.contains(first) && error.contains(second), "{error}");
        }
    }
}
