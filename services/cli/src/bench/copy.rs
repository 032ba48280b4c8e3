//! `honk bench copy`: how fast the copy engine is, what CPU time and how much memory it takes: many small objects and a few large ones, inside
//! one endpoint and between two. Without endpoints of one's own it starts two embedded stores that keep everything in memory.
//!
//! Stores and mover are processes of their own (this program again, with hidden subcommands), so that what is shown is the mover's alone:
//! from its start to its end, with listing and verification, as for any other program that moves objects (`deploy/bench/copy` compares them).

mod child;
mod fill;
mod mover;
mod report;
mod store;

use std::time::Instant;

use honk_storage::{Place, StorageSettings, Stores};

use self::child::{Server, move_objects};
use self::fill::{Source, clear};
pub(crate) use self::mover::run as mover;
use self::mover::{Moved, Order};
pub(crate) use self::report::CopyReport;
use self::report::{Case, Figures};
pub(crate) use self::store::run as store;
use crate::arguments::CopyArguments;
use crate::error::CliError;
use crate::output::Output;

/// The bucket that is read.
const SOURCE: &str = "honk-bench-source";

/// The bucket that is written.
const TARGET: &str = "honk-bench-target";

/// Measures, at the given endpoints or between stores of its own.
pub(crate) async fn copy(arguments: &CopyArguments, output: &Output) -> Result<CopyReport, CliError> {
    let mut servers = Vec::new();
    let mut urls: Vec<String> = arguments.endpoint.iter().map(ToString::to_string).collect();
    let keys = (arguments.access_key.as_str(), arguments.secret_key.as_str());
    let of_our_own = if urls.is_empty() { 2 } else { 0 };
    for _ in 0..of_our_own {
        let server = Server::start(keys).await?;
        urls.push(server.url().to_owned());
        servers.push(server);
    }
    let bench = Bench {
        storage: StorageSettings {
            region: arguments.region.clone(),
            access_key: Some(arguments.access_key.clone()),
            secret_key: Some(arguments.secret_key.clone().into()),
            ..StorageSettings::default()
        },
        urls,
        rounds: arguments.rounds.get(),
        source: Source::new(arguments),
    };
    let report = bench.measure(arguments, output).await;
    // Stores of one's own are gone with their processes.
    drop(servers);
    report
}

struct Bench {
    storage: StorageSettings,
    /// Where the source is and, for copies between two, where the target is.
    urls: Vec<String>,
    rounds: u32,
    source: Source,
}

impl Bench {
    async fn measure(&self, arguments: &CopyArguments, output: &Output) -> Result<CopyReport, CliError> {
        let stores = Stores::new(self.storage.clone().into());
        output.note(&format!("writing {} at {}", self.source.describe(), self.first()?));
        self.source.fill(&stores, self.first()?).await?;
        let mut cases = Vec::new();
        for (folder, what) in self.source.folders() {
            for (count, url) in self.urls.iter().take(2).enumerate() {
                let name = format!("{what}, {} endpoint{}", count + 1, if count == 0 { "" } else { "s" });
                output.note(&format!("measuring {name}"));
                cases.push(self.case(&stores, name, folder, url).await?);
            }
        }
        if !arguments.keep {
            clear(&stores, &Place::new(SOURCE, "").at(self.first()?)).await?;
        }
        Ok(CopyReport { rounds: self.rounds, cases })
    }

    fn first(&self) -> Result<&str, CliError> {
        self.urls.first().map(String::as_str).ok_or_else(|| CliError::usage("there is no endpoint to measure"))
    }

    /// Copies the folder some times, each time to where nothing is.
    async fn case(&self, stores: &Stores, name: String, folder: &str, url: &str) -> Result<Case, CliError> {
        let mut figures = Vec::new();
        for round in 0..self.rounds {
            let target = Place::new(TARGET, format!("{folder}-{}-{round}", std::process::id())).at(url);
            let order = Order {
                source: (SOURCE.to_owned(), folder.to_owned(), self.first()?.to_owned()),
                target: (TARGET.to_owned(), target.prefix(), url.to_owned()),
                storage: self.storage.clone(),
            };
            fill::make_bucket(stores, &target).await?;
            let begin = Instant::now();
            let moved: Moved = move_objects(&order).await?;
            figures.push(Figures::of(&moved, begin.elapsed()));
            clear(stores, &target).await?;
        }
        Ok(Case { name, figures: Figures::medians(&figures) })
    }
}
