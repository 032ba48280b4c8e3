//! CPU time of processes: the figure that a noisy machine spares.

use std::time::Duration;

/// CPU time that a process has used, in user and kernel mode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime(Duration);

/// Clock ticks a second in `/proc`; Linux has shown 100 to user space on every architecture since 2.6.
const TICKS_PER_SECOND: u64 = 100;

impl CpuTime {
    /// Of this process.
    pub(crate) fn of_self() -> Self {
        let spec = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(spec.tv_sec).unwrap_or_default();
        Self(Duration::new(seconds, u32::try_from(spec.tv_nsec).unwrap_or_default()))
    }

    /// Of another process, where `/proc` tells: fields 14 and 15 of its `stat` (proc(5)).
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Self(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)))
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}
