//! A transport of files: every channel is one that records are appended to, and the position of a
//! record is the byte at which it starts.
//!
//! It is small rather than fast: it reads and writes files on the runtime's threads, and its
//! readers look for new records every few milliseconds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::{Incarnation, Position, Record};
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, Fate,
    Limit, Outcome, ReadBatch, ReaderOptions, Receipt, Result, Risk, Start, Subscription,
    Transport, TransportError, TransportErrorKind as Kind,
};
use tokio::time::{Instant, sleep_until};

use crate::codec;

const MAX_PAYLOAD: usize = 1 << 20;
/// Files don't know that they were deleted and made again.
const EVERY_LIFE: Incarnation = Incarnation::UNKNOWN;
const SUFFIX: &str = ".log";
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A directory with a file for each channel.
#[derive(Clone, Debug)]
pub(crate) struct FileLog {
    directory: PathBuf,
    closed: Arc<AtomicBool>,
}

impl FileLog {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), closed: Arc::default() }
    }

    fn log(&self, operation: &'static str, channel: &str) -> Result<Log> {
        let fault = |kind| TransportError::new(operation, kind).on(channel);
        let reason = match channel {
            "" => "it is empty",
            name if name.len() + SUFFIX.len() > 255 => "it is over 251 bytes long",
            name if name.starts_with('.') => "it begins with a dot",
            name if name.contains(['/', '\\', '\0']) => "it has a slash or NUL in it",
            _ => {
                let path = self.directory.join(format!("{channel}{SUFFIX}"));
                let log = Log { channel: channel.to_owned(), path, closed: self.closed.clone() };
                return log.check_open(operation).map(|()| log);
            }
        };
        Err(fault(Kind::InvalidName { reason: reason.to_owned() }))
    }
}

/// One channel's file.
#[derive(Clone, Debug)]
struct Log {
    channel: String,
    path: PathBuf,
    closed: Arc<AtomicBool>,
}

impl Log {
    fn error(&self, operation: &'static str, kind: Kind) -> TransportError {
        TransportError::new(operation, kind).on(&*self.channel)
    }

    fn io(&self, operation: &'static str, error: io::Error) -> TransportError {
        let kind = match error.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::AlreadyExists => Kind::AlreadyExists,
            ErrorKind::StorageFull => Kind::Full { reason: "the disk is full".to_owned() },
            _ => Kind::Unavailable { reason: format!("file {}", self.path.display()) },
        };
        self.error(operation, kind).because(error)
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(self.error(operation, Kind::Closed)),
            false => Ok(()),
        }
    }

    /// Appends under a lock that all processes respect. What couldn't be written whole is undone.
    fn append(&self, records: &[Record]) -> io::Result<Vec<Position>> {
        let mut file = File::options().append(true).open(&self.path)?;
        file.lock()?;
        let end = file.seek(SeekFrom::End(0))?;
        let (mut bytes, mut positions) = (Vec::new(), Vec::new());
        for record in records {
            positions.push(Position::new(end + bytes.len() as u64));
            bytes.extend(codec::encode(record));
        }
        if let Err(error) = file.write_all(&bytes) {
            file.set_len(end)?;
            return Err(error);
        }
        Ok(positions)
    }

    /// The file from a place on. Nobody writes while it is read.
    fn read_from(&self, operation: &'static str, at: u64) -> Result<Bytes> {
        self.check_open(operation)?;
        let read = || {
            let mut file = File::open(&self.path)?;
            file.lock_shared()?;
            let length = file.seek(SeekFrom::End(0))?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(at.min(length)))?;
            file.read_to_end(&mut bytes)?;
            Ok((length, bytes))
        };
        let (length, bytes) = read().map_err(|e| self.io(operation, e))?;
        if at > length {
            let (position, end) = (Position::new(at), Position::new(length));
            return Err(self.error(operation, Kind::PositionBeyondEnd { position, end }));
        }
        Ok(bytes.into())
    }

    /// The place of the first record that a start asks for.
    fn resolve(&self, operation: &'static str, start: Start) -> Result<u64> {
        let file = self.read_from(operation, 0)?;
        let (position, after) = match start {
            Start::Earliest => return Ok(0),
            Start::Latest => return Ok(file.len() as u64),
            Start::At(position) => (position, false),
            Start::After(position) => (position, true),
            _ => return unsupported(operation, &self.channel, Capability::SeekTime),
        };
        let end = Position::new(file.len() as u64);
        if position > end {
            return Err(self.error(operation, Kind::PositionBeyondEnd { position, end }));
        }
        let mut at = 0;
        while let Some((record, next)) = codec::decode(&file, at) {
            if record.position > position || record.position == position && !after {
                break;
            }
            at = next;
        }
        Ok(at as u64)
    }
}

fn unsupported<T>(op: &'static str, channel: &str, capability: Capability) -> Result<T> {
    Err(TransportError::new(op, Kind::Unsupported { capability }).on(channel))
}

#[async_trait]
impl Transport for FileLog {
    fn capabilities(&self) -> Capabilities {
        use Capability::{BinaryHeaders, Create, Delete, Keys, List, SeekPosition};
        let can = [Create, Delete, List, SeekPosition, BinaryHeaders, Keys].into_iter();
        can.fold(Capabilities::none(), Capabilities::with).with_max_payload(MAX_PAYLOAD)
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let log = self.log("create", channel)?;
        if !options.properties.is_empty() {
            return unsupported("create", channel, Capability::Properties);
        }
        File::create_new(&log.path).map(drop).map_err(|e| log.io("create", e))
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let log = self.log("delete", channel)?;
        fs::remove_file(&log.path).map_err(|e| log.io("delete", e))
    }

