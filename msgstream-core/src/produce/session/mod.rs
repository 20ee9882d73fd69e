//! Sessions: exactly-once producing over a broker that doesn't offer it.
//!
//! If a connection breaks at the wrong moment, the broker's answer is lost: sending a record again
//! may duplicate it, and not sending it may lose it. A session numbers its messages on each
//! channel. It sends again whatever isn't acknowledged, and consumers deliver each sequence number
//! once.
//!
//! [`ProducerBuilder::session`](super::ProducerBuilder::session) opens one, and
//! [`Consumer`](crate::Consumer) reads what it writes.
//!
//! ```
//! use msgstream_core::produce::SessionConfig;
//! use msgstream_core::{Producer, Timestamp};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), msgstream_core::Error> {
//! # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
//! # let source = (1..4).map(|n| msgstream_core::message::TimeSyncMsg::new(Timestamp(n)).with_hash_keys([0]));
//! let mut producer = Producer::builder(broker)
//!     .channels(["prices"])
//!     .create_missing()
//!     .session(SessionConfig::new("copier"))
//!     .open()
//!     .await?;
//! // The source has one message after the other, so the number says where to continue after a crash.
//! let done = producer.opened().last["prices"];
//! for (price, ts) in source.zip(1..).skip(done as usize) {
//!     producer.send(price).await?;
//!     producer.tick(Timestamp(ts)).await?;
//! }
//! producer.confirm().await?;
//! producer.close().await
//! # }
//! ```
//!
//! # Writing
//!
//! A message carries its producer, the session's epoch, and a sequence number: one more than that
//! of the message before it on the channel, over all epochs. After a write that failed, or whose
//! outcome is unknown, the session opens another writer and sends everything again that isn't
//! acknowledged, in order. It does so for up to [`retry_for`](SessionConfig::with_retry_for). Then
//! it reports the outcome as unknown, and the channel accepts nothing more: open a new session,
//! which finds out what is stored.
//!
//! Consumers only accept the sequence number after the last one. Accepting every greater number
//! would lose data: of 5 and 6, 6 may be stored first, and 5 later, when it is sent again.
//!
//! A tick carries the sequence number of the last message before it, and is sent once that message
//! is acknowledged. Messages that follow it are sent meanwhile, so they may stand before it; the
//! tick then also carries the greatest number that was sent before it. If both are equal, the tick
//! is *exact*: who reads from there knows the last number. A *base* carries the number without being
//! a tick, and is always exact: it waits for everything before it, and everything after it waits for
//! it. One is written after 100,000 messages or a minute without an exact tick.
//!
//! What was sent again may be in the channel twice; the position that the producer gets is then that
//! of either copy.
//!
//! # Opening
//!
//! 1. A *fence* is appended to the home channel. Its position is the epoch, so the log decides
//!    which of two sessions that open at once is the newer one.
//! 2. A fence with this epoch is appended to each other channel. What an older epoch writes after
//!    it is void.
//! 3. Each channel is read up to its fence, for the sequence number of the last message that was
//!    accepted. If a newer epoch is found, opening fails with
//!    [`Error::Fenced`](crate::Error::Fenced).
//! 4. A base with that number is appended to each channel, for readers that begin in the middle.
//! 5. The program gets the numbers, as [`Opened`]. It continues with what follows them in its own
//!    source; nothing that it wrote earlier can appear any more.
//!
//! # Confirming
//!
//! Acknowledged means stored; it doesn't mean that it counts. If somebody else opened the same
//! session, what this one writes afterwards is acknowledged and void.
//! [`Producer::confirm`](crate::Producer::confirm) checks this: if it succeeds, everything that was
//! acknowledged before counts. A program that forgets its source after writing must confirm first.
//! A newer session fences the home channel before all others, so checking that one is enough.
//!
//! # Requirements
//!
//! - One program at a time writes from one source under one producer id.
//! - The channels keep records for longer than a producer is silent. If messages of a producer are
//!   left, but nothing that determines their sequence numbers, opening fails with
//!   [`Error::NumbersLost`](crate::Error::NumbersLost).
//! - Whoever may write to a channel writes no records in the name of others: nothing is signed. If
//!   somebody else's records keep a producer from opening, it continues as another one, see
//!   [`fence`].
//! - The home channel isn't deleted while other channels have records of the producer: a new one
//!   has lower positions, so its epochs would look old.
//! - Consumers remember producers for longer than a record is sent again, see
//!   [`ProducerLimits`](crate::consume::ProducerLimits).

