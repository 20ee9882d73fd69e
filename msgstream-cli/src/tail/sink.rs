//! Messages to lines. Runs on a thread of its own, so that Ctrl-C works while a write waits.

use msgstream::MsgPack;
use msgstream::checkpoint::Checkpoint;
use msgstream::message::StoredMessage;
use msgstream::record::MsgTypeNames;
use tokio::sync::{mpsc, watch};

use super::args::TailArgs;
use super::filter::Filter;
use super::line::{Line, PackLine, names};
use crate::error::{Error, Result};
use crate::output::Lines;

/// What is to be shown.
pub(super) enum Item {
    /// A pack, of which so many messages were shown before.
    Pack(MsgPack, usize),
    /// Records of one channel.
    Records(Vec<StoredMessage>),
}

/// Up to where lines were written.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) checkpoint: Checkpoint,
    /// How many messages of the pack after the checkpoint.
    pub(super) messages: usize,
}

/// Writes lines to stdout.
pub(super) struct Sink {
    lines: Lines,
    filter: Filter,
    packs: bool,
    names: MsgTypeNames,
    /// How many lines may still be written.
    left: u64,
    /// What was written and not flushed.
    written: Option<Shown>,
    /// What was flushed, for a checkpoint.
    shown: Option<watch::Sender<Option<Shown>>>,
}

impl Sink {
    pub(super) fn new(args: &TailArgs, shown: Option<watch::Sender<Option<Shown>>>) -> Self {
        Self {
            lines: Lines::stdout(),
            filter: args.filter.clone().unwrap_or_default(),
            packs: args.packs,
            names: names(),
            left: args.count.map_or(u64::MAX, u64::from),
            written: None,
            shown,
        }
    }

    /// Takes items until no more come, or all lines were written that may be.
    pub(super) fn run(mut self, items: &mut mpsc::Receiver<Item>) -> Result<()> {
        while self.left > 0 {
            // What is written is flushed before a wait.
            let next = match items.try_recv() {
                Ok(item) => Some(item),
                Err(_) => {
                    self.flush()?;
                    items.blocking_recv()
                }
            };
            match next {
                Some(Item::Pack(pack, shown)) => self.pack(pack, shown)?,
                Some(Item::Records(records)) => self.records(&records)?,
                None => break,
            }
        }
        self.flush()
    }

    fn pack(&mut self, pack: MsgPack, before: usize) -> Result<()> {
        if self.packs {
            self.lines.json(&PackLine::of(&pack, before, &self.filter, &self.names))?;
            self.left -= 1;
        } else {
            let messages = pack.msgs.iter().enumerate().skip(before);
            let stored = messages.filter_map(|(index, message)| Some((index, message.stored()?)));
            for (index, message) in stored {
                if !self.filter.takes(&message.record) {
                    continue;
                }
                self.lines.json(&Line::of(message, &self.names))?;
                self.left -= 1;
                let messages = index + 1;
                if self.left == 0 && messages < pack.msgs.len() {
                    self.written = Some(Shown { checkpoint: pack.start, messages });
                    return Ok(());
                }
            }
        }
        self.written = Some(Shown { checkpoint: pack.end, messages: 0 });
        // A checkpoint must not be far behind what was shown.
        if self.shown.is_some() { self.flush() } else { Ok(()) }
    }

    fn records(&mut self, records: &[StoredMessage]) -> Result<()> {
        for message in records.iter().filter(|message| self.filter.takes(&message.record)) {
            self.lines.json(&Line::of(message, &self.names).with_headers(&message.record))?;
            self.left -= 1;
            if self.left == 0 {
                break;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.lines.flush()?;
        if let (Some(shown), Some(written)) = (&self.shown, self.written.take()) {
            // Nobody saves it any more, and knows why.
            shown.send(Some(written)).map_err(|_| Error::Stopped)?;
        }
        Ok(())
    }
}
