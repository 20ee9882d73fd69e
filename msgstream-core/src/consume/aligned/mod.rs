//! [`Aligned`]: drives the merge over any transport.

mod drive;
mod input;
mod repair;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use self::input::{Input, Reads};
use super::open::{Begin, Opened, open};
use super::outage::{Tries, with_retries};
use super::{ConsumerConfig, ConsumerStatus};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::merge::{Merge, Slot, TickSource};
use crate::message::MsgPack;
use crate::planted::{Bug, planted};
use crate::transport::{AT_A_TIME, Start, Transport};

/// Reads many channels as one stream of packs: what [`Consumer`](crate::Consumer) and
/// [`TtMsgStream`](crate::TtMsgStream) have in common. It may have no channels at all.
#[derive(Debug)]
pub(crate) struct Aligned {
    transport: Arc<dyn Transport>,
    config: ConsumerConfig,
    merge: Merge,
    inputs: Vec<Option<Input>>,
    reads: Reads,
    /// Channels without a read in flight.
    parked: Vec<Slot>,
    /// How many of the parked channels had no room at the last check.
    checked: usize,
    /// They may have room now.
    recheck: bool,
    /// The merge refused records of a channel.
    refused: bool,
    generation: u64,
    last_pack: Instant,
    warned: bool,
}

impl Aligned {
    /// Returns a reader of no channels.
    pub(crate) fn new(transport: Arc<dyn Transport>, config: ConsumerConfig) -> Result<Self> {
        Ok(Self {
            transport,
            merge: Merge::new(config.merge()?)?,
            config,
            inputs: Vec::new(),
            reads: Reads::default(),
            parked: Vec::new(),
            checked: 0,
            recheck: true,
            refused: false,
            generation: 0,
            last_pack: Instant::now(),
            warned: false,
        })
    }

    /// Adds channels, all or none.
    pub(crate) async fn add(
        &mut self,
        subscription: Option<&str>,
        channels: &[&str],
        start: Start,
        ticks: impl Fn(&str) -> TickSource,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        if let Some(twice) =
            channels.iter().find(|c| self.merge.slot(c).is_some() || !names.insert(**c))
        {
            let reason = format!("channel `{twice}` is read already: name it once");
            return Err(Error::Config { reason });
        }
        let channels = channels.iter().map(|channel| (*channel, Begin::CursorOr(start)));
        let opened = open(&*self.transport, subscription, self.config.retry_for, channels).await?;
        for opened in opened {
            let source = ticks(&opened.channel);
            self.attach(opened, source)?;
        }
        Ok(())
    }

    /// Removes a channel and returns a checkpoint of it alone.
    pub(crate) fn remove(&mut self, channel: &str) -> Result<Checkpoint> {
        let slot = self.slot(channel)?;
        self.inputs[slot.index()] = None;
        self.parked.retain(|parked| *parked != slot);
        self.recheck = true;
        Ok(self.merge.remove(slot))
    }

    /// Moves to a checkpoint: its channels replace those that are read.
    pub(crate) async fn resume(
        &mut self,
        subscription: Option<&str>,
        checkpoint: &Checkpoint,
        ticks: impl Fn(&str) -> TickSource,
    ) -> Result<()> {
        let marks = checkpoint.channels.iter().map(|(name, mark)| (&**name, Begin::Mark(mark)));
        let retry_for = self.config.retry_for;
        let opened = open(&*self.transport, subscription, retry_for, marks).await?;
        self.merge = Merge::resume(self.config.merge()?, checkpoint.clone())?;
        self.stop();
        for opened in opened {
            let source = ticks(&opened.channel);
            self.attach(opened, source)?;
        }
        Ok(())
    }

