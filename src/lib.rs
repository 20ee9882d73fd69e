//! One stream of typed, timestamped messages over any log broker.
//!
//! Programs write messages to many channels, sharded by hash key, and read all of them back as packs
//! that are aligned in event time: a pack holds exactly the messages of one interval, of every
//! channel, and is the same on every run. The broker is chosen by cargo feature and URL.
//!
//! # Write
//!
//! A type of your own is an [`Event`]; a [`Producer`] sends it. A tick promises that nothing at or
//! before its time follows.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !cfg!(feature = "mem") { return Ok(()); }
//! use msgstream::message::{Event, Json, hash_str};
//! use msgstream::{MsgType, Producer, Timestamp};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Order { at: Timestamp, customer: String, cents: u64 }
//!
//! impl Event for Order {
//!     const TYPE: MsgType = MsgType(70_001);
//!     type Codec = Json;
//!     fn timestamp(&self) -> Timestamp { self.at }
//!     fn hash_key(&self) -> u32 { hash_str(&self.customer) }
//! }
//!
//! let broker = msgstream::connect("mem://").await?;
//! let channels = ["orders-0", "orders-1"];
//! let mut producer =
//!     Producer::builder(broker.clone()).channels(channels).create_missing().open().await?;
//! producer.send(Order { at: Timestamp(7), customer: "ann".into(), cents: 250 }).await?;
//! producer.tick(Timestamp(7)).await?;
//! # let mut packs = msgstream::Consumer::builder(broker).channels(channels).open().await?;
//! # let pack = packs.next_pack().await?.expect("both channels ticked");
//! # assert_eq!(pack.decode::<Order>().count(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Read
//!
//! A [`Consumer`] hands out a pack once every channel has ticked.
//!
//! ```
//! # use std::sync::Arc;
//! # use msgstream::message::Event;
//! # use msgstream::transport::Transport;
//! use msgstream::Consumer;
//!
//! # async fn read<Order: Event>(broker: Arc<dyn Transport>) -> Result<(), msgstream::Error> {
//! let mut packs = Consumer::builder(broker).channels(["orders-0", "orders-1"]).open().await?;
//! while let Some(pack) = packs.next_pack().await? {
//!     for order in pack.decode::<Order>() {
//!         println!("{:?}", order?.value);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Count each message once
//!
//! A producer in a [session](produce::session) writes again by itself what fails, and consumers take
//! each of its messages once. A consumer with a [store](checkpoint) keeps its place together with
//! what the packs led to, so that it goes on after a crash as if there had been none.
//!
//! ```
//! # use std::sync::Arc;
//! # use msgstream::message::Event;
//! # use msgstream::transport::Transport;
//! use msgstream::checkpoint::FileStore;
//! use msgstream::produce::SessionConfig;
//! use msgstream::{Consumer, Producer};
//!
//! # async fn both<Order: Event>(broker: Arc<dyn Transport>) -> Result<(), msgstream::Error> {
//! let producer = Producer::builder(broker.clone()).channels(["orders-0"]);
//! let mut producer = producer.session(SessionConfig::new("shop-1")).open().await?;
//! // Its own source goes on after the last message that is stored.
//! let stored = producer.opened().last["orders-0"];
//!
//! let consumer = Consumer::builder(broker).channels(["orders-0"]);
//! let (mut packs, mut total) = consumer.store(FileStore::new("total")).open_with(|| 0).await?;
//! while let Some(pack) = packs.next_pack().await? {
//!     total += pack.decode::<Order>().count();
//!     packs.commit(&pack, &total).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Choose the broker
//!
//! | feature | URL | transport |
//! | --- | --- | --- |
//! | `mem` (default) | `mem://[NAME]` | in the process |
//! | `file` (default) | `file:///FOLDER` | files of this machine |
//! | `nats` | `nats://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | NATS JetStream |
//! | `nats-tls` | `tls://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | the same, encrypted |
//! | `kafka` | `kafka://HOST[:PORT][,HOST[:PORT]…][/PREFIX]` | Kafka |
//! | `kafka-ssl`, `kafka-dynamic` | | TLS and SCRAM, the system's librdkafka |
//! | `pulsar` | `pulsar[+ssl]://HOST[:PORT][,HOST[:PORT]…][/TENANT/NAMESPACE]` | Pulsar |
//! | `full` | | all that builds with gcc, g++, make and protoc: the others but `kafka-ssl` and `kafka-dynamic`, what observes them, and the layers |
//!
//! # Observe
//!
//! The feature `observe` has metrics, spans and W3C trace context, as layers around any transport:
//! the module `observe`. `observe-opentelemetry` adds trace context from and to OpenTelemetry.
//!
//! # Encrypt, send large messages, and test
//!
//! The feature `layers` has further layers around any transport: the module `layers` seals payloads, so
//! that whoever runs the broker reads metadata at most, splits messages that are larger than it takes
//! (`chunks+SCHEME://…`), sets deadlines, and injects faults into tests.
//!
//! # Many small logs in a few channels
//!
//! With the feature `virtual` the channels of `virtual+SCHEME://…` are virtual ones: many small logs
//! in a few channels of a broker, each read for itself, with one reader of the broker. See the module
//! `vchannel`.
//!
//! # Where to read on
//!
//! - [`produce`], [`consume`], [`checkpoint`]: writing, reading, and going on after a crash
//! - [`message`], [`repack`]: what is sent, and how it is split over channels
//! - [`transport`], [`registry`](mod@registry): what a broker must do; one's own transport or layer is written with
//!   the crate `msgstream-core` and proven with `msgstream-conformance`
//! - [`stream`], [`service`]: the same in the words of the design that this library descends from

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "mem", feature = "file"))]
mod guide;

