//! Opening a session: fences, the sequence numbers before them, and bases.

use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::confirm::{Home, Session};
use super::counts::Counts;
use super::ended::is_ended;
use super::retry::{Retry, deadline};
use super::scan::Scan;
use super::unacked::UnackedQueue;
use super::writer::{QueueWriter, Recovery};
use super::{Opened, SessionConfig};
use crate::dedup::{Control, Kind, vchannel};
use crate::error::{Error, Result};
use crate::record::{Meta, MsgType, Origin, Position, Record, Timestamp};
use crate::transport::{
    AT_A_TIME, ChannelWriter, Start, Transport, TransportError, TransportErrorKind,
    TransportExt as _, Unstored,
};

/// The greatest sequence number that a session continues from. No program counts this far, so a
/// greater one isn't the producer's own, and there is always room for those that follow.
const MOST: u64 = 1 << 62;

/// A session, the writers of its channels in their order, and where the producer stands.
pub(crate) type OpenSession = (Session, Vec<(Arc<str>, QueueWriter)>, Opened);

pub(crate) async fn open(
    transport: &Arc<dyn Transport>,
    config: SessionConfig,
    channels: &[&str],
    counts: &Counts,
    overtake_bytes: usize,
) -> Result<OpenSession> {
    config.check()?;
    if config.own_home {
        transport.create_if_missing(&config.home).await?;
    }
    let opener = Opener { writes: true, ..Opener::new(transport, config, counts) };
    opener.within(opener.open(channels, overtake_bytes)).await
}

/// Fences a producer that may still be writing: until it opens another session, nothing of it is
/// accepted on these channels from here on. Returns its last sequence numbers.
pub(super) async fn fence(
    transport: &Arc<dyn Transport>,
    config: SessionConfig,
    channels: &[&str],
) -> Result<Opened> {
    config.check()?;
    let opener = Opener::new(transport, config, &Counts::default());
    let fenced = opener.within(opener.fence_all(channels)).await?;
    Ok(fenced.opened(&opener.config, channels))
}

/// Returns an epoch between this one and any that begins later.
fn just_after(epoch: Position) -> Position {
    let mut words = epoch.words();
    for word in words.iter_mut().rev() {
        *word = word.wrapping_add(1);
        if *word > 0 {
            return Position::from_words(words);
        }
    }
    Position::MAX
}

struct Opener<'a> {
    transport: &'a Arc<dyn Transport>,
    config: SessionConfig,
    counts: Counts,
    deadline: Instant,
    /// A session is opened; otherwise channels are only fenced.
    writes: bool,
}

/// The epochs found on the home channel.
#[derive(Clone, Copy)]
struct Begun {
    epoch: Position,
    /// The epoch before.
    prior: Option<Position>,
}

/// A channel that was fenced and read up to the fence.
struct Entered {
    channel: Arc<str>,
    epoch: Position,
    last: u64,
    watermark: Timestamp,
    scan: Scan,
    writer: Box<dyn ChannelWriter>,
}

/// The home channel, and the others in their order.
struct Fenced {
    home: Entered,
    others: Vec<Entered>,
}

impl Fenced {
    fn opened(&self, config: &SessionConfig, channels: &[&str]) -> Opened {
        let all = self.others.iter().chain([&self.home]);
        let named = || all.clone().filter(|entered| channels.contains(&&*entered.channel));
        let last = named().map(|entered| (entered.channel.clone(), entered.last)).collect();
        let watermarks = named().map(|entered| (entered.channel.clone(), entered.watermark));
        let watermarks = watermarks.collect();
        Opened { producer: config.producer.clone(), epoch: self.home.epoch, last, watermarks }
    }
}

impl<'a> Opener<'a> {
    fn new(transport: &'a Arc<dyn Transport>, config: SessionConfig, counts: &Counts) -> Self {
        let deadline = deadline(Instant::now(), config.retry_for);
        Self { transport, config, counts: counts.clone(), deadline, writes: false }
    }

    /// Fails once the deadline has passed.
    async fn within<T>(&self, opening: impl Future<Output = Result<T>>) -> Result<T> {
        match timeout_at(self.deadline, opening).await {
            Ok(result) => result,
            Err(_) => {
                let kind = TransportErrorKind::TimedOut { after: self.config.retry_for };
                Err(TransportError::new("create_session", kind).on(&*self.config.home).into())
            }
        }
    }

