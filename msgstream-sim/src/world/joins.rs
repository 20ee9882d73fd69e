//! A channel that joins those of a consumer: always after the same pack.

use msgstream_core::transport::Start;
use msgstream_core::{Checkpoint, Error, TickSource, TtMsgStream};

use super::plan::Plan;

pub(super) struct Joins {
    joined: bool,
}

impl Joins {
    /// A stream that begins at a checkpoint, or before there is one.
    pub(super) fn new(plan: &Plan, checkpoint: Option<&Checkpoint>) -> Self {
        let has = |channel| checkpoint.is_some_and(|end| end.channels.contains_key(channel));
        Self { joined: plan.joiner().is_none_or(|(channel, _)| has(channel)) }
    }

    /// Before each pack: adds the channel if it is time. Says whether it did.
    pub(super) async fn join(
        &mut self,
        plan: &Plan,
        stream: &mut TtMsgStream,
        subscription: Option<&str>,
    ) -> Result<bool, Error> {
        let Some((channel, at)) = plan.joiner().filter(|_| !self.joined) else { return Ok(false) };
        if stream.checkpoint().frontier < Some(at) {
            return Ok(false);
        }
        stream.add_channel(subscription, channel, Start::Earliest, TickSource::Written).await?;
        self.joined = true;
        Ok(true)
    }
}
