//! The contract between the stream and a broker: [`Transport`].
//!
//! A transport has channels, each of which is one totally ordered log, with writers, readers and
//! durable cursors. The calls are few, object-safe and per batch, never per message. Each method says
//! what every implementation owes its caller, and the crate `msgstream-conformance` checks it.

mod capabilities;
mod contract;
mod error;
mod ext;
mod header;
mod info;
mod options;
mod reader;
mod receipt;
mod risk;
mod start;
mod subscription;
mod writer;

pub use self::capabilities::{Capabilities, Capability};
pub use self::contract::Transport;
pub use self::error::{Result, TransportError, TransportErrorKind};
pub use self::ext::TransportExt;
pub use self::info::ChannelInfo;
pub use self::options::{CreateOptions, ReaderOptions};
pub use self::reader::{ChannelReader, Limit, ReadBatch};
pub use self::receipt::{Fate, Outcome, Receipt, ReceiptSender, Unstored};
pub use self::risk::{Risk, RiskKind};
pub use self::start::Start;
pub use self::subscription::Subscription;
pub use self::writer::ChannelWriter;

/// How many channels are opened, or acknowledged, at a time.
pub(crate) const AT_A_TIME: usize = 16;
