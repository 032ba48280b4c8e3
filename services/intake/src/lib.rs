//! Events become runs; the sweeper brings back what no message carries.
