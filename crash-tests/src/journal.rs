//! What a producer sent and what was acknowledged, in a file that outlives it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};

/// Every line has so many bytes, so that the length of the file tells how far a producer is.
const LINE: usize = "s 00 0000000001\n".len();

/// What happened to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was handed over.
    Sent,
    /// It was acknowledged.
    Acked,
}

/// A number on a channel, by the channel's index.
pub(crate) type Number = (u32, u64);

/// A journal to write. A line is in the file when [`Journal::note`] returns, so a killed process
/// loses none; flushing to the disk goes on beside, so that it doesn't slow the producer.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    flush: Sender<()>,
    flusher: JoinHandle<io::Result<()>>,
}

impl Journal {
    /// Goes on with a file, or begins it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = || {
            let file = File::options().append(true).create(true).open(path)?;
            // A killed writer may leave a part of a line.
            let whole = file.metadata()?.len() / LINE as u64 * LINE as u64;
            file.set_len(whole)?;
            let flushed = file.try_clone()?;
            Ok((file, flushed))
        };
        let (file, flushed) = opened().map_err(Error::file(path))?;
        let (flush, wanted) = channel::<()>();
        let flusher = thread::spawn(move || {
            while wanted.recv().is_ok() {
                while wanted.try_recv().is_ok() {}
                flushed.sync_data()?;
            }
            Ok(())
        });
        Ok(Self { path: path.into(), file, flush, flusher })
    }

    /// Notes what happened to some numbers.
    pub(crate) fn note(&self, event: Event, numbers: &[Number]) -> Result<()> {
        let lines: String = numbers.iter().map(|number| line(event, *number)).collect();
        (&self.file).write_all(lines.as_bytes()).map_err(Error::file(&self.path))?;
        // A flusher that failed says so at the end.
        let _ = self.flush.send(());
        Ok(())
    }

    /// Waits until all of it is on the disk.
    pub(crate) fn close(self) -> Result<()> {
        let Self { path, flush, flusher, .. } = self;
        drop(flush);
        let flushed = flusher.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        flushed.map_err(Error::file(&path))
    }
}

fn line(event: Event, (channel, number): Number) -> String {
    let event = match event {
        Event::Sent => 's',
        Event::Acked => 'a',
    };
    format!("{event} {channel:02} {number:010}\n")
}

/// How many bytes the journal of so many messages has at least.
pub(crate) const fn bytes(messages: u64) -> u64 {
    messages * 2 * LINE as u64
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Noted(Vec<(Event, Number)>);

impl Noted {
    /// Reads a journal; one that isn't there is empty.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Self::parse(&bytes)
                .map_err(|line| Error::Journal { path: path.into(), line: line + 1 }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    /// The whole lines of a journal.
    ///
    /// # Errors
    /// The index of a line that is none.
    fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let lines = bytes.chunks_exact(LINE).enumerate();
        lines.map(|(at, line)| event(line).ok_or(at)).collect::<Result<_, _>>().map(Self)
    }

    /// What was acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<Number> {
        let acked = self.0.iter().filter(|(event, _)| *event == Event::Acked);
        acked.map(|(_, number)| *number).collect()
    }

    /// What was on its way when the journal ended: sent before the last acknowledgement came, and
    /// not acknowledged.
    pub(crate) fn on_the_way(&self) -> BTreeSet<Number> {
        let last = self.0.iter().rposition(|(event, _)| *event == Event::Acked).unwrap_or(0);
        self.unacknowledged(&self.0[..last])
    }

    /// What was sent after the last acknowledgement: it may not have left the producer.
    pub(crate) fn in_doubt(&self) -> BTreeSet<Number> {
        &self.unacknowledged(&self.0) - &self.on_the_way()
    }

    fn unacknowledged(&self, events: &[(Event, Number)]) -> BTreeSet<Number> {
        let sent = events.iter().filter(|(event, _)| *event == Event::Sent);
        let sent: BTreeSet<_> = sent.map(|(_, number)| *number).collect();
        &sent - &self.acknowledged()
    }

    /// What was sent again after it had been acknowledged.
    pub(crate) fn sent_again(&self) -> impl Iterator<Item = Number> {
        let mut acked = BTreeSet::new();
        self.0.iter().filter_map(move |(event, number)| match event {
            Event::Acked => {
                acked.insert(*number);
                None
            }
            Event::Sent => acked.contains(number).then_some(*number),
        })
    }
}

fn event(line: &[u8]) -> Option<(Event, Number)> {
    let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (event, rest) = line.split_once(' ')?;
    let (channel, number) = rest.split_once(' ')?;
    let event = match event {
        "s" => Event::Sent,
        "a" => Event::Acked,
        _ => return None,
    };
    Some((event, (channel.parse().ok()?, number.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::Event::{Acked, Sent};
    use super::*;

    #[test]
    fn what_was_noted_is_read_and_a_part_of_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert!(Noted::read(&path).unwrap().0.is_empty());
        let journal = Journal::open(&path).unwrap();
        journal.note(Sent, &[(0, 1), (12, 1)]).unwrap();
        journal.close().unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"a 00 00").unwrap();
        assert_eq!(Noted::read(&path).unwrap().0, [(Sent, (0, 1)), (Sent, (12, 1))]);

        let journal = Journal::open(&path).unwrap();
        journal.note(Acked, &[(12, 1)]).unwrap();
        journal.close().unwrap();
        let noted = Noted::read(&path).unwrap();
        assert_eq!(noted.0, [(Sent, (0, 1)), (Sent, (12, 1)), (Acked, (12, 1))]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 3 * LINE as u64);
    }

    #[test]
    fn on_the_way_is_what_was_sent_before_the_last_acknowledgement() {
        let noted = |events: &[(Event, u64)]| {
            Noted(events.iter().map(|(event, number)| (*event, (0, *number))).collect())
        };
        let split = |events: &[(Event, u64)]| {
            let noted = noted(events);
            let numbers =
                |all: BTreeSet<Number>| all.into_iter().map(|(_, n)| n).collect::<Vec<_>>();
            (numbers(noted.on_the_way()), numbers(noted.in_doubt()))
        };
        assert_eq!(split(&[(Sent, 1), (Sent, 2), (Acked, 1), (Sent, 3)]), (vec![2], vec![3]));
        assert_eq!(split(&[(Sent, 1), (Acked, 1), (Sent, 2)]), (vec![], vec![2]));
        assert_eq!(split(&[(Sent, 1)]), (vec![], vec![1]));
        let again = noted(&[(Sent, 1), (Sent, 1), (Acked, 1), (Sent, 1), (Sent, 2)]);
        assert_eq!(again.sent_again().collect::<Vec<_>>(), [(0, 1)]);
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        assert_eq!(Noted::parse(b"s 00 0000000001\nx 00 0000000001\n").map(|n| n.0), Err(1));
        assert_eq!(Noted::parse(b"s 00 0000000001\na 00 00000000-1\n").map(|n| n.0), Err(1));
    }

    proptest! {
        #[test]
        fn lines_are_read_as_they_were_written(
            events in proptest::collection::vec((any::<bool>(), 0_u32..100, 0_u64..10_000_000_000), 0..20),
        ) {
            let events: Vec<_> =
                events.iter().map(|(sent, c, n)| (if *sent { Sent } else { Acked }, (*c, *n))).collect();
            let text: String = events.iter().map(|(event, number)| line(*event, *number)).collect();
            prop_assert_eq!(bytes(events.len() as u64), 2 * text.len() as u64);
            prop_assert_eq!(Noted::parse(text.as_bytes()).map(|noted| noted.0), Ok(events));
        }
    }
}
