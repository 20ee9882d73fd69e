//! Sessions: what makes producing exactly-once over a broker that isn't.
//!
//! A broker answers "I don't know" when a connection breaks in the wrong moment: sending again may
//! repeat a record, and leaving it may lose it. A session numbers its messages on each channel.
//! So it sends again whatever isn't acknowledged, and consumers take each number once.
//!
//! [`MsgStream::create_session`](crate::MsgStream::create_session) opens one, and
//! [`TtMsgStream`](crate::TtMsgStream) consumes what it writes.
//!
//! ```
//! # use std::sync::Arc;
//! use msgstream_core::produce::SessionConfig;
//! use msgstream_core::transport::Transport;
//! use msgstream_core::{Error, MsgPack, MsgStream, Timestamp};
//!
//! async fn copy(transport: Arc<dyn Transport>, source: Vec<MsgPack>) -> Result<(), Error> {
//!     let mut stream = MsgStream::new(transport);
//!     let config = SessionConfig::new("copier").with_home("copier-home");
//!     let opened = stream.create_session(config, &["prices"]).await?;
//!     stream.start()?;
//!     // Here each pack is one message, so the number tells where to go on after a crash.
//!     for (pack, ts) in source.into_iter().zip(1..).skip(opened.last["prices"] as usize) {
//!         stream.produce(pack).await?;
//!         stream.tick(Timestamp(ts)).await?;
//!     }
//!     stream.confirm().await?;
//!     stream.close().await
//! }
//! ```
//!
//! # Writing
//!
//! A message bears its producer, the session's epoch, and the number after that of the message
//! before it on the channel, over all epochs. After a failed or unknown write the session opens
//! another writer, and sends everything again that isn't acknowledged, in order. It does so until
//! [`retry_for`](SessionConfig::with_retry_for) is over. Then the outcome is told as it is,
//! unknown, and the channel takes nothing more: open a new session, which learns what is stored.
//!
//! Consumers take only the number after the last one. Taking every number above the last one
//! would lose data: of 5 and 6, 6 may be stored first, and 5 when it is sent again.
//!
//! A tick bears the number of the last message before it, and is sent once that is acknowledged.
//! A *base* tells the number without being a tick. What was sent again may stand twice in the
//! channel; the position that the producer learns is then that of either.
//!
//! # Opening
//!
//! 1. A *fence* is appended to the home channel. Its position is the epoch, so that the log decides
//!    which of two starters is the newer one.
//! 2. A fence with this epoch is appended to each other channel. What an older epoch writes behind
//!    it is void.
//! 3. Each channel is read up to its fence for the number of the last message that was taken.
//!    Where a newer epoch is found, opening fails with [`Error::Fenced`](crate::Error::Fenced).
//! 4. A base with that number is appended to each channel, for readers that begin in the middle.
//! 5. The program gets the numbers, as [`Opened`]. What follows them in its own source is to be
//!    written now; nothing that it wrote earlier can appear any more.
//!
//! # Confirming
//!
//! Acknowledged means stored; it doesn't mean that it counts. Where somebody else opened the same
//! session, what this one writes afterwards is acknowledged and void.
//! [`MsgStream::confirm`](crate::MsgStream::confirm) looks: where it succeeds, everything that was
//! acknowledged before counts. A program that forgets its source after writing must confirm
//! first. A newer session fences the home channel before all others, so that one tells it all.
//!
//! # What it needs
//!
//! - One program at a time goes on from one source under one producer id.
//! - The channels keep records for longer than a producer is silent. Where messages of a producer
//!   are left and nothing that tells their numbers for certain, opening fails with
//!   [`Error::NumbersLost`](crate::Error::NumbersLost).
//! - Whoever may write to a channel writes no records in the name of others: nothing is signed. A
//!   producer that somebody else's records keep from opening goes on as another one, see
//!   [`fence`].
//! - The home channel isn't deleted while there are records of the session elsewhere: a new one has
//!   lower positions, so its epochs would look old.
//! - Consumers remember producers for longer than a record is tried again: [`ProducerLimits`].

mod config;
mod confirm;
mod counts;
pub(crate) mod ended;
pub(crate) mod open;
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
pub(crate) use self::writer::SessionWriter;

use crate::error::Result;
use crate::record::Position;
use crate::transport::Transport;

/// A session that was opened, and where its producer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The producer.
    pub producer: Arc<str>,
    /// The epoch: greater than those of all earlier sessions of the producer.
    pub epoch: Position,
    /// For each channel the number of the producer's last message that counts; 0 where there is
    /// none yet. Numbers count its messages there from 1 on, over all sessions.
    pub last: BTreeMap<Arc<str>, u64>,
}

/// Fences a producer: what its sessions write to these channels from here on is void, until it
/// opens another session. One that it opens meanwhile stays as it is. For whoever finds that a producer is gone and must be sure that it stays
/// so, such as the owner of a [`TimeSync`](crate::TimeSync).
///
/// The configuration is that of the producer, with its home channel. It writes fences, no bases:
/// nothing follows in this epoch.
///
/// It is the way out, too, where a producer can't open a session any more: because somebody wrote
/// a fence with an epoch that no session comes to, or because its home channel was deleted. Fence
/// it, and go on as another producer with what follows [`Opened::last`], whose own numbers begin
/// anew.
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::produce::{SessionConfig, fence};
/// use msgstream_core::produce::{ProducerId, TimeSync};
/// use msgstream_core::{Error, transport::Transport};
///
/// async fn give_up(
///     transport: Arc<dyn Transport>,
///     sync: &mut TimeSync,
///     producer: ProducerId,
/// ) -> Result<(), Error> {
///     let config = SessionConfig::new(format!("p{}", producer.0)).with_home("home");
///     fence(&transport, config, &["prices"]).await?;
///     sync.fenced(producer);
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`MsgStream::create_session`](crate::MsgStream::create_session), but an end is none.
/// [`Error::Fenced`](crate::Error::Fenced) where a newer session began meanwhile: it has fenced,
/// or is about to, what this was to fence.
///
/// # Cancel safety
/// After a cancelled call some channels may be fenced. It may be repeated.
pub async fn fence(
    transport: &Arc<dyn Transport>,
    config: SessionConfig,
    channels: &[&str],
) -> Result<Opened> {
    open::fence(transport, config, channels).await
}
