//! `honk bench steps`: what a step that runs a program costs beside the program itself. Real runs of a real workflow, through the real intake
//! and an agent in this process, against the same program started as often by the standard library alone; both ways one after the other.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use honk_intake::config::IntakeConfig;
use honk_protocol::topology::Settings;
use honk_runner::config::RunnerConfig;
use serde::Serialize;

use super::cpu::{Meter, Spent, micros_each};
use super::load::{Load, STUCK, register};
use super::report::round;
use super::temporary_folder;
use crate::arguments::StepsArguments;
use crate::error::CliError;
use crate::system::{Nats, Services, context, provision, start_nats};

/// Steps of one job, so that what the run itself costs hardly counts.
const STEPS_EACH: u32 = 50;

/// Runs before the clock starts.
const WARM_UP: u32 = 1;

/// The program: a shell that prints two lines.
const PROGRAM: [&str; 3] = ["/bin/sh", "-c", "echo one; echo two"];

/// Figures of a measurement, CPU time per step in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StepsReport {
    /// Steps that were run.
    pub(crate) steps: usize,
    /// What a step costs more than a bare start of its program, the server left out.
    pub(crate) overhead_us_per_step: f64,
    /// What the server does for a step; none for a server that is not one's own.
    pub(crate) server_us_per_step: Option<f64>,
    /// What a step costs: the agent and the program.
    pub(crate) step_us: f64,
    /// Of that the program's own.
    pub(crate) step_program_us: f64,
    /// What a bare start costs: whoever starts it and reads what it prints, and the program.
    pub(crate) bare_us: f64,
    /// Of that the program's own.
    pub(crate) bare_program_us: f64,
    /// How long a step takes, in milliseconds.
    pub(crate) step_ms: f64,
    /// How long a bare start takes, in milliseconds.
    pub(crate) bare_ms: f64,
}

/// Measures, in a system of its own.
pub(crate) async fn steps(arguments: &StepsArguments) -> Result<StepsReport, CliError> {
    let folder = temporary_folder()?;
    let nats = start_nats(arguments.nats.clone(), folder.path()).await?;
    let measured = measure(arguments, &nats, folder.path()).await;
    nats.stop().await;
    measured
}

async fn measure(arguments: &StepsArguments, nats: &Nats, folder: &std::path::Path) -> Result<StepsReport, CliError> {
    let bus = provision(&nats.url(), &Settings::default()).await?;
    let runs = arguments.steps.get().div_ceil(STEPS_EACH);
    let datasets = register(&bus, &workflow(), runs + WARM_UP).await?;
    let mut context = context("warn")?;
    context.common.nats.url = nats.url();
    context.common.steps.work_dir = Some(folder.join("steps"));
    let mut services = Services::new();
    services.start(&context, "honk-intake", IntakeConfig::default(), honk_intake::serve);
    services.start(&context, "honk-runner", RunnerConfig::default(), honk_runner::serve);
    let mut load = Load::new(bus, datasets, STUCK).await?;
    services.during(&context, compare(&mut load, runs, nats.pid())).await
}

async fn compare(load: &mut Load, runs: u32, server: Option<u32>) -> Result<StepsReport, CliError> {
    load.run(WARM_UP, 1).await?;
    let steps = runs * STEPS_EACH;
    let (meter, begin) = (Meter::start(server), Instant::now());
    load.run(runs, 1).await?;
    let step = (meter.spent(), begin.elapsed());
    let (meter, begin) = (Meter::start(None), Instant::now());
    let started = tokio::task::spawn_blocking(move || (0..steps).try_for_each(|_| start_bare())).await;
    let started = started.map_err(|error| CliError::failed("the programs broke off").caused_by(&error))?;
    started.map_err(|error| CliError::failed(format!("cannot start {}", PROGRAM[0])).caused_by(&error))?;
    let bare = (meter.spent(), begin.elapsed());
    Ok(StepsReport::new(steps, step, bare))
}

/// Starts the program as a step does, its output piped and read, and nothing more.
fn start_bare() -> std::io::Result<()> {
    let mut command = Command::new(PROGRAM[0]);
    command.args(&PROGRAM[1..]).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    let output = command.output()?;
    if output.stdout == b"one\ntwo\n" { Ok(()) } else { Err(std::io::Error::other("it printed something else")) }
}

fn workflow() -> String {
    let mut yaml = "name: bench-steps\non: dataset_onboard\njobs:\n  steps:\n    timeout: 10m\n    steps:\n".to_owned();
    for _ in 0..STEPS_EACH {
        // Writing to a text cannot fail.
        writeln!(yaml, "      - run: {PROGRAM:?}").unwrap_or_default();
    }
    yaml
}

impl StepsReport {
    fn new(steps: u32, (step, step_time): (Spent, Duration), (bare, bare_time): (Spent, Duration)) -> Self {
        let count = usize::try_from(steps).unwrap_or(usize::MAX);
        let micros = |time| round(micros_each(time, count));
        let millis = |time| round(micros_each(time, count) / 1e3);
        let (step_us, bare_us) = (micros(step.honk + step.programs), micros(bare.honk + bare.programs));
        Self {
            steps: count,
            overhead_us_per_step: round(step_us - bare_us),
            server_us_per_step: step.server.map(micros),
            step_us,
            step_program_us: micros(step.programs),
            bare_us,
            bare_program_us: micros(bare.programs),
            step_ms: millis(step_time),
            bare_ms: millis(bare_time),
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let server = self.server_us_per_step.map_or_else(|| "not measured".to_owned(), |us| format!("{us} µs"));
        format!(
            "{} steps that print two lines each\nCPU per step: {} µs more than a bare start of the program; the server's {server}\n\
             one step: {} µs (the program {} µs), {} ms by the clock\none bare start: {} µs (the program {} µs), {} ms by the clock",
            self.steps,
            self.overhead_us_per_step,
            self.step_us,
            self.step_program_us,
            self.step_ms,
            self.bare_us,
            self.bare_program_us,
            self.bare_ms,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_is_what_a_step_costs_more_and_the_servers_share_stands_apart() {
        let millis = Duration::from_millis;
        let step = Spent { honk: millis(100), programs: millis(200), server: Some(millis(30)) };
        let bare = Spent { honk: millis(20), programs: millis(180), server: None };
        let report = StepsReport::new(100, (step, millis(400)), (bare, millis(300)));
        assert_eq!((report.overhead_us_per_step, report.server_us_per_step), (1_000.0, Some(300.0)));
        assert_eq!((report.step_us, report.bare_us, report.step_ms, report.bare_ms), (3_000.0, 2_000.0, 4.0, 3.0));
    }

    #[test]
    fn the_workflow_that_is_measured_is_valid() {
        let workflow = honk_workflow::parse(&workflow()).unwrap().workflow;
        assert_eq!(workflow.jobs[0].steps.len(), STEPS_EACH as usize);
    }
}
