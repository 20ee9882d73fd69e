//! x
mod disk;
mod error;
mod format;
mod log;
#[doc(hidden)]
pub mod planted;
pub use self::error::FileError;
