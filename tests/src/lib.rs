//! Black-box tests with real binaries. One file in `tests/` is one theme; `src/bin/` is what only tests run.