    fn attach(&mut self, opened: Opened, ticks: TickSource) -> Result<()> {
        let Opened { channel, reader, cursor } = opened;
        let slot = self.merge.add(channel, ticks)?;
        self.merge.set_incarnation(slot, reader.incarnation());
        self.generation += 1;
        let input = Input {
            generation: self.generation,
            reader: Some(reader),
            tries: Tries::new(),
            cursor,
            acked: None,
            back_to: None,
            discard: false,
            refused: None,
            silent_since: None,
            heard: Instant::now(),
        };
        self.inputs.resize_with(self.inputs.len().max(slot.index() + 1), || None);
        self.inputs[slot.index()] = Some(input);
        self.parked.push(slot);
        self.recheck = true;
        Ok(())
    }

    /// Starts counting the time without a pack.
    pub(crate) fn begin(&mut self) {
        self.last_pack = Instant::now();
    }

    /// Returns whether there is no channel.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.iter().all(Option::is_none)
    }

    /// Returns the next pack; `None` once every channel has ended.
    pub(crate) async fn next_pack(&mut self) -> Result<Option<MsgPack>> {
        let pack = self.drive().await?;
        if pack.is_some() {
            (self.recheck, self.warned) = (true, false);
            self.last_pack = Instant::now();
        }
        Ok(pack)
    }

    pub(crate) fn status(&self) -> ConsumerStatus {
        let merge = self.merge.status();
        let silent = |channel: &str| Some(self.input_of(channel)?.heard.elapsed());
        let blocking = merge
            .blocking()
            .filter_map(|c| Some((c.channel.clone(), silent(&c.channel)?)))
            .collect();
        let outage = |channel: &Arc<str>| self.input_of(channel)?.tries.outage(channel);
        let outages = merge.channels.iter().filter_map(|c| outage(&c.channel)).collect();
        ConsumerStatus { merge, blocking, outages, since_pack: self.last_pack.elapsed() }
    }

    pub(crate) const fn buffered_bytes(&self) -> usize {
        self.merge.buffered_bytes()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.merge.checkpoint()
    }

    /// Moves the cursors of the channels that have one to a checkpoint. Channels that are no longer
    /// read are skipped.
    pub(crate) async fn ack(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let retry_for = self.config.retry_for;
        let mut acks = Vec::new();
        for (channel, mark) in &checkpoint.channels {
            let Some(slot) = self.merge.slot(channel) else { continue };
            let Some(input) = &self.inputs[slot.index()] else { continue };
            let Some(cursor) = input.cursor.clone() else { continue };
            let mut before = mark.resume;
            if planted(Bug::AckPastResume) {
                before = mark.cut.unwrap_or(before);
            }
            if input.acked < Some(before) {
                let ack = async move {
                    let acked = with_retries(retry_for, channel, || cursor.ack(before)).await;
                    (slot, before, acked)
                };
                acks.push(ack.boxed());
            }
        }
        let mut acks = futures::stream::iter(acks).buffer_unordered(AT_A_TIME);
        while let Some((slot, before, acked)) = acks.next().await {
            acked?;
            if let Some(input) = &mut self.inputs[slot.index()] {
                input.acked = Some(before);
            }
        }
        Ok(())
    }

    /// Returns a channel of the checkpoint that is read here without a subscription.
    pub(crate) fn without_cursor<'a>(&self, checkpoint: &'a Checkpoint) -> Option<&'a str> {
        let mut channels = checkpoint.channels.keys();
        let without = |c: &str| self.input_of(c).is_some_and(|input| input.cursor.is_none());
        channels.find(|channel| without(channel)).map(|channel| &**channel)
    }

    /// Returns a channel's input; `None` after [`stop`](Self::stop).
    fn input_of(&self, channel: &str) -> Option<&Input> {
        self.inputs.get(self.merge.slot(channel)?.index())?.as_ref()
    }

    /// Stops reading.
    pub(crate) fn stop(&mut self) {
        self.inputs.clear();
        self.parked.clear();
        self.reads = Reads::default();
    }

    fn slot(&self, channel: &str) -> Result<Slot> {
        self.merge.slot(channel).ok_or_else(|| Error::NotConsumed { channel: channel.to_owned() })
    }
}