    async fn open(&self, channels: &[&str], overtake_bytes: usize) -> Result<OpenSession> {
        let fenced = self.fence_all(channels).await?;
        let opened = fenced.opened(&self.config, channels);
        let producer = self.config.producer.clone();
        let origin = Arc::new(Origin { producer, epoch: opened.epoch });

        let (home, scan) = self.start(fenced.home, &origin, overtake_bytes);
        let shared = home.shared();
        let mut home = Some(home);
        let mut others = fenced.others.into_iter();
        let mut writers = Vec::with_capacity(channels.len());
        for channel in channels {
            let writer = if **channel == *self.config.home {
                home.take()
            } else {
                others.next().map(|entered| self.start(entered, &origin, overtake_bytes).0)
            };
            writers.extend(writer.map(|writer| (Arc::from(*channel), writer)));
        }
        let home = Home { shared, scan, writer: home };
        // A base on every channel, so that readers that begin in the middle know the number, too.
        let bases: Vec<_> = writers.iter().map(|(_, writer)| writer.shared().mark()).collect();
        for base in bases {
            if let Some(Unstored { error, .. }) = base.await.rest {
                return Err(error.into());
            }
        }
        self.counts.lock().opened += 1;
        let (producer, epoch) = (&*opened.producer, opened.epoch);
        tracing::info!(producer, %epoch, channels = channels.len(), "a session is open");
        let session = Session::new(origin, self.config.retry_for, self.counts.clone(), home);
        Ok((session, writers, opened))
    }

    fn start(
        &self,
        entered: Entered,
        origin: &Arc<Origin>,
        overtake_bytes: usize,
    ) -> (QueueWriter, Scan) {
        let Entered { channel, last, scan, writer, .. } = entered;
        let window_bytes = self.config.window_bytes;
        let (counts, watermark) = (self.counts.clone(), scan.seen.watermark());
        let queue = UnackedQueue::new(
            channel.clone(),
            Some(origin.clone()),
            last,
            watermark,
            overtake_bytes.min(window_bytes),
            Instant::now(),
            counts.clone(),
        );
        let recovery = Recovery {
            transport: self.transport.clone(),
            channel,
            incarnation: scan.incarnation(),
            retry_for: self.config.retry_for,
            counts,
        };
        (QueueWriter::start(recovery, queue, writer, window_bytes), scan)
    }

    /// Fences the home channel first. The position of its fence is the epoch, so the log decides
    /// which of two sessions that open at once is the newer one.
    async fn fence_all(&self, channels: &[&str]) -> Result<Fenced> {
        let at_home = channels.contains(&&*self.config.home);
        let home = self.enter(&self.config.home, None, at_home).await?;
        let begun = Some(Begun { epoch: home.epoch, prior: home.scan.seen.prior() });
        // Boxed: a future of this very type keeps the caller's from being `Send`.
        let others = channels.iter().filter(|channel| ***channel != *self.config.home);
        let others: Vec<_> = others.map(|c| self.enter(c, begun, true).boxed()).collect();
        let others = stream::iter(others).buffered(AT_A_TIME).try_collect().await?;
        Ok(Fenced { home, others })
    }

