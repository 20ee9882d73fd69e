//! Appending: the order in which records become durable, visible and acknowledged.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::Fate;

use super::{Batch, Held, Log, Rules, SyncMode};
use crate::disk::{DiskFile, write_parts};
use crate::error::{Result, damaged, failed};
use crate::format::frame::Frame;
use crate::format::published::Published;
use crate::format::segment;
use crate::planted::{Bug, planted};

/// Offsets are reserved in blocks of so many.
const BLOCK: u64 = 1 << 20;

/// What a writer knows from its commits.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    /// Offsets before this one are reserved: it made sure itself.
    reserved: u64,
}

/// What became of a commit.
pub(crate) type Appended = Result<(), (Fate, Failure)>;

impl Log {
    /// Appends batches, and calls a function with the offset of the first record once they count.
    /// They are appended whole or not at all.
    pub(crate) fn append(
        &self,
        held: &Held,
        writing: &mut Writing,
        batches: &mut [Batch],
        rules: &Rules,
        acknowledge: impl FnOnce(Range<u64>),
    ) -> Appended {
        let count: u64 = batches.iter().map(Batch::count).sum();
        let prepared = self.prepare(held, writing, count, rules);
        let (mut published, file) = prepared.map_err(|failure| (Fate::NotStored, failure))?;

        let first = published.end;
        let time = self.disk.now().max(published.time);
        let like = Frame { time, durable: published.durable, ..Frame::default() };
        let written = write(&*file, batches, first, published.byte, like);
        let bytes = written.map_err(|error| self.take_back(&published, &*file, error))?;

        let before = published;
        published.byte += bytes;
        published.end += count;
        published.time = time;
        let unknown = |failure| (Fate::Unknown, failure);
        if planted(Bug::PublishBeforeSync) {
            self.publish(held, &mut published).map_err(unknown)?;
        }
        if rules.sync == SyncMode::Commit && !planted(Bug::NoSync) {
            self.sync(&before, &*file).map_err(unknown)?;
            (published.durable, published.durable_byte) = (published.end, published.byte);
        }
        if planted(Bug::ReceiptsBeforePublish) {
            acknowledge(first..first + count);
            self.publish(held, &mut published).map_err(unknown)?;
            return Ok(());
        }
        self.publish(held, &mut published).map_err(unknown)?;
        acknowledge(first..first + count);
        Ok(())
    }

    /// Makes the log end where it is published to end, with a segment that takes the next records.
    fn prepare(
        &self,
        held: &Held,
        writing: &mut Writing,
        count: u64,
        rules: &Rules,
    ) -> Result<(Published, Arc<dyn DiskFile>)> {
        let mut published = self.recover(held)?;
        if rules.sync == SyncMode::Later {
            self.reserve(held, writing, published.end + count)?;
        }
        if self.is_full(&published, rules)? || self.is_begun(&published)? {
            let end = published.end;
            self.roll(held, &mut published, end)?;
            self.publish(held, &mut published)?;
            self.retain(held, &mut published, rules)?;
        }
        let file = self.segment_file(published.segment, true)?;
        let path = self.segment_path(published.segment);
        let length = file.length().map_err(failed("measure", &path))?;
        if length < published.byte {
            return Err(damaged(&path, length, "it ends here, before its published end"));
        }
        if length > published.byte && !planted(Bug::AdoptedTail) {
            // Whoever left it failed or was killed. The cut is durable before anything is
            // appended: else the remains could show up behind it after a power cut.
            let cut = || {
                file.cut(published.byte)?;
                file.sync()
            };
            cut().map_err(|error| {
                self.forget(published.segment);
                failed("cut", &path)(error)
            })?;
        }
        if length > published.byte && planted(Bug::AdoptedTail) {
            let tail = self.scan(published.segment, true)?;
            (published.byte, published.end) = (tail.byte, tail.end);
            (published.durable, published.durable_byte) = (tail.end, tail.byte);
        }
        Ok((published, file))
    }

