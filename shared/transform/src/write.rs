//! The writers: rows become files of the wanted form, files become objects with the same names and bytes every time.

pub mod encode;
pub mod names;
pub mod output;
pub mod upload;
