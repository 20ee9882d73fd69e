#![doc = include_str!("../README.md")]

mod admin;
mod compact;
mod config;
mod instance;
mod log;
mod reader;
mod subscription;
mod writer;

pub use self::admin::MemTransport;
pub use self::config::{MemConfig, MemScheme, register};
