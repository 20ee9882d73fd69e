#![doc = include_str!("../README.md")]

mod client;
mod compact;
mod config;
mod log;
mod reader;
mod subscription;
mod transport;
mod writer;

pub use self::config::{MemConfig, MemScheme, register};
pub use self::transport::MemTransport;
