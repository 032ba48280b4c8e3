//! The files that a command is given; `-` is standard input.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::output::Output;

/// A file that was read.
#[derive(Debug)]
pub(super) struct File {
    /// What a person calls it.
    pub(super) name: String,
    /// Where it lies; none if it is standard input.
    pub(super) path: Option<PathBuf>,
    /// What is in it.
    pub(super) text: String,
}

/// Reads all of them, so that nothing is done if one cannot be read.
pub(super) fn read_all(paths: &[PathBuf], output: &Output) -> Result<Vec<File>, CliError> {
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(CliError::usage("standard input (`-`) can be read only once"));
    }
    paths.iter().map(|path| read(path, output)).collect()
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn read(path: &Path, output: &Output) -> Result<File, CliError> {
    let name = if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() };
    let text = if is_stdin(path) {
        if std::io::stdin().is_terminal() {
            output.note("reading standard input; end it with Ctrl-D");
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    match text {
        Ok(text) => Ok(File { name, path: (!is_stdin(path)).then(|| path.to_owned()), text }),
        Err(error) => Err(CliError::failed(format!("cannot read {name}")).caused_by(&error)),
    }
}
