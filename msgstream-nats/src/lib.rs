#![doc = include_str!("../README.md")]

mod admin;
mod api;
mod config;
mod credentials;
mod error;
mod feed;
mod handle;
mod headers;
mod link;
mod name;
mod raw;
mod reader;
mod refusal;
mod start;
mod stream_info;
mod subscription;
mod tls;
mod writer;

pub use self::admin::NatsTransport;
pub use self::config::{NatsConfig, NatsScheme, register};
