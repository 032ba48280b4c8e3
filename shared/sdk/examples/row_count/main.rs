//! An agent of the pool `checks` with one action, `acme/row-count`: counts the rows of a dataset's CSV file, and rejects the job if there
//! are fewer than its workflow asks for.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use honk_sdk::{Agent, Failed, JobContext, reject, retry};
use serde::{Deserialize, Serialize};

/// What a workflow says in `with:`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Where the files are, each under its dataset's name: `<folder>/<dataset>.csv`.
    folder: PathBuf,
    /// How many rows there must be, without the header.
    #[serde(default)]
    at_least: u64,
}

/// What later jobs see as `jobs.<name>.outputs`.
#[derive(Serialize)]
struct Counted {
    rows: u64,
}

async fn row_count(job: JobContext, expected: Expected) -> Result<Counted, Failed> {
    // A dataset's name is one safe word, so the path stays in the folder.
    let path = expected.folder.join(format!("{}.csv", job.dataset()));
    let shown = path.display().to_string();
    let counted = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(std::fs::File::open(path)?).lines();
        lines.skip(1).try_fold(0, |rows, line| line.map(|_| rows + 1))
    });
    match counted.await.map_err(retry)? {
        Ok(rows) if rows < expected.at_least => {
            Err(reject(format!("{shown} has {rows} rows, and at least {} are expected", expected.at_least)))
        }
        Ok(rows) => Ok(Counted { rows }),
        // The file may come late; a file that is no text will not get better.
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(reject(format!("{shown}: {error}"))),
        Err(error) => Err(retry(format!("{shown}: {error}"))),
    }
}

fn main() -> ExitCode {
    Agent::new("checks").action("acme/row-count", row_count).serve()
}
