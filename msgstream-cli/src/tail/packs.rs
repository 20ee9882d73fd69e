//! Channels to packs.

use std::sync::Arc;
use std::time::Duration;

use msgstream::Consumer;
use msgstream::Timestamp;
use msgstream::checkpoint::Checkpoint;
use msgstream::consume::{ConsumerConfig, ConsumerStatus, TickSource};
use msgstream::transport::{Start, Transport};
use msgstream_core::merge::{ChannelState, ChannelStatus};
use tokio::sync::mpsc::Sender;

use super::args::TailArgs;
use super::sink::Item;
use super::until::Until;
use crate::args::Point;
use crate::error::{Error, Result};
use crate::time::Time;
use crate::words::say;

/// How long a read waits where a channel is to end.
const AT_END: Duration = Duration::from_millis(50);

/// Reads the packs of channels.
pub(super) struct Packs {
    consumer: Consumer,
    /// Where to stop.
    until: Option<Until>,
    /// How many messages of the first pack were shown before.
    shown: usize,
}

impl Packs {
    /// Opens the channels; `new` are those that came after the start.
    pub(super) async fn open(
        broker: Arc<dyn Transport>,
        args: &TailArgs,
        new: &[String],
        until: Option<Until>,
        begun: Option<(Checkpoint, usize)>,
    ) -> Result<Self> {
        // All of a new channel is later than the start.
        let (first, start, rest) = match args.from() {
            Point::Latest if !new.is_empty() => {
                let there = args.channels.iter().filter(|channel| !new.contains(channel));
                let there: Vec<_> = there.cloned().collect();
                match there.is_empty() {
                    true => (args.channels.clone(), Start::Earliest, &[][..]),
                    false => (there, Start::Latest, new),
                }
            }
            from => (args.channels.clone(), from.into(), &[][..]),
        };
        let mut config = ConsumerConfig::default();
        if until.is_some() {
            // All that is read is there already.
            config = config.with_wait(AT_END);
        }
        let mut builder = Consumer::builder(broker)
            .config(config)
            .channels(first)
            .start(start)
            .late_policy(args.late.into());
        if let Some(interval) = args.align {
            builder = builder.align_to(interval);
        }
        if let Some(delay) = args.synthetic_ticks {
            let delay = Timestamp::span(delay);
            builder = builder.ticks(move |_| TickSource::Synthetic { delay, interval: 1 });
        }
        let (checkpoint, shown) = begun.unzip();
        let mut consumer = builder.resume(checkpoint).open().await?;
        for channel in rest {
            consumer.add_channel(channel, Start::Earliest).await?;
        }
        Ok(Self { consumer, until, shown: shown.unwrap_or(0) })
    }

    /// Hands on all packs, until every channel has ended, the last tick of each is reached, or
    /// nobody takes them.
    pub(super) async fn run(&mut self, packs: &Sender<Item>) -> Result<()> {
        loop {
            if self.until.as_ref().is_some_and(|until| is_done(&self.consumer.status(), until)) {
                self.say_what_is_left();
                return Ok(());
            }
            let pack = tokio::select! {
                biased;
                () = packs.closed() => return Ok(()),
                pack = self.consumer.next_pack() => pack,
                // It may be done now.
                () = reached(self.until.as_ref()) => continue,
            };
            let pack = match pack {
                Ok(Some(pack)) => pack,
                Ok(None) => return Ok(()),
                // The tick that would make room doesn't come.
                Err(msgstream::Error::WindowTooLarge { .. }) if self.is_last() => {
                    self.say_what_is_left();
                    return Ok(());
                }
                Err(error) => return Err(explain(error)),
            };
            if packs.send(Item::Pack(pack, std::mem::take(&mut self.shown))).await.is_err() {
                return Ok(());
            }
        }
    }

    fn is_last(&self) -> bool {
        self.until.as_ref().is_some_and(|until| is_last(&self.consumer.status(), until))
    }

    /// Says how many messages are after the last tick, and which channels it is missing on.
    fn say_what_is_left(&self) {
        let merge = self.consumer.status().merge;
        let left: usize = merge.channels.iter().map(|c| c.buffered).sum();
        if left == 0 {
            return;
        }
        let is_read = |c| self.until.as_ref().is_some_and(|until| until.is_read(c));
        let at_least = if merge.channels.iter().all(is_read) { "" } else { "at least " };
        let behind = merge.blocking().map(|c| match c.watermark {
            Some(tick) => format!("channel `{}` has ticked up to {}", c.channel, Time(tick)),
            None => format!("channel `{}` has no tick", c.channel),
        });
        let behind = behind.collect::<Vec<_>>().join(", ");
        say(&format!(
            "messages after the last tick that are not shown: {at_least}{left} ({behind})"
        ));
    }
}

/// Returns whether no more packs come: the next one waits for a channel that was read to its end.
fn is_last(status: &ConsumerStatus, until: &Until) -> bool {
    status.merge.blocking().any(|c| until.is_read(c))
}

/// Returns whether no more packs come, and what is after the last one is read, as far as there is
/// room for it.
fn is_done(status: &ConsumerStatus, until: &Until) -> bool {
    let waits = |c: &ChannelStatus| matches!(c.state, ChannelState::Paused | ChannelState::Ended);
    is_last(status, until) && status.merge.channels.iter().all(|c| until.is_read(c) || waits(c))
}

/// Waits until a channel was read to its end; for ever if there is none.
async fn reached(until: Option<&Until>) {
    match until {
        Some(until) => until.reached().await,
        None => std::future::pending().await,
    }
}

/// Returns an error in the words of the command line: the option that helps.
fn explain(error: msgstream::Error) -> Error {
    match error {
        msgstream::Error::Late { channel, position, ts, watermark } => {
            let (ts, watermark) = (Time(ts), Time(watermark));
            Error::LateMessage { channel, position, ts, watermark }
        }
        msgstream::Error::WindowTooLarge { begin, budget, .. } => {
            let begin = begin.map_or("the start".to_owned(), |begin| Time(begin).to_string());
            Error::FewTicks { begin, budget }
        }
        error => error.into(),
    }
}
