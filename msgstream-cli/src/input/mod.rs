//! What is read from files and from stdin.

mod csv;
mod file;
mod table;

pub(crate) use self::csv::{Fields, Records};
pub(crate) use self::file::{open, stdin};
pub(crate) use self::table::Table;
