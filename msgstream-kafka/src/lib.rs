#![doc = include_str!("../README.md")]

mod admin;
mod calls;
mod client;
mod config;
mod error;
mod events;
mod fetcher;
mod group;
mod handle;
mod incarnations;
mod name;
mod native;
mod pipeline;
mod producer;
mod properties;
mod reader;
mod start;
mod subscription;
mod topics;
mod writer;

pub use self::admin::KafkaTransport;
pub use self::config::{KafkaConfig, KafkaScheme, register};
