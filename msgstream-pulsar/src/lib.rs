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
mod subscription;
mod tls;
mod transport;
mod writer;

pub use self::config::{PulsarConfig, PulsarScheme, register};
pub use self::transport::PulsarTransport;
