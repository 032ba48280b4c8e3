//! `honk run logs` and `honk workflow logs`: what steps printed, and, followed, what they print.

use honk_api::wire::{LogItem, LogPage, LogQuery, LogUpdate, RunView};
use honk_protocol::name::{DatasetName, RunId};
use honk_protocol::topology::KEEP_LOGS;

use crate::api::{Api, Doing, follow_log};
use crate::arguments::LogArguments;
use crate::error::{CliError, Exit};
use crate::output::Output;
use crate::view::LogView;

/// The lines of a run.
pub(super) async fn of_run(run: &RunId, selection: LogArguments, api: &Api, output: &Output) -> Result<Exit, CliError> {
    let doing = format!("show the logs of the run {run}");
    Log::new(selection, api, output).show(run, &doing).await
}

/// The lines of the dataset's newest run.
pub(super) async fn of_dataset(
    dataset: &DatasetName,
    selection: LogArguments,
    api: &Api,
    output: &Output,
) -> Result<Exit, CliError> {
    let doing = format!("show the logs of the dataset {dataset}");
    // Which run that is is asked once, so that a newer one does not get between two pages.
    let query = LogQuery { limit: Some(1), ..LogQuery::default() };
    let newest: LogPage = api.query(&["api", "datasets", dataset.as_str(), "logs"], &query).await.doing(&doing)?;
    output.note(&format!("the newest run of {dataset} is {}", newest.run));
    Log::new(selection, api, output).show(&newest.run, &doing).await
}

struct Log<'a> {
    api: &'a Api,
    output: &'a Output,
    query: LogQuery,
    follow: bool,
    view: LogView,
    lines: usize,
}

impl<'a> Log<'a> {
    fn new(selection: LogArguments, api: &'a Api, output: &'a Output) -> Self {
        let LogArguments { job, attempt, since, follow } = selection;
        let query = LogQuery { job, attempt, since, after: None, limit: None };
        Self { api, output, query, follow, view: LogView::new(output.has_colours()), lines: 0 }
    }

    async fn show(mut self, run: &RunId, doing: &str) -> Result<Exit, CliError> {
        if self.follow {
            let (api, mut query) = (self.api, self.query.clone());
            let followed = follow_log(api, run, &mut query, |update| match update {
                LogUpdate::Line(line) => self.print(&line),
                LogUpdate::End(_) => Ok(()),
            });
            followed.await.map_err(|error| error.told(doing))?;
        } else {
            self.pages(run, doing).await?;
        }
        if self.lines == 0 {
            let run: RunView = self.api.get(&["api", "runs", run.as_str()]).await.doing(doing)?;
            self.output.note(&nothing(&run, &self.query));
        }
        Ok(Exit::Done)
    }

    async fn pages(&mut self, run: &RunId, doing: &str) -> Result<(), CliError> {
        loop {
            let page: LogPage =
                self.api.query(&["api", "runs", run.as_str(), "logs"], &self.query).await.doing(doing)?;
            for line in &page.items {
                self.print(line)?;
            }
            if page.next.is_none() {
                return Ok(());
            }
            self.query.after = page.next;
        }
    }

    fn print(&mut self, line: &LogItem) -> Result<(), CliError> {
        self.lines += 1;
        if self.output.is_json() { self.output.json(line) } else { self.output.bytes(self.view.line(line).as_bytes()) }
    }
}

/// Why there may be no lines.
fn nothing(run: &RunView, query: &LogQuery) -> String {
    let LogQuery { job, attempt, since, .. } = query;
    if job.is_some() || attempt.is_some() || since.is_some() {
        return format!(
            "no line of the run {} is as asked for; without --job, --attempt and --since all are shown",
            run.id
        );
    }
    if !run.state.is_finished() {
        return format!("no step of the run {} has printed anything yet; wait for it with --follow", run.id);
    }
    let days = KEEP_LOGS.as_secs() / 86_400;
    format!(
        "no lines: the steps of the run {} printed nothing (those that call an action, with `uses`, print nothing), or it was \
         more than {days} days ago",
        run.id
    )
}
