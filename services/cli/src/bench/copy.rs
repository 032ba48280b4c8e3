//! `honk bench copy`: how fast the copy engine is, what CPU time and how much memory it takes: many small objects and a few large ones, inside
//! one endpoint and between two. Without endpoints of one's own it starts two embedded stores that keep everything in memory.
//!
//! Stores and mover are processes of their own (this program again, with hidden subcommands), so that what is shown is the mover's alone:
//! from its start to its end, with listing and verification, as for any other program that moves objects (`deploy/bench/copy` compares them).

mod mover;
mod report;

use std::time::Instant;

use honk_storage::{Place, Stores};

pub(crate) use self::mover::run as mover;
use self::mover::{Moved, Order};
pub(crate) use self::report::CopyReport;
use self::report::{Case, Figures};
use super::child::Process;
use super::ends::Ends;
use super::objects::{SOURCE, Source, TARGET, clear, make_bucket};
use crate::arguments::CopyArguments;
use crate::error::CliError;
use crate::output::Output;

/// Measures, at the given endpoints or between stores of its own.
pub(crate) async fn copy(arguments: &CopyArguments, output: &Output) -> Result<CopyReport, CliError> {
    let bench = Bench {
        ends: Ends::open(&arguments.store, 2, 0).await?,
        rounds: arguments.rounds.get(),
        source: Source::new((arguments.objects, arguments.object_size), (arguments.large, arguments.large_mib << 20)),
    };
    bench.measure(arguments, output).await
}

struct Bench {
    /// Where the source is and, for copies between two, where the target is.
    ends: Ends,
    rounds: u32,
    source: Source,
}

impl Bench {
    async fn measure(&self, arguments: &CopyArguments, output: &Output) -> Result<CopyReport, CliError> {
        let stores = Stores::new(self.ends.storage.clone().into());
        output.note(&format!("writing {} at {}", self.source.describe(), self.ends.first()?));
        self.source.fill(&stores, self.ends.first()?).await?;
        let mut cases = Vec::new();
        for (folder, what) in self.source.folders() {
            for (count, url) in self.ends.urls.iter().take(2).enumerate() {
                let name = format!("{what}, {} endpoint{}", count + 1, if count == 0 { "" } else { "s" });
                output.note(&format!("measuring {name}"));
                cases.push(self.case(&stores, name, folder, url).await?);
            }
        }
        if !arguments.keep {
            clear(&stores, &Place::new(SOURCE, "").at(self.ends.first()?)).await?;
        }
        Ok(CopyReport { rounds: self.rounds, cases })
    }

    /// Copies the folder some times, each time to where nothing is.
    async fn case(&self, stores: &Stores, name: String, folder: &str, url: &str) -> Result<Case, CliError> {
        let mut figures = Vec::new();
        for round in 0..self.rounds {
            let target = Place::new(TARGET, format!("{folder}-{}-{round}", std::process::id())).at(url);
            let order = Order {
                source: (SOURCE.to_owned(), folder.to_owned(), self.ends.first()?.to_owned()),
                target: (TARGET.to_owned(), target.prefix(), url.to_owned()),
                storage: self.ends.storage.clone(),
            };
            make_bucket(stores, &target).await?;
            let begin = Instant::now();
            let moved: Moved = Process::start("mover", &order).await?.end().await?;
            figures.push(Figures::of(&moved, begin.elapsed()));
            clear(stores, &target).await?;
        }
        Ok(Case { name, figures: Figures::medians(&figures) })
    }
}
