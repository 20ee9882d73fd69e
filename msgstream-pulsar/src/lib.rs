#![doc = include_str!("../README.md")]

mod admin;
mod batch;
mod brokers;
mod client;
mod compression;
mod config;
mod connection;
mod entry;
mod error;
mod frames;
mod framing;
mod hosts;
mod in_flight;
mod ledgers;
mod name;
mod prefetch;
mod pump;
mod reader;
mod scheme;
mod subscription;
mod tls;
mod transport;
mod writer;

pub use self::config::PulsarConfig;
pub use self::scheme::{PulsarScheme, register};
pub use self::transport::PulsarTransport;
