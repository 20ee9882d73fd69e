#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod admin;
mod client;
mod config;
mod created;
mod credentials;
mod error;
mod headers;
mod in_flight;
mod link;
mod name;
mod prefetch;
mod raw;
mod reader;
mod refusal;
mod risks;
mod scheme;
mod start;
mod stream_info;
mod subscription;
mod tls;
mod transport;
mod writer;

pub use self::config::NatsConfig;
pub use self::scheme::{NatsScheme, register};
pub use self::transport::NatsTransport;