use std::sync::Arc;

pub use msgstream_core::{
    Consumer, Error, MsgPack, MsgType, Producer, Result, Timestamp, TsMsg, checkpoint, consume,
    message, message::Event, produce, record, registry, repack, service, stream, transport,
};
#[cfg(feature = "layers")]
pub use msgstream_layers as layers;
#[cfg(feature = "observe")]
pub use msgstream_observe as observe;
#[cfg(feature = "virtual")]
pub use msgstream_virtual as vchannel;

use crate::registry::{ConnectError, Registry};
use crate::transport::Transport;

/// The transports, each if the feature of its name is on: for programs that configure one in code instead of
/// by URL.
pub mod backends {
    #[cfg(feature = "file")]
    pub use msgstream_file as file;
    #[cfg(feature = "kafka")]
    pub use msgstream_kafka as kafka;
    #[cfg(feature = "mem")]
    pub use msgstream_mem as mem;
    #[cfg(feature = "nats")]
    pub use msgstream_nats as nats;
    #[cfg(feature = "pulsar")]
    pub use msgstream_pulsar as pulsar;
}

/// The transports and layers that are compiled in. One more is a feature in `Cargo.toml` and a line here.
const COMPILED_IN: &[fn(&mut Registry)] = &[
    #[cfg(feature = "mem")]
    msgstream_mem::register,
    #[cfg(feature = "file")]
    msgstream_file::register,
    #[cfg(feature = "nats")]
    msgstream_nats::register,
    #[cfg(feature = "kafka")]
    msgstream_kafka::register,
    #[cfg(feature = "pulsar")]
    msgstream_pulsar::register,
    #[cfg(feature = "virtual")]
    msgstream_virtual::register,
    #[cfg(feature = "layers")]
    msgstream_layers::register,
];

/// Returns the registry of the transports that are compiled in, to which a program may add its own.
///
/// ```
/// let registry = msgstream::registry();
/// # #[cfg(feature = "mem")]
/// assert!(registry.schemes().any(|scheme| scheme == "mem"));
/// for line in registry.help() {
///     println!("{line}");
/// }
/// ```
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    for register in COMPILED_IN {
        register(&mut registry);
    }
    registry
}

/// Connects to what the URL names.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if !cfg!(feature = "mem") { return Ok(()); }
/// use msgstream::transport::{Transport, TransportExt};
/// let broker = msgstream::connect("mem://").await?;
/// broker.create("orders").await?;
/// assert_eq!(broker.list("").await?, ["orders"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ConnectError`]: no URL, a scheme that isn't compiled in, a wrong address or option, or a
/// broker that can't be reached. Its text never shows the URL's user, password or option values.
///
/// # Cancel safety
/// Nothing stays open after a cancelled call.
pub async fn connect(url: &str) -> Result<Arc<dyn Transport>, ConnectError> {
    registry().connect(url).await
}
