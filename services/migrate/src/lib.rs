//! Moves the bytes: copy, verify, cut over.
