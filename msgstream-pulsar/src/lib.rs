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
mod inbox;
mod ledgers;
mod producer;
mod pump;
mod reader;
mod rest;
mod subscription;
mod tls;
mod topic;
mod writer;

pub use self::admin::PulsarTransport;
pub use self::config::{PulsarConfig, PulsarScheme, register};