    async fn trim(&self, channel: &str, _before: Position) -> Result<()> {
        unsupported("trim", channel, Capability::Trim)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(TransportError::new("list", Kind::Closed));
        }
        let unreadable = |error| {
            let reason = format!("directory {}", self.directory.display());
            TransportError::new("list", Kind::Unavailable { reason }).because(error)
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.file_name();
            let channel = file.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            names.extend(channel.filter(|name| name.starts_with(prefix)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let end = self.log("describe", channel)?.resolve("describe", Start::Latest)?;
        let first = (end > 0).then(Position::default);
        Ok(ChannelInfo::new(EVERY_LIFE, first, Position::new(end), BTreeMap::new()))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let log = self.log("writer", channel)?;
        log.read_from("writer", 0)?;
        Ok(Box::new(Writer { log, state: None }))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let log = self.log("reader", channel)?;
        if options.incarnation.is_some_and(|i| i != EVERY_LIFE) {
            return unsupported("reader", channel, Capability::Incarnations);
        }
        let next = log.resolve("reader", options.start)?;
        Ok(Box::new(Reader { log, next }))
    }

    async fn subscription(&self, channel: &str, _name: &str) -> Result<Arc<dyn Subscription>> {
        unsupported("subscription", channel, Capability::Subscriptions)
    }

    async fn unsubscribe(&self, channel: &str, _name: &str) -> Result<()> {
        unsupported("unsubscribe", channel, Capability::Subscriptions)
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        unsupported("subscriptions", channel, Capability::Subscriptions)
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.describe(channel).await.map(|_| Vec::new())
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        if position != Position::new(position.offset()) {
            let reason = format!("{position} is no place in a file, which is one number");
            return Err(TransportError::new("encode_position", Kind::Config { reason }));
        }
        Ok(offset_to_bytes(position).to_vec())
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        offset_from_bytes(bytes).map_err(|error| {
            let reason = "a place in a file is 8 bytes".to_owned();
            TransportError::new("decode_position", Kind::Config { reason }).because(error)
        })
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

/// Writes at once: no receipt is ever pending.
#[derive(Debug)]
struct Writer {
    log: Log,
    /// Why it takes nothing more: it is closed, or poisoned.
    state: Option<Kind>,
}

impl Writer {
    fn check_open(&self, operation: &'static str) -> Result<()> {
        self.log.check_open(operation)?;
        self.state.clone().map_or(Ok(()), |kind| Err(self.log.error(operation, kind)))
    }

    fn write(&self, records: &[Record]) -> Result<Vec<Position>> {
        self.check_open("submit")?;
        writable(records).map_err(|kind| self.log.error("submit", kind))?;
        self.log.append(records).map_err(|e| self.log.io("submit", e))
    }
}

fn writable(records: &[Record]) -> Result<(), Kind> {
    let too_large = records.iter().map(|record| record.payload.len()).find(|n| *n > MAX_PAYLOAD);
    too_large.map_or(Ok(()), |bytes| Err(Kind::TooLarge { bytes, limit: MAX_PAYLOAD }))
}

#[async_trait]
impl ChannelWriter for Writer {
    async fn ready(&mut self) -> Result<()> {
        self.check_open("ready")
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        writable(records).map_err(|kind| self.log.error("check", kind))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        Receipt::ready(match self.write(&records) {
            Ok(positions) => Outcome::stored(positions),
            Err(error) => {
                self.state.get_or_insert(Kind::Poisoned);
                Outcome::partial(Vec::new(), Fate::NotStored, error)
            }
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.state = Some(Kind::Closed);
        Ok(())
    }
}

#[derive(Debug)]
struct Reader {
    log: Log,
    next: u64,
}

impl Reader {
    /// What is there now, within the limit.
    fn batch(&mut self, limit: Limit) -> Result<ReadBatch> {
        let file = self.log.read_from("read", self.next)?;
        let (mut records, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
        while records.len() < limit.records.max(1)
            && let Some((mut record, next)) = codec::decode(&file, at)
        {
            record.position = Position::new(self.next + at as u64);
            records.push(record);
            ends.push(next);
            at = next;
        }
        records.truncate(limit.count(&records));
        let at = records.len().checked_sub(1).map_or(0, |last| ends[last]);
        self.next += at as u64;
        Ok(ReadBatch::new(records, Position::new(self.next), at == file.len()))
    }
}

#[async_trait]
impl ChannelReader for Reader {
    async fn read(&mut self, limit: Limit) -> Result<ReadBatch> {
        let deadline = Instant::now() + limit.wait;
        loop {
            let batch = self.batch(limit)?;
            let now = Instant::now();
            if !batch.records.is_empty() || now >= deadline {
                return Ok(batch);
            }
            sleep_until(deadline.min(now + LOOK_EVERY)).await;
        }
    }

    async fn seek(&mut self, start: Start) -> Result<()> {
        self.next = self.log.resolve("seek", start)?;
        Ok(())
    }

    fn incarnation(&self) -> Incarnation {
        EVERY_LIFE
    }
}
