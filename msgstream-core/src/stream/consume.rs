//! What a [`MsgStream`] consumes, from where, and what it acknowledges.

use std::time::Duration;

use super::MsgStream;
use crate::checkpoint::Checkpoint;
use crate::consume::Outage;
use crate::consume::batches::Batches;
use crate::error::{Error, Result};
use crate::message::MsgPack;
use crate::produce::distinct;
use crate::transport::Start;

impl MsgStream {
    /// Opens readers on channels, in place of those that the stream has.
    ///
    /// With a subscription each starts at its acknowledged position, and at `start` where nothing
    /// was acknowledged; without one, at `start`.
    ///
    /// # Errors
    /// [`Error::Config`] for no channel or one named twice, [`Error::Closed`], and
    /// [`Error::Transport`], such as for a channel that isn't there. Temporary errors are tried
    /// again, see [`set_retry_for`](Self::set_retry_for).
    ///
    /// # Cancel safety
    /// After a cancelled call the stream has its earlier readers. New subscriptions may be there.
    pub async fn create_consumers(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
    ) -> Result<()> {
        self.not_closed("create_consumers")?;
        distinct(channels.iter().copied())?;
        let (transport, retry_for) = (&*self.transport, self.retry_for);
        let open = Batches::open(transport, subscription, retry_for, channels, start);
        self.consumer = Some(open.await?);
        Ok(())
    }

    /// Sets for how long temporary errors of a channel are tried again, 60 seconds unless set: by
    /// [`consume`](Self::consume), and at each step of
    /// [`create_consumers`](Self::create_consumers), [`seek`](Self::seek),
    /// [`resume`](Self::resume) and [`ack`](Self::ack). With zero each error is returned at once.
    ///
    /// Which errors are temporary says
    /// [`is_temporary`](crate::transport::TransportErrorKind::is_temporary). What is produced in a
    /// session has [its own time](crate::produce::SessionConfig::with_retry_for).
    pub const fn set_retry_for(&mut self, time: Duration) -> &mut Self {
        self.retry_for = time;
        self
    }

    /// The channels that can't be read at the moment and are tried again, since when, and why.
    #[must_use]
    pub fn outages(&self) -> Vec<Outage> {
        self.consumer.as_ref().map_or_else(Vec::new, Batches::outages)
    }

    /// The next batch of records of one channel, undecoded; `None` once every channel has ended.
    ///
    /// Order is kept in each channel, and there is none between channels. The pack's
    /// [`start`](MsgPack::start) and [`end`](MsgPack::end) name its one channel.
    ///
    /// # Errors
    /// [`Error::Transport`] of one channel: one that time can't mend at once, a temporary one
    /// after it was tried again for [`retry_for`](Self::set_retry_for) while the others were read.
    /// The channel keeps its place, and the next call goes on. [`Error::NotStarted`],
    /// [`Error::Closed`], [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// Cancelling loses nothing, and the time for which a channel was tried stays counted. Time in
    /// which nobody polls doesn't count.
    pub async fn consume(&mut self) -> Result<Option<MsgPack>> {
        self.started("consume")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("consume"))?;
        consumer.consume(self.retry_for).await
    }

    /// Moves the subscription's cursor to the pack's end: everything before is done with. A cursor
    /// never moves back. What is read again after a crash is what was not acknowledged: at least
    /// once, not exactly once.
    ///
    /// # Errors
    /// [`Error::NoSubscription`] where the channel is consumed without one,
    /// [`Error::NotConsumed`], [`Error::Transport`], [`Error::Closed`], [`Error::NoChannels`].
    ///
    /// # Cancel safety
    /// The cursor may or may not have moved after a cancelled call.
    pub async fn ack(&mut self, pack: &MsgPack) -> Result<()> {
        self.not_closed("ack")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("ack"))?;
        consumer.ack(pack, self.retry_for).await
    }

    /// Goes to another place in one channel. Allowed before and after the start.
    ///
    /// # Errors
    /// [`Error::NotConsumed`], [`Error::Transport`], [`Error::Closed`], [`Error::NoChannels`]; the
    /// place is the old one then.
    ///
    /// # Cancel safety
    /// After a cancelled call the place is the old one.
    pub async fn seek(&mut self, channel: &str, start: Start) -> Result<()> {
        self.not_closed("seek")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("seek"))?;
        consumer.seek(&*self.transport, self.retry_for, channel, start).await
    }

    /// Goes to a checkpoint: each channel in it to its resume position, the others stay where they
    /// are. [`MsgPack::start`] gives a pack again, [`MsgPack::end`] what follows it.
    ///
    /// # Errors
    /// As [`MsgStream::seek`]; a channel that was deleted and created again is refused. No place
    /// has changed then.
    ///
    /// # Cancel safety
    /// After a cancelled call no place has changed.
    pub async fn resume(&mut self, from: &Checkpoint) -> Result<()> {
        self.not_closed("resume")?;
        let consumer = self.consumer.as_mut().ok_or(no_consumers("resume"))?;
        consumer.resume(&*self.transport, self.retry_for, from).await
    }
}

const fn no_consumers(operation: &'static str) -> Error {
    Error::NoChannels { operation, create: "create_consumers" }
}
