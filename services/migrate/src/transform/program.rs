//! Where the program `honk-transform` is.

use std::path::{Path, PathBuf};

use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_service::Environment;

const NAME: &str = "honk-transform";

/// The program that is configured, else the one beside this one, else the first on `PATH`.
pub(super) fn find(configured: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failed> {
    let own = std::env::current_exe().ok();
    find_beside(configured, own.as_deref(), environment)
}

fn find_beside(configured: Option<&Path>, own: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failed> {
    if let Some(program) = configured {
        return if program.is_file() { Ok(program.to_owned()) } else { Err(missing(&program.display().to_string())) };
    }
    let beside = own.and_then(Path::parent).map(|folder| folder.join(NAME)).filter(|program| program.is_file());
    beside.or_else(|| environment.find_program(NAME)).ok_or_else(|| missing(NAME))
}

fn missing(program: &str) -> Failed {
    let message = format!(
        "`{program}`, the program that transforms datasets, is not on this agent: `cargo install --path shared/transform` \
         puts it on PATH, and `HONK_MIGRATE__TRANSFORM_PROGRAM` names another place"
    );
    Failed::reject(Reason::TransformMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_beside_the_agent_then_on_the_path_and_else_missed_with_the_command_that_installs_it() {
        let (beside, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let environment = Environment::from_iter([("PATH", path.path().to_str().unwrap())]);
        let agent = beside.path().join("honk-migrate");
        let find = |configured: Option<&Path>| find_beside(configured, Some(&agent), &environment);
        let missed = find(None).unwrap_err();
        assert_eq!(missed.reason, Reason::TransformMissing);
        assert!(missed.message.contains("cargo install"), "{}", missed.message);
        std::fs::write(path.path().join(NAME), "").unwrap();
        assert_eq!(find(None).unwrap(), path.path().join(NAME));
        std::fs::write(beside.path().join(NAME), "").unwrap();
        assert_eq!(find(None).unwrap(), beside.path().join(NAME));
        assert!(find(Some(Path::new("/no/such/program"))).unwrap_err().message.contains("/no/such/program"));
    }
}
