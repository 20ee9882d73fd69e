//! The broker-independent core of `msgstream`.
//!
//! It has messages ([`message`]), the contract with a broker ([`transport`]), producers ([`produce`])
//! that split packs by hash key ([`repack`]), and consumers ([`consume`]) that merge channels in event
//! time. Programs use the facade crate `msgstream`, which adds the brokers. The words are in
//! `docs/glossary.md`.

pub mod adapter;
pub mod checkpoint;
pub mod consume;
pub mod dedup;
pub mod error;
pub mod layers;
pub mod merge;
pub mod message;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
pub mod produce;
pub mod record;
pub mod registry;
pub mod repack;
pub mod service;
pub mod stream;
pub mod transport;

pub use self::checkpoint::{Checkpoint, Mark};
pub use self::consume::{Consumer, ConsumerConfig};
pub use self::error::{Error, Result};
pub use self::merge::{LatePolicy, TickSource};
pub use self::message::{
    DecodeError, Message, MsgPack, StoredMessage, TsMsg, Unmarshal, UnmarshalDispatcher,
};
pub use self::produce::{Producer, TimeSync, TimeTicker};
pub use self::record::{MsgType, MsgTypeNames, Timestamp, TimestampError};
pub use self::repack::Repack;
pub use self::service::MessageStreamService;
pub use self::stream::{MsgStream, TtMsgStream};
