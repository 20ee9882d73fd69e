//! A copy at work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use msgstream::Producer;
use msgstream::message::MsgPack;
use msgstream::produce::InSession;
use msgstream::transport::Transport;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::args::CopyArgs;
use super::channel::Channel;
use super::destination::{Name, enter, prepare};
use super::error::source_error;
use super::place::{Place, now};
use super::progress::Progress;
use super::reading::{Failed, Read, Reading};
use super::tally::Tally;
use crate::error::Result;

/// After so many records, or so long after the first of them, the place is saved: that much is read
/// again after a crash.
const SAVE_RECORDS: usize = 10_000;
const SAVE_AFTER: Duration = Duration::from_secs(5);

/// Batches that are read and not written.
const BATCHES: usize = 8;

/// A copy that is open at both ends.
pub(super) struct Copier {
    producer: Producer<InSession>,
    home: Arc<str>,
    channels: Vec<Channel>,
    read: mpsc::Receiver<Result<Read, Failed>>,
    /// The tasks that read the channels. They end with this value.
    reading: JoinSet<()>,
    /// How many records were read since the places were saved.
    unsaved: usize,
    save_at: Option<Instant>,
    tally: Tally,
    progress: Progress,
}

impl Copier {
    /// Opens the copy where it stopped, or anew, and begins to read.
    pub(super) async fn begin(
        source: &Arc<dyn Transport>,
        destination: &Arc<dyn Transport>,
        names: &BTreeSet<Arc<str>>,
        args: &CopyArgs,
    ) -> Result<Self> {
        let mut infos = Vec::new();
        for channel in names {
            infos.push(source.describe(channel).await?);
        }
        let copy = Name::of(names);
        for channel in names {
            prepare(&**destination, channel, &copy).await?;
        }
        let opened = now();
        let entered = enter(destination, &copy, names).await?;
        let (to, read) = mpsc::channel(BATCHES);
        let (mut channels, mut reading, mut spans) = (Vec::new(), JoinSet::new(), Vec::new());
        for (name, info) in names.iter().zip(&infos) {
            let found = entered.places.get(name).cloned();
            let saved = found.is_some();
            let place = found.unwrap_or_else(|| Place::first(name, info, opened));
            let stored = entered.stored(name);
            let mut channel = Channel::new(place, saved, stored, opened, args.skip_unreadable);
            if entered.ended.contains(name) {
                channel.set_ended();
            } else {
                // Also if there is nothing to read: it must still be the same channel.
                let reader = channel.open(&**source).await?;
                let (next, until) = (channel.place.next, (!args.follow).then_some(info.end));
                if until.is_none_or(|until| next < until) {
                    let all = Reading::new(reader, until).send(channels.len(), to.clone());
                    channel.reading = Some(reading.spawn(all));
                    spans.push((next, until));
                }
            }
            channels.push(channel);
        }
        let mut copier = Self {
            producer: entered.producer,
            home: copy.home,
            channels,
            read,
            reading,
            unsaved: 0,
            save_at: None,
            tally: Tally::default(),
            progress: Progress::new(&spans),
        };
        // Before the first message: where there is no place, no message was read.
        copier.save().await?;
        Ok(copier)
    }

    /// Copies until all is read. Returns false if it was stopped before.
    pub(super) async fn run(&mut self, stop: &mut JoinHandle<()>) -> Result<bool> {
        loop {
            let read = tokio::select! {
                biased;
                _ = &mut *stop => return Ok(false),
                () = at(self.save_at) => None,
                read = self.read.recv() => match read {
                    Some(read) => Some(read),
                    None => return Ok(true),
                },
            };
            if let Some(read) = read {
                let read = read.map_err(|Failed { channel, error }| {
                    source_error(&self.channels[channel].place.channel, error)
                })?;
                self.copy(read).await?;
            }
            let due = self.save_at.is_some_and(|at| at <= Instant::now());
            if due || self.unsaved >= SAVE_RECORDS {
                self.save().await?;
            }
        }
    }

    /// Returns what was done, and takes away the progress bar.
    pub(super) fn summary(&mut self, elapsed: Duration) -> Tally {
        self.progress.finish();
        self.tally.elapsed = elapsed;
        self.tally.clone()
    }

    /// Saves the places and closes the session. Returns the places.
    pub(super) async fn finish(mut self) -> Result<Vec<Place>> {
        self.reading.abort_all();
        self.save().await?;
        self.producer.close().await?;
        Ok(self.channels.into_iter().map(|channel| channel.place).collect())
    }

    async fn copy(&mut self, read: Read) -> Result<()> {
        let channel = &mut self.channels[read.channel];
        self.progress.read(channel.place.next, read.next, read.records.len());
        self.unsaved += read.records.len();
        channel.copy(read, &mut self.producer, &mut self.tally).await?;
        if channel.has_moved() {
            self.save_at.get_or_insert_with(|| Instant::now() + SAVE_AFTER);
        }
        Ok(())
    }

    /// Saves the places that moved, once everything before them is stored. Fails if another run of the
    /// copy began meanwhile: what was stored since doesn't count then.
    async fn save(&mut self) -> Result<()> {
        self.producer.flush().await?;
        let announced = self.channels.iter().filter_map(Channel::announced);
        let since = announced.min().unwrap_or_else(now);
        let moved = self.channels.iter_mut().filter_map(|channel| channel.take_moved(since));
        let places = moved.map(|place| place.to_message(&self.home)).collect::<Result<_, _>>()?;
        // Confirming waits for all that was written to the home channel before.
        let _stored = self.producer.submit(MsgPack::new(places))?;
        self.producer.confirm().await?;
        (self.unsaved, self.save_at) = (0, None);
        Ok(())
    }
}

/// Waits until a time; for ever if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
