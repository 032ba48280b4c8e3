//! The program with a gate behind it: it ends when a test lets it, so that what happens between two steps of a migration can be chosen.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use honk_testkit::{PATIENCE, eventually};
use tempfile::TempDir;

/// Stands where the program is expected. Each of its turns has a number, from 1.
pub(crate) struct Gate {
    folder: TempDir,
}

impl Gate {
    /// One before this program.
    pub(crate) fn before(program: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let gate = Self { folder };
        let script = format!(
            "#!/bin/sh\ncd '{}'\nn=1\nwhile ! mkdir \"begun-$n\" 2>/dev/null; do n=$((n+1)); done\n\
             while [ -e shut ]; do sleep 0.02; done\n'{}'\nstatus=$?\n\
             touch \"done-$n\"\nwhile [ ! -e \"open-$n\" ] && [ ! -e open ]; do sleep 0.02; done\nexit $status\n",
            gate.folder.path().display(),
            program.display()
        );
        std::fs::write(gate.program(), script).unwrap();
        std::fs::set_permissions(gate.program(), std::fs::Permissions::from_mode(0o755)).unwrap();
        gate
    }

    /// What the agent is to run.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("gate.sh")
    }

    /// Keeps the program from beginning its work, until it is let go by [`Gate::unshut`].
    pub(crate) fn shut(&self) {
        std::fs::write(self.folder.path().join("shut"), "").unwrap();
    }

    /// Lets it begin.
    pub(crate) fn unshut(&self) {
        std::fs::remove_file(self.folder.path().join("shut")).unwrap();
    }

    /// Waits until the agent has started it for the `turn`th time.
    pub(crate) async fn begun(&self, turn: u32) {
        self.appears(&format!("begun-{turn}")).await;
    }

    /// Waits until the program has done its work for the `turn`th time; it goes on when the gate is opened.
    pub(crate) async fn done(&self, turn: u32) {
        self.appears(&format!("done-{turn}")).await;
    }

    async fn appears(&self, name: &str) {
        let file = self.folder.path().join(name);
        let look = || async { if file.exists() { Ok(()) } else { Err("not yet".to_owned()) } };
        eventually(name, PATIENCE, look).await;
    }

    /// Opens it for one turn.
    pub(crate) fn open(&self, turn: u32) {
        std::fs::write(self.folder.path().join(format!("open-{turn}")), "").unwrap();
    }

    /// Opens it for good.
    pub(crate) fn stay_open(&self) {
        std::fs::write(self.folder.path().join("open"), "").unwrap();
    }

    /// How often the program was begun.
    pub(crate) fn turns(&self) -> usize {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("begun-")).count()
    }
}
