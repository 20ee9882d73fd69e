//! Decodes packs, and handles records that can't be decoded.

use std::sync::Arc;

use super::dead_letter::DeadLetter;
use crate::error::Result;
use crate::message::UnmarshalDispatcher;
use crate::message::{Decoded, Message, MsgPack};
use crate::produce::writers::{TickRules, Writers};
use crate::transport::Transport;

/// How a record is handled that can't be decoded: its type is unknown, or its payload is truncated
/// or corrupt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoisonPolicy {
    /// Decoding stops with an error that names the channel and the position.
    #[default]
    Stop,
    /// The record is skipped and counted.
    Skip,
    /// The record is written to the channel of this name, as a dead letter, and counted. Messages
    /// that can be decoded are returned once the dead letters are stored.
    ///
    /// A dead letter has the record's bytes and headers, and three more headers:
    /// [`PackDecoder::CHANNEL_HEADER`], [`PackDecoder::POSITION_HEADER`] and
    /// [`PackDecoder::REASON_HEADER`]. A session's stamp, which is void on another channel, is in
    /// [`PackDecoder::SESSION_HEADER`].
    ///
    /// Every record fits. If the channel doesn't accept its headers, or readers would misunderstand
    /// them, they are in [`PackDecoder::HEADERS_HEADER`]. What is too large for the channel is cut,
    /// and [`PackDecoder::CUT_HEADER`] has its original size. The type of a tick is in
    /// [`PackDecoder::TYPE_HEADER`] instead: the dead letter promises nothing about its channel,
    /// and doesn't end it.
    DeadLetter(String),
}

/// Decodes whole packs under a [`PoisonPolicy`].
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::consume::{PackDecoder, PoisonPolicy};
/// use msgstream_core::message::{MsgPack, TimeTickMsg};
/// use msgstream_core::transport::{Transport, TransportExt};
/// use msgstream_core::{Timestamp, UnmarshalDispatcher};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = msgstream_mem::MemTransport::new(Default::default());
/// broker.create("poison").await?;
/// let policy = PoisonPolicy::DeadLetter("poison".to_owned());
/// let mut decoder = PackDecoder::new(Arc::new(broker), UnmarshalDispatcher::new(), policy).await?;
///
/// let pack = MsgPack::of(TimeTickMsg::new(Timestamp(5)))?;
/// let decoded = decoder.decode(&pack).await?;
/// assert!(decoded[0].1.downcast_ref::<TimeTickMsg>().is_some());
/// assert_eq!(decoder.poisoned(), 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PackDecoder {
    transport: Arc<dyn Transport>,
    dispatcher: UnmarshalDispatcher,
    policy: PoisonPolicy,
    /// Where dead letters go; `None` after a failed write, and under another policy.
    dead_letters: Option<Writers>,
    poisoned: u64,
}

impl PackDecoder {
    /// The header of a dead letter with the channel that it was read from.
    pub const CHANNEL_HEADER: &str = "ms-dead-channel";
    /// The header of a dead letter with the position that it was read from.
    pub const POSITION_HEADER: &str = "ms-dead-position";
    /// The header of a dead letter with the reason why it couldn't be decoded.
    pub const REASON_HEADER: &str = "ms-dead-reason";

    /// The header of a dead letter with the stamp of the session that wrote it, if one did.
    pub const SESSION_HEADER: &str = "ms-dead-session";
    /// The header of a dead letter with the virtual channel of the record, if the dead letters are on
    /// another virtual channel.
    pub const VCHANNEL_HEADER: &str = "ms-dead-vchannel";
    /// The header of a dead letter with the headers of the record, if the channel doesn't accept
    /// them as they are: `NAME=VALUE&NAME=VALUE`, encoded as a web form
    /// (`application/x-www-form-urlencoded`).
    pub const HEADERS_HEADER: &str = "ms-dead-headers";
    /// The header of a dead letter that was cut: which parts, and how many bytes they had, such as
    /// `payload: 1048576`, separated by commas.
    pub const CUT_HEADER: &str = "ms-dead-cut";
    /// The header of a dead letter with the number of the record's type, if the letter has another
    /// type.
    pub const TYPE_HEADER: &str = "ms-dead-type";

    /// Creates a decoder. The channel for dead letters must exist.
    ///
    /// # Errors
    /// [`Error::Transport`](crate::Error::Transport) if the channel for dead letters can't be
    /// written to.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn new(
        transport: Arc<dyn Transport>,
        dispatcher: UnmarshalDispatcher,
        policy: PoisonPolicy,
    ) -> Result<Self> {
        let dead_letters = match &policy {
            PoisonPolicy::DeadLetter(channel) => {
                Some(Writers::open(&*transport, &[channel], TickRules::default()).await?)
            }
            PoisonPolicy::Stop | PoisonPolicy::Skip => None,
        };
        Ok(Self { transport, dispatcher, policy, dead_letters, poisoned: 0 })
    }

    /// Returns how many records were skipped or written as dead letters so far.
    #[must_use]
    pub const fn poisoned(&self) -> u64 {
        self.poisoned
    }

    /// Decodes a pack. Returns its messages that can be decoded, in order, each with its value.
    ///
    /// # Errors
    /// [`Error::Decode`](crate::Error::Decode) under [`PoisonPolicy::Stop`];
    /// [`Error::Produce`](crate::Error::Produce) or [`Error::Transport`](crate::Error::Transport)
    /// if a dead letter isn't stored. The same pack may be decoded again; dead letters of the first
    /// try may then be stored twice.
    ///
    /// # Cancel safety
    /// After a cancelled call dead letters may or may not be stored, and are not counted.
    pub async fn decode<'a>(
        &mut self,
        pack: &'a MsgPack,
    ) -> Result<Vec<(&'a Message, Decoded<'a>)>> {
        let mut decoded = Vec::with_capacity(pack.msgs.len());
        let mut letters = Vec::new();
        let mut skipped = 0;
        for msg in &pack.msgs {
            match (msg.decode(&self.dispatcher), &self.policy) {
                (Ok(value), _) => decoded.push((msg, value)),
                (Err(_), PoisonPolicy::Skip) => skipped += 1,
                (Err(error), PoisonPolicy::DeadLetter(_)) if let Some(stored) = msg.stored() => {
                    letters.push(DeadLetter::new(
                        &stored.channel,
                        error.position,
                        &stored.record,
                        &error.source,
                    ));
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        let poisoned = skipped + letters.len() as u64;
        if !letters.is_empty() {
            self.bury(letters).await?;
        }
        self.poisoned += poisoned;
        Ok(decoded)
    }

    /// Writes dead letters and waits until they are stored.
    async fn bury(&mut self, letters: Vec<DeadLetter>) -> Result<()> {
        let PoisonPolicy::DeadLetter(channel) = &self.policy else { return Ok(()) };
        // Taken out while it writes, so that the next try after a failure opens a new one.
        let mut producer = match self.dead_letters.take() {
            Some(producer) => producer,
            None => Writers::open(&*self.transport, &[channel], TickRules::default()).await?,
        };
        let fits = |letter: DeadLetter| letter.fit(|record| producer.takes(0, record));
        let letters = letters.into_iter().map(fits).collect::<Result<_>>()?;
        producer.write(0, letters).await?;
        self.dead_letters = Some(producer);
        Ok(())
    }
}
