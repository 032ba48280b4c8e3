//! The binaries under test, built by the same cargo, profile and target folder as the test itself. Cargo's own lock makes
//! test processes that run at the same time wait for each other; what is up to date costs a second.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A service that tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// `honk-intake`.
    Intake,
    /// `honk-validate`.
    Validate,
    /// `honk-migrate`.
    Migrate,
    /// `honk-notify`.
    Notify,
    /// `honk-runner`.
    Runner,
    /// `honk-api`.
    Api,
}

impl Service {
    /// Everything that one migration needs.
    pub const ALL: [Self; 4] = [Self::Intake, Self::Validate, Self::Migrate, Self::Notify];

    const BUILT: [Self; 6] = [Self::Intake, Self::Validate, Self::Migrate, Self::Notify, Self::Runner, Self::Api];

    /// Its package and its binary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intake => "honk-intake",
            Self::Validate => "honk-validate",
            Self::Migrate => "honk-migrate",
            Self::Notify => "honk-notify",
            Self::Runner => "honk-runner",
            Self::Api => "honk-api",
        }
    }

    /// Its binary, built.
    pub fn binary(self) -> PathBuf {
        services().join(self.name())
    }
}

/// The folder with the binaries of every [`Service`]; builds them once per test process.
pub fn services() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| programs(&Service::BUILT.map(Service::name), "process"))
}

/// The program `honk-transform`, built. Not with the services: it takes longer than all of them, and few tests need it.
pub fn transform() -> PathBuf {
    const NAME: &str = "honk-transform";
    programs(&[NAME], "program").join(NAME)
}

/// Programs of the workspace, in the folder that they are built into. With the features that their dependencies have in `cargo test --workspace`,
/// so that nothing is compiled twice: those of the whole workspace, and because a `test` is built as well, those that only tests ask for.
fn programs(names: &[&str], test: &str) -> PathBuf {
    let bins = names.iter().flat_map(|name| ["--bin", name]);
    build(["--workspace", "--test", test].into_iter().chain(bins))
}

/// An example of the workspace, built; with the same features.
pub fn example(name: &str) -> PathBuf {
    build(["--workspace", "--example", name]).join("examples").join(name)
}

/// The target folder that this test was built into.
pub(crate) fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a target folder").to_owned()
}

fn build<'w>(what: impl IntoIterator<Item = &'w str>) -> PathBuf {
    let profile_dir = profile_dir();
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(other) => other,
    };
    let mut cargo = Command::new(cargo());
    // What cargo tells a test about itself would look to build scripts like a change.
    let told = honk_service::environment();
    for (name, _) in told.iter().filter(|(name, _)| name.starts_with("CARGO_") && !is_setting(name)) {
        cargo.env_remove(name);
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--profile", profile]);
    cargo.arg("--target-dir").arg(target_dir()).args(what);
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{cargo:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    profile_dir
}

/// Settings that a person gave to cargo, and not what cargo tells its children.
fn is_setting(name: &str) -> bool {
    ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL"].contains(&name)
        || ["CARGO_BUILD_", "CARGO_NET_", "CARGO_HTTP_", "CARGO_PROFILE_", "CARGO_REGISTRIES_", "CARGO_TERM_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn cargo() -> PathBuf {
    honk_service::environment().get("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// `target/debug`, of the test that runs: `target/debug/deps/NAME-HASH`.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let deps = test.parent().expect("a folder");
    let is_deps = deps.file_name().is_some_and(|name| name == "deps");
    let profile = if is_deps { deps.parent().expect("a folder") } else { deps };
    profile.to_owned()
}
