//! Places where a test can have this process killed, as `kill -9` would. Only builds with debug assertions have them.
//!
//! `HONK_FAIL_POINT=after-record:2` kills the process the second time it comes to `after-record`.

/// Dies here, if a test wants it.
#[cfg(debug_assertions)]
pub fn hit(point: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let environment = honk_service::environment();
        let wanted = environment.get("HONK_FAIL_POINT")?;
        let (point, count) = wanted.split_once(':').unwrap_or((wanted, "1"));
        Some((point.to_owned(), count.parse().unwrap_or(1)))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let Some((wanted, count)) = WANTED.as_ref() else { return };
    if wanted == point && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        tracing::warn!(point, "killed by a fail point");
        let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        tracing::error!(?killed, "still alive after SIGKILL");
    }
}

/// Nothing, in builds that people run.
#[cfg(not(debug_assertions))]
#[inline]
pub fn hit(_point: &'static str) {}
