//! Changes a dataset's form on its way: one SQL query over all objects of a place as one table, written to another place as Parquet, CSV or
//! JSON, with a contract on the rows before and after.
//!
//! It runs as a program of its own, which the migrate agent starts (`docs/decisions/transform.md`). The order of the modules is the order of
//! the data: [`input`] finds the objects, [`schema`] makes them one table, [`read`] turns each into rows, [`source`] is the rows as a table,
//! [`session`] the query over it, [`audit`] what rows pass at both ends, [`mod@write`] the target's files. [`mod@transform`] puts them together.

pub mod audit;
pub mod contract;
pub mod evidence;
pub mod fault;
pub mod guess;
pub mod input;
pub mod read;
pub mod result;
pub mod schema;
pub mod session;
pub mod source;
pub mod sql;
pub mod store;
pub mod target;
pub mod transform;
pub mod write;

pub use fault::Fault;
pub use transform::{Watch, transform};
