#![doc = include_str!("../README.md")]

mod client;
mod compact;
mod config;
mod log;
mod name;
mod reader;
mod scheme;
mod subscription;
mod transport;
mod writer;

pub use self::config::MemConfig;
pub use self::scheme::{MemScheme, register};
pub use self::transport::MemTransport;