mod config;
mod confirm;
mod counts;
pub(crate) mod ended;
pub(crate) mod open;
mod promised;
mod retry;
mod scan;
mod shared;
mod unacked;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::config::SessionConfig;
pub use self::counts::SessionCounts;

pub(crate) use self::confirm::Session;
pub(crate) use self::counts::Counts;
pub(crate) use self::writer::QueueWriter;

use crate::error::Result;
use crate::record::{Position, Timestamp};
use crate::transport::Transport;

/// The result of opening a session.
///
/// ```
/// # use msgstream_core::{Producer};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = std::sync::Arc::new(msgstream_mem::MemTransport::new(Default::default()));
/// # let mut producer = Producer::builder(broker.clone()).channels(["orders-0", "orders-1"]).create_missing().session(msgstream_core::produce::SessionConfig::new("billing-3")).open().await?;
/// let opened = producer.opened();
/// assert_eq!((&*opened.producer, opened.last["orders-0"]), ("billing-3", 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The producer.
    pub producer: Arc<str>,
    /// The epoch: greater than those of all earlier sessions of the producer.
    pub epoch: Position,
    /// For each channel, the sequence number of the producer's last message that counts; 0 if there
    /// is none yet. Sequence numbers count its messages there from 1 on, over all sessions.
    pub last: BTreeMap<Arc<str>, u64>,
    /// For each channel, the greatest time tick on it, as far as it was read;
    /// [`Timestamp::MIN`] if there is none. Ticks that are void, and the producer's own that may be,
    /// are left out. What the producer writes must be after it, unless it
    /// [may be late](super::ProducerBuilder::allow_late). A tick that was submitted before a crash may
    /// be missing: continue to tick from here on.
    pub watermarks: BTreeMap<Arc<str>, Timestamp>,
}

/// Fences a producer: what its earlier sessions write to these channels from here on is void. A
/// session that it opens meanwhile, or later, is not affected.
///
/// Use it to make sure that a producer that seems to be gone writes nothing more, such as one that
/// [`TimeSync`](crate::TimeSync) expired.
///
/// The configuration is that of the producer, with its home channel. Only fences are written, no
/// bases: nothing follows in this epoch.
///
/// It also helps if a producer can't open a session any more, because somebody wrote a fence with
/// an epoch that no session reaches, or because its home channel was deleted. Fence it, and
/// continue as another producer with what follows [`Opened::last`]. That one's sequence numbers
/// begin at 1.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::produce::{SessionConfig, TimeSync, fence};
/// use msgstream_core::{Error, transport::Transport};
///
/// async fn give_up(
///     transport: Arc<dyn Transport>,
///     sync: &mut TimeSync,
///     producer: Arc<str>,
/// ) -> Result<(), Error> {
///     let config = SessionConfig::new(producer.clone()).with_home("home");
///     fence(&transport, config, &["prices"]).await?;
///     sync.fenced(&producer);
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`ProducerBuilder::open`](super::ProducerBuilder::open), except that a channel that has ended
/// is no error. [`Error::Fenced`](crate::Error::Fenced) if a newer session began meanwhile: it has
/// fenced, or is about to fence, what this call was to fence.
///
/// # Cancel safety
/// After a cancelled call some channels may be fenced. The call may be repeated.
pub async fn fence(
    transport: &Arc<dyn Transport>,
    config: SessionConfig,
    channels: &[&str],
) -> Result<Opened> {
    open::fence(transport, config, channels).await
}
