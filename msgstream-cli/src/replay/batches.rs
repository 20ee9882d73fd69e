//! Rows to batches of messages, with the ticks between them. Runs on a thread of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use msgstream::message::{Message, hash_str};
use msgstream::{Timestamp, produce::TimeTicker};
use tokio::sync::mpsc::Sender;

use super::rows::{BadRow, RowOrBad, Rows};
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::row::Row;

/// At most so many rows in a batch.
const ROWS: usize = 512;

/// Rows to produce, and what follows them on every channel.
pub(crate) struct Batch {
    pub(crate) rows: Vec<Message>,
    pub(crate) then: Then,
}

/// What follows a batch.
pub(crate) enum Then {
    Rows,
    Tick(Timestamp),
    End(Timestamp),
}

/// Makes batches of all rows. A tick is due right after the row that moves it, so that the ticks
/// depend on nothing but the rows.
pub(crate) struct Batches {
    pub(crate) rows: Rows,
    pub(crate) ticker: TimeTicker,
    pub(crate) bad_rows: Option<BadRows>,
    pub(crate) tally: Arc<Tally>,
}

impl Batches {
    /// Sends all batches, until there are no more or nobody takes them.
    pub(crate) fn run(mut self, batches: &Sender<Batch>) -> Result<()> {
        let mut rows = Vec::with_capacity(ROWS);
        loop {
            let then = match self.rows.next()? {
                None => break,
                Some(RowOrBad::Bad(bad)) => {
                    self.tally.read.fetch_add(1, Relaxed);
                    match &mut self.bad_rows {
                        Some(aside) => aside.write(&bad)?,
                        None => return Err(refused(bad)),
                    }
                    self.tally.bad.fetch_add(1, Relaxed);
                    continue;
                }
                Some(RowOrBad::Row(row)) => {
                    self.tally.read.fetch_add(1, Relaxed);
                    let body = Row::new(row.columns, row.fields)?;
                    let (hash, key) = (hash_str(row.key), Some(row.key.to_owned()));
                    rows.push(body.into_message(row.place, row.ts, hash, key)?.into());
                    self.ticker.observe(row.ts).map_or(Then::Rows, Then::Tick)
                }
            };
            if rows.len() >= ROWS || matches!(then, Then::Tick(_)) {
                let rows = std::mem::replace(&mut rows, Vec::with_capacity(ROWS));
                if batches.blocking_send(Batch { rows, then }).is_err() {
                    return Ok(());
                }
            }
        }
        let end = self.ticker.finish().or(self.ticker.last()).unwrap_or_default();
        // Nobody takes it where the run has stopped already.
        drop(batches.blocking_send(Batch { rows, then: Then::End(end) }));
        Ok(())
    }
}

fn refused(bad: BadRow<'_>) -> Error {
    Error::BadRow { path: bad.file.to_owned(), line: bad.line, reason: bad.reason }
}

/// The file for rows that can't be used.
pub(crate) struct BadRows {
    file: csv::Writer<File>,
    path: PathBuf,
}

impl BadRows {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut this = match File::create(path) {
            Ok(file) => Self { file: csv::Writer::from_writer(file), path: path.to_owned() },
            Err(source) => return Err(Error::Write { path: path.to_owned(), source }),
        };
        this.record(&[b"file", b"line", b"reason", b"raw"])?;
        Ok(this)
    }

    fn write(&mut self, bad: &BadRow<'_>) -> Result<()> {
        let file = bad.file.to_string_lossy();
        let line = bad.line.to_string();
        self.record(&[file.as_bytes(), line.as_bytes(), bad.reason.as_bytes(), bad.raw])
    }

    /// Writes a record through to the file: such rows are few, and not to be lost.
    fn record(&mut self, fields: &[&[u8]]) -> Result<()> {
        let written = self.file.write_record(fields).map_err(std::io::Error::from);
        let flushed = written.and_then(|()| self.file.flush());
        flushed.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}
