//! A snapshot of the environment variables, taken once: what a program does depends on a value that tests can build,
//! not on a global that changes under it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment variables whose names and values are Unicode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// The environment of this process, as it is now.
pub fn environment() -> Environment {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    Environment(std::env::vars_os().filter_map(unicode).collect())
}

impl Environment {
    /// The variable's value; an empty one counts as unset, as compose files and the OpenTelemetry rules have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable in this copy of the environment.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// All set variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Where programs keep what they can fetch again: `XDG_CACHE_HOME`, else `~/.cache`; `None` without a home.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        match self.get("XDG_CACHE_HOME").map(PathBuf::from) {
            Some(dir) if dir.is_absolute() => Some(dir),
            _ => Some(PathBuf::from(self.get("HOME")?).join(".cache")),
        }
    }

    /// The first file of that name in the folders of `PATH`.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::from_iter([("A", ""), ("B", "b")]);
        assert_eq!((environment.get("A"), environment.get("B")), (None, Some("b")));
        assert_eq!(environment.iter().collect::<Vec<_>>(), [("B", "b")]);
    }

    #[test]
    fn the_cache_folder_follows_xdg_and_falls_back_to_home() {
        let home = Environment::from_iter([("HOME", "/home/ann")]);
        assert_eq!(home.cache_dir(), Some(PathBuf::from("/home/ann/.cache")));
        let relative = Environment::from_iter([("HOME", "/home/ann"), ("XDG_CACHE_HOME", "cache")]);
        assert_eq!(relative.cache_dir(), Some(PathBuf::from("/home/ann/.cache")));
        let absolute = Environment::from_iter([("XDG_CACHE_HOME", "/var/cache")]);
        assert_eq!(absolute.cache_dir(), Some(PathBuf::from("/var/cache")));
        assert_eq!(Environment::default().cache_dir(), None);
    }

    #[test]
    fn a_program_is_found_in_the_first_folder_of_the_path_that_has_it() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(second.path().join("nats-server"), "").unwrap();
        let path = std::env::join_paths([first.path(), second.path()]).unwrap().into_string().unwrap();
        let environment = Environment::from_iter([("PATH", path)]);
        assert_eq!(environment.find_program("nats-server"), Some(second.path().join("nats-server")));
        assert_eq!(environment.find_program("nats"), None);
    }
}
