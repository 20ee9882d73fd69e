//! Decoding packs, and what to do with records that can't be decoded.

use std::sync::Arc;

use super::dead_letter::DeadLetter;
use crate::error::Result;
use crate::message::UnmarshalDispatcher;
use crate::message::{Decoded, Message, MsgPack};
use crate::produce::writers::Writers;
use crate::transport::Transport;

/// What happens to a record that can't be decoded: its type is unknown, or its payload is
/// truncated or corrupt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoisonPolicy {
    /// Decoding stops with an error that names the channel and the position.
    #[default]
    Stop,
    /// The record is left out and counted.
    Skip,
    /// The record is written to the channel of this name, and counted. What can be decoded is
    /// given out once that is stored.
    ///
    /// It is written as it came, with its bytes and headers, and with three headers more:
    /// [`PackDecoder::CHANNEL_HEADER`], [`PackDecoder::POSITION_HEADER`] and
    /// [`PackDecoder::REASON_HEADER`]. A session's stamp, which is void on another channel, is in
    /// [`PackDecoder::SESSION_HEADER`].
    ///
    /// Whatever the record is, the channel takes it. Where it doesn't take its headers, or readers
    /// would take them for something else, they are in [`PackDecoder::HEADERS_HEADER`]. What is too
    /// large for the channel is cut, and [`PackDecoder::CUT_HEADER`] says how large it was. A tick's
    /// type is in [`PackDecoder::TYPE_HEADER`], and the letter has none: it promises nothing about
    /// this channel, and doesn't end it.
    DeadLetter(String),
}

/// Decodes whole packs under a [`PoisonPolicy`].
///
/// ```
/// # use std::sync::Arc;
/// use msgstream_core::message::{MsgPack, TimeTickMsg};
/// use msgstream_core::consume::{PackDecoder, PoisonPolicy};
/// use msgstream_core::transport::Transport;
/// use msgstream_core::{Error, UnmarshalDispatcher};
///
/// async fn ticks(transport: Arc<dyn Transport>, pack: &MsgPack) -> Result<usize, Error> {
///     let policy = PoisonPolicy::DeadLetter("poison".to_owned());
///     let mut decoder = PackDecoder::new(transport, UnmarshalDispatcher::new(), policy).await?;
///     let decoded = decoder.decode(pack).await?;
///     Ok(decoded.iter().filter(|(_, m)| m.downcast_ref::<TimeTickMsg>().is_some()).count())
/// }
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
    /// The header of a dead letter that names the channel it was read from.
    pub const CHANNEL_HEADER: &str = "ms-dead-channel";
    /// The header of a dead letter with the position that it was read from.
    pub const POSITION_HEADER: &str = "ms-dead-position";
    /// The header of a dead letter that says why it couldn't be decoded.
    pub const REASON_HEADER: &str = "ms-dead-reason";

    /// The header of a dead letter with the stamp of the session that wrote it, where one did.
    pub const SESSION_HEADER: &str = "ms-dead-session";
    /// The header of a dead letter with the headers of the record, where the channel doesn't take
    /// them as they are: `NAME=VALUE&NAME=VALUE`, encoded as forms of web pages are
    /// (`application/x-www-form-urlencoded`).
    pub const HEADERS_HEADER: &str = "ms-dead-headers";
    /// The header of a dead letter of which something was cut: what, and how many bytes it had, such
    /// as `payload: 1048576`, with a comma between several.
    pub const CUT_HEADER: &str = "ms-dead-cut";
    /// The header of a dead letter with the number of the type that the record had, where the letter
    /// has another.
    pub const TYPE_HEADER: &str = "ms-dead-type";

    /// A decoder. The channel for dead letters must be there.
    ///
    /// # Errors
    /// [`Error::Transport`] where the channel for dead letters can't be written to.
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
                Some(Writers::open(&*transport, &[channel]).await?)
            }
            PoisonPolicy::Stop | PoisonPolicy::Skip => None,
        };
        Ok(Self { transport, dispatcher, policy, dead_letters, poisoned: 0 })
    }

    /// How many records were skipped or written as dead letters so far.
    #[must_use]
    pub const fn poisoned(&self) -> u64 {
        self.poisoned
    }

    /// Decodes a pack: its messages that can be decoded, in order, each with its value.
    ///
    /// # Errors
    /// [`Error::Decode`] under [`PoisonPolicy::Stop`]; [`Error::Produce`] or [`Error::Transport`]
    /// where a dead letter isn't stored. The same pack may be decoded again; dead letters of the
    /// first try may then be there twice.
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
        // Out of its place while it writes: after a failure the next try opens a new one.
        let mut producer = match self.dead_letters.take() {
            Some(producer) => producer,
            None => Writers::open(&*self.transport, &[channel]).await?,
        };
        let fits = |letter: DeadLetter| letter.fit(|record| producer.takes(0, record));
        let letters = letters.into_iter().map(fits).collect::<Result<_>>()?;
        producer.write(0, letters).await?;
        self.dead_letters = Some(producer);
        Ok(())
    }
}
