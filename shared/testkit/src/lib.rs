//! For tests: a server and a store per test process, a fault proxy, law checks.
