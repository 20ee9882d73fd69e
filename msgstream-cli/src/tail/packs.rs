//! Channels to packs.

use std::sync::Arc;

use msgstream::Consumer;
use msgstream::Timestamp;
use msgstream::checkpoint::Checkpoint;
use msgstream::consume::{ConsumerStatus, TickSource};
use msgstream::transport::{Start, Transport};
use tokio::sync::mpsc::Sender;

use super::args::TailArgs;
use super::checkpoint::Saver;
use super::sink::Item;
use super::until::Until;
use crate::args::Point;
use crate::error::{Error, Result};
use crate::time::Time;
use crate::words::say;

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
        let (first, start, rest) = match args.from {
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
        let mut builder =
            Consumer::builder(broker).channels(first).start(start).late_policy(args.late.into());
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
    /// nobody takes them. Checkpoints are saved meanwhile.
    pub(super) async fn run(
        &mut self,
        packs: &Sender<Item>,
        saver: &mut Option<Saver>,
    ) -> Result<()> {
        loop {
            if let Some(until) = &self.until
                && is_done(&self.consumer.status(), until)
            {
                say_what_is_left(&self.consumer.status(), until);
                return Ok(());
            }
            let pack = tokio::select! {
                biased;
                () = changed(saver) => {
                    if let Some(saver) = saver {
                        saver.save().await?;
                    }
                    continue;
                }
                () = packs.closed() => return Ok(()),
                pack = self.consumer.next_pack() => pack.map_err(explain)?,
                // It may be done now.
                () = reached(self.until.as_ref()) => continue,
            };
            let Some(pack) = pack else { return Ok(()) };
            if packs.send(Item::Pack(pack, std::mem::take(&mut self.shown))).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Returns whether the next pack waits for a channel that was read to its end.
fn is_done(status: &ConsumerStatus, until: &Until) -> bool {
    status.merge.blocking().any(|c| c.next.is_some() && c.next >= until.end(&c.channel))
}

/// Says what a pack to come will have.
fn say_what_is_left(status: &ConsumerStatus, until: &Until) {
    let left: usize = status.merge.channels.iter().map(|c| c.buffered).sum();
    if left == 0 {
        return;
    }
    let all = status.merge.channels.iter().all(|c| c.next >= until.end(&c.channel));
    let at_least = if all { "" } else { "at least " };
    let behind = status.merge.blocking().map(|c| match c.watermark {
        Some(tick) => format!("channel `{}` has ticked up to {}", c.channel, Time(tick)),
        None => format!("channel `{}` has no tick", c.channel),
    });
    let behind = behind.collect::<Vec<_>>().join(", ");
    say(&format!("messages after the last tick that are not shown: {at_least}{left} ({behind})"));
}

/// Waits until there is more to save; for ever if nothing is saved.
async fn changed(saver: &mut Option<Saver>) {
    match saver {
        Some(saver) => saver.changed().await,
        None => std::future::pending().await,
    }
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
