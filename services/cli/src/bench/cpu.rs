//! CPU time of processes: the figure that a noisy machine spares.

use std::time::Duration;

/// Measures what this process and a server use from now on.
#[derive(Debug)]
pub(crate) struct Meter {
    honk: CpuTime,
    server: Option<(u32, CpuTime)>,
}

/// CPU time that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    /// By this process.
    pub(crate) honk: Duration,
    /// By the server, if its process is known.
    pub(crate) server: Option<Duration>,
}

impl Meter {
    /// Begins; `server` is a process id.
    pub(crate) fn start(server: Option<u32>) -> Self {
        let server = server.and_then(|pid| Some((pid, CpuTime::of_process(pid)?)));
        Self { honk: CpuTime::of_self(), server }
    }

    /// What was used since.
    pub(crate) fn spent(&self) -> Spent {
        let server = self.server.and_then(|(pid, before)| Some(CpuTime::of_process(pid)?.since(before)));
        Spent { honk: CpuTime::of_self().since(self.honk), server }
    }
}

impl Spent {
    /// By both.
    pub(crate) fn total(self) -> Duration {
        self.honk + self.server.unwrap_or_default()
    }
}

/// What each of `count` things took, in microseconds.
pub(crate) fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

/// CPU time that a process has used, in user and kernel mode.
#[derive(Debug, Clone, Copy)]
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
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)))
    }

    /// What was used since `before`.
    fn since(self, before: Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}
