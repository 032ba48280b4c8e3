//! Black-box tests with real binaries.
