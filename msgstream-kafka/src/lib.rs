#![doc = include_str!("../README.md")]

mod admin;
mod calls;
mod client;
mod config;
mod error;
mod events;
mod group;
mod in_flight;
mod incarnations;
mod lookup;
mod name;
mod native;
mod options;
mod partition;
mod prefetch;
mod producer;
mod properties;
mod reader;
mod risks;
mod scheme;
mod start;
mod subscription;
mod subscriptions;
mod transport;
mod trim;
mod writer;

pub use self::config::KafkaConfig;
pub use self::scheme::{KafkaScheme, register};
pub use self::transport::KafkaTransport;
