//! Checks that a migration can succeed before a byte moves.
