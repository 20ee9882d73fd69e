#![doc = include_str!("../README.md")]

mod client;
mod config;
mod disk;
mod error;
mod format;
mod log;
mod name;
#[doc(hidden)]
pub mod planted;
mod position;
mod queue;
mod reader;
mod scheme;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod subscription;
mod transport;
mod watch;
mod workers;
mod writer;

pub use self::config::{FileConfig, SyncPolicy};
pub use self::error::FileError;
pub use self::scheme::{FileScheme, register};
pub use self::transport::FileTransport;
