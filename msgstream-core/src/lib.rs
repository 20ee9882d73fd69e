//! The broker-independent core of `msgstream`.
//!
//! Messages ([`message`]), the contract with a broker ([`transport`]), splitting by hash key
//! ([`repack`]), the merge in event time ([`timetick`]) and the streams over all of it. Programs
//! use the facade crate `msgstream`, which adds the brokers.

pub mod checkpoint;
pub mod dispatcher;
pub mod error;
pub mod message;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
pub mod registry;
pub mod repack;
pub mod service;
pub mod session;
pub mod stream;
pub mod timetick;
pub mod transport;
pub mod wire;

pub use self::checkpoint::{Checkpoint, Mark};
pub use self::dispatcher::UnmarshalDispatcher;
pub use self::error::{Error, Result};
pub use self::message::{
    DecodeError, Message, MsgPack, MsgType, MsgTypeNames, StoredMessage, Timestamp, TimestampError,
    TsMsg, Unmarshal,
};
pub use self::repack::Repack;
pub use self::service::MessageStreamService;
pub use self::stream::MsgStream;
pub use self::timetick::{LatePolicy, TickSource, TimeSync, TimeTicker, TtConfig, TtMsgStream};
