//! CPU time of processes: the figure that a noisy machine spares.

use std::time::Duration;

/// Measures what this process, the programs that it runs and a server use from now on.
#[derive(Debug)]
pub(crate) struct Meter {
    honk: CpuTime,
    programs: CpuTime,
    server: Option<(u32, CpuTime)>,
}

/// CPU time that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    /// By this process.
    pub(crate) honk: Duration,
    /// By the programs that this process started and that have ended, as far as the system tells.
    pub(crate) programs: Duration,
    /// By the server, if its process is known.
    pub(crate) server: Option<Duration>,
}

impl Meter {
    /// Begins; `server` is a process id.
    pub(crate) fn start(server: Option<u32>) -> Self {
        let server = server.and_then(|pid| Some((pid, CpuTime::of_process(pid)?)));
        Self { honk: CpuTime::of_self(), programs: CpuTime::of_programs(), server }
    }

    /// What was used since.
    pub(crate) fn spent(&self) -> Spent {
        let server = self.server.and_then(|(pid, before)| Some(CpuTime::of_process(pid)?.since(before)));
        let programs = CpuTime::of_programs().since(self.programs);
        Spent { honk: CpuTime::of_self().since(self.honk), programs, server }
    }
}

impl Spent {
    /// By this process and the server.
    pub(crate) fn total(self) -> Duration {
        self.honk + self.server.unwrap_or_default()
    }
}

/// CPU time that this process has used since its start.
pub(crate) fn used_so_far() -> Duration {
    CpuTime::of_self().0
}

/// What each of `count` things took, in microseconds.
pub(crate) fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

/// CPU time that a process has used, in user and kernel mode.
#[derive(Debug, Clone, Copy, Default)]
struct CpuTime(Duration);

/// Clock ticks a second in `/proc`; Linux has shown 100 to user space on every architecture since 2.6.
const TICKS_PER_SECOND: u64 = 100;

impl CpuTime {
    /// Of this process.
    fn of_self() -> Self {
        let spec = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(spec.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(spec.tv_nsec).unwrap_or_default()))
    }

    /// Of another process, where `/proc` tells: fields 14 and 15 of its `stat` (proc(5)).
    fn of_process(pid: u32) -> Option<Self> {
        Self::of_stat(&format!("/proc/{pid}/stat"), 14)
    }

    /// Of the children of this process that were waited for: fields 16 and 17.
    fn of_programs() -> Self {
        Self::of_stat("/proc/self/stat", 16).unwrap_or_default()
    }

    /// The sum of two fields, counted from 1 as proc(5) does.
    fn of_stat(path: &str, first: usize) -> Option<Self> {
        let stat = std::fs::read_to_string(path).ok()?;
        // The second field is the name in parentheses, which may hold spaces.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(first - 3);
        let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some(Self(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)))
    }

    /// What was used since `before`.
    fn since(self, before: Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}