    /// Fences a channel and reads it up to the fence, if it has messages, for their last number.
    async fn enter(&self, channel: &str, begun: Option<Begun>, messages: bool) -> Result<Entered> {
        // The home channel is read from its beginning: only there a fence that voids the last epoch
        // is sure to be found.
        let can_seek = begun.is_some() && self.transport.capabilities().seek_time;
        let since = self.config.scan_since.filter(|_| can_seek);
        let start = since.map_or(Start::Earliest, Start::Time);
        let info = self.again(|| self.transport.describe(channel)).await?;
        // On a virtual channel it has sequence numbers of its own.
        let numbered = match info.physical {
            Some(_) => vchannel::numbered(&self.config.producer, channel),
            None => self.config.producer.clone(),
        };
        let mut scan = self.scan(channel, &numbered, start).await?;
        if info.first.is_some() {
            scan.read_to_end(info.end, self.deadline).await?;
        }
        let writes = self.writes && messages;
        if writes {
            self.not_ended(channel, scan.seen.has_ended(), since.is_some()).await?;
        }
        let watermark = scan.seen.watermark();
        let epoch = match begun {
            Some(begun) => Some(begun.epoch),
            None if self.writes => None,
            // Not its own position: a session that begins meanwhile must be newer than this fence.
            None => scan.seen.newest().map(just_after),
        };
        let (fence, writer) = self.fence(channel, watermark, epoch).await?;
        scan.read_to(fence, self.deadline).await?;
        let prior = begun.and_then(|begun| begun.prior);
        if since.is_some() && !scan.seen.is_enough(prior) {
            self.counts.lock().scans_restarted += 1;
            scan = self.scan(channel, &numbered, Start::Earliest).await?;
            scan.read_to(fence, self.deadline).await?;
        }
        if writes && scan.seen.has_ended() {
            self.not_ended(channel, scan.seen.has_ended(), since.is_some()).await?;
        }
        let epoch = epoch.unwrap_or(fence);
        // For a call that only fences, a newer epoch on another channel is as good.
        let matters = self.writes || begun.is_none();
        let fenced = |scan: &Scan| match scan.seen.newest() {
            Some(by) if matters && by > epoch => {
                self.counts.lock().fenced += 1;
                Err(Error::Fenced { producer: self.config.producer.to_string(), epoch, by })
            }
            _ => Ok(()),
        };
        fenced(&scan)?;
        if messages && scan.seen.is_unclear() {
            // What a session was opened with after this fence may be kept, and all before it deleted.
            let (fence, _) = self.fence(channel, watermark, Some(epoch)).await?;
            scan.read_to(fence, self.deadline).await?;
            fenced(&scan)?;
            let (channel, producer) = (channel.to_owned(), self.config.producer.to_string());
            return Err(Error::NumbersLost { channel, producer });
        }
        let last = scan.seen.last().unwrap_or(0);
        if writes && last > MOST {
            let (channel, producer) = (channel.to_owned(), self.config.producer.to_string());
            return Err(Error::NumbersSpent { channel, producer, last });
        }
        let prior = if begun.is_some() { prior } else { scan.seen.prior() };
        let watermark = scan.seen.promised(prior);
        Ok(Entered { channel: channel.into(), epoch, last, watermark, scan, writer })
    }

    /// Refuses a channel that has ended: nothing that follows an end is ever delivered. If only a
    /// part was read, the end, or a fence that voids it, may be before that part.
    async fn not_ended(&self, channel: &str, seen: bool, part: bool) -> Result<()> {
        let ended = match part {
            true => self.again(|| is_ended(&**self.transport, channel)).await?,
            false => seen,
        };
        if ended { Err(Error::Ended { channel: channel.to_owned() }) } else { Ok(()) }
    }

    async fn scan(&self, channel: &str, numbered: &Arc<str>, start: Start) -> Result<Scan> {
        let reader = self.again(|| self.transport.reader(channel, start)).await?;
        Ok(Scan::new(reader, numbered.clone()))
    }

    /// Writes fences until one is acknowledged: the last one counts. If an earlier one was stored
    /// after all, it is older; if it is stored later, it is newer, and found when the log is read.
    async fn fence(
        &self,
        channel: &str,
        watermark: Timestamp,
        epoch: Option<Position>,
    ) -> Result<(Position, Box<dyn ChannelWriter>)> {
        let mut nonce = 0;
        let fence = || {
            nonce += 1;
            let mut record = Record::new(Meta::new(MsgType::TIME_TICK, watermark), Vec::new());
            let (producer, kind) = (self.config.producer.clone(), Kind::Fence { nonce });
            Control { producer, epoch, kind }.write(&mut record);
            self.append(channel, record)
        };
        self.again(fence).await
    }

    async fn append(
        &self,
        channel: &str,
        record: Record,
    ) -> Result<(Position, Box<dyn ChannelWriter>), TransportError> {
        let mut writer = self.transport.writer(channel).await?;
        writer.ready().await?;
        self.counts.lock().fences_sent += 1;
        let outcome = writer.submit(vec![record]).await;
        match (outcome.stored.first(), outcome.rest) {
            (Some(position), _) => Ok((*position, writer)),
            (None, Some(rest)) => Err(rest.error),
            (None, None) => {
                let kind = TransportErrorKind::Protocol { reason: "no position".to_owned() };
                Err(TransportError::new("submit", kind).on(channel))
            }
        }
    }

    /// Tries an operation again until the deadline.
    async fn again<T, F>(&self, mut operation: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let mut retry = Retry::default();
        loop {
            match operation().await {
                Ok(done) => return Ok(done),
                Err(error) => retry.pause(error, self.deadline).await?,
            }
        }
    }
}