    /// Returns whether somebody began the next segment, and was killed before it was published.
    ///
    /// Then nothing may be appended to this one: the next boot would take the other for the last
    /// one. It isn't removed, as a power cut could bring it back.
    fn is_begun(&self, published: &Published) -> Result<bool> {
        let next = self.segment_path(published.end);
        match self.disk.identity(&next) {
            Ok(_) => Ok(published.end > published.segment && !planted(Bug::BegunSegment)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look for", &next)(error)),
        }
    }

    /// Reserves offsets up to this one, durably.
    fn reserve(&self, held: &Held, writing: &mut Writing, end: u64) -> Result<()> {
        if writing.reserved >= end {
            return Ok(());
        }
        let mut bounds = self.bounds()?;
        if bounds.reserved < end {
            bounds.reserved = end + BLOCK;
        } else if planted(Bug::ShownReservation) {
            return Ok(());
        }
        // Though they may be there already: whoever wrote them may have failed, or was killed,
        // before they were durable.
        self.set_bounds(held, bounds)?;
        writing.reserved = bounds.reserved;
        Ok(())
    }

    /// Returns whether the next records go into a new segment: this one is large, or so old that
    /// retention waits for its end.
    fn is_full(&self, published: &Published, rules: &Rules) -> Result<bool> {
        if published.byte <= segment::HEADER as u64 {
            return Ok(false);
        }
        if published.byte >= rules.segment_bytes {
            return Ok(true);
        }
        let Some(age) = rules.max_age else { return Ok(false) };
        let began = self.first_time(published)?;
        Ok(self.disk.now().saturating_sub(began) > age.as_millis() as u64)
    }

    /// Makes a segment durable, beside what was published of it before. A failure is final: what
    /// was written since the last sync is given up, by this descriptor and by all others.
    fn sync(&self, published: &Published, file: &dyn DiskFile) -> Result<()> {
        let mut synced = self.write_again(file, published).and_then(|()| file.sync());
        if planted(Bug::RetriedSync) && synced.is_err() {
            synced = file.sync();
        }
        synced.map_err(|error| {
            self.forget(published.segment);
            failed("sync", &self.segment_path(published.segment))(error)
        })
    }

    /// Takes back what was written in part. If that is durable too, nothing is stored.
    fn take_back(
        &self,
        published: &Published,
        file: &dyn DiskFile,
        error: io::Error,
    ) -> (Fate, Failure) {
        let cut = file.cut(published.byte).and_then(|()| file.sync());
        let fate = match cut {
            Ok(()) => Fate::NotStored,
            Err(_) => {
                self.forget(published.segment);
                Fate::Unknown
            }
        };
        (fate, failed("write", &self.segment_path(published.segment))(error))
    }

    /// Makes durable what was published before, of the segment that is written; the others are.
    /// After a failure the writers of this channel fail.
    pub(crate) fn sync_published(&self, held: &Held) -> Result<()> {
        let mut published = self.recover(held)?;
        if published.durable == published.end {
            return Ok(());
        }
        let file = self.segment_file(published.segment, true)?;
        self.sync(&published, &*file)?;
        (published.durable, published.durable_byte) = (published.end, published.byte);
        self.publish(held, &mut published)
    }
}

/// Writes batches behind each other, and returns how many bytes they take.
fn write(
    file: &dyn DiskFile,
    batches: &mut [Batch],
    mut first: u64,
    byte: u64,
    like: Frame,
) -> io::Result<u64> {
    for batch in &mut *batches {
        batch.put_at(first, like);
        first += batch.count();
    }
    let mut parts: Vec<_> = batches.iter().flat_map(Batch::parts).map(IoSlice::new).collect();
    write_parts(file, &mut parts, byte)?;
    Ok(batches.iter().map(|batch| batch.size() as u64).sum())
}
