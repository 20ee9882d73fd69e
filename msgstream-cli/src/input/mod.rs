//! What is read from files and from stdin.

mod csv;
mod file;

pub(crate) use self::csv::{Fields, Records};
pub(crate) use self::file::open;
