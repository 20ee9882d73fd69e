//! What the checks look at, gathered once.

mod read;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use msgstream::Timestamp;
use msgstream::checkpoint::{Checkpoint, Mark};
use msgstream::record::{Incarnation, Position};
use msgstream::transport::{
    ChannelInfo, Risk, Start, Transport, TransportError, TransportErrorKind,
};

use self::read::{first_at, is_trimmed, read};
use super::DoctorArgs;
use crate::error::{Error, Result};
use crate::home::is_home;
use crate::judge::{Log, Place, is_control};
use crate::repair_ticks::is_there;

/// If the last tick was stored this long after its time, event time doesn't follow the clock: what is
/// written is history.
const LIVE: Duration = Duration::from_secs(3600);

/// All that the checks look at.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) max_lag: Duration,
    pub(super) max_ahead: Duration,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The channels that could be read.
    pub(super) channels: Vec<Channel>,
    /// The others.
    pub(super) failed: Vec<(String, TransportError)>,
}

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) info: ChannelInfo,
    pub(super) log: Log,
    /// It is a home channel: no pack waits for it.
    pub(super) home: bool,
    /// The channel that `repair-ticks` made of it, if that is there.
    pub(super) repaired: Option<String>,
    /// All records were read.
    pub(super) whole: bool,
    /// Its ticks follow the clock.
    pub(super) live: bool,
    /// The subscriptions that it has, looked at or not.
    subscriptions: Vec<String>,
    pub(super) cursors: Vec<Cursor>,
    pub(super) mark: Option<Mark>,
    /// The time of the record at which the checkpoint resumes.
    pub(super) resume_ts: Option<Timestamp>,
    /// What the broker's settings may lead to.
    pub(super) risks: Vec<Risk>,
}

/// A subscription of a channel.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) name: String,
    pub(super) acked: Option<Position>,
    /// The time of the first record that isn't acknowledged; `None` if there is none.
    pub(super) next_ts: Option<Timestamp>,
}

impl Facts {
    pub(super) async fn gather(broker: &dyn Transport, args: &DoctorArgs) -> Result<Self> {
        let checkpoint = match &args.checkpoint {
            Some(path) => Some(checkpoint(path).await?),
            None => None,
        };
        let named = match (&checkpoint, args.channels.is_empty()) {
            (_, false) => args.channels.clone(),
            (Some(checkpoint), true) => checkpoint.channels.keys().map(|c| c.to_string()).collect(),
            (None, true) => broker.list("").await?,
        };
        if named.is_empty() {
            return Err(Error::NoChannels { homes: 0 });
        }
        if let (Some(checkpoint), Some(path)) = (&checkpoint, &args.checkpoint) {
            check_channels(checkpoint, path, &named)?;
        }
        let now = Timestamp::from_system_time(SystemTime::now()).unwrap_or(Timestamp::MIN);
        let (max_lag, max_ahead) = (args.max_lag, args.max_ahead);
        let mut facts =
            Self { now, max_lag, max_ahead, checkpoint, channels: Vec::new(), failed: Vec::new() };
        for channel in named {
            match facts.channel(broker, args, &channel).await {
                Ok(channel) => facts.channels.push(channel),
                Err(Error::Transport(error)) if !error.is_temporary() => {
                    facts.failed.push((channel, error));
                }
                Err(error) => return Err(error),
            }
        }
        facts.check_names(&args.subscriptions)?;
        Ok(facts)
    }

    /// Fails if there is a name among these that no channel has a subscription of.
    fn check_names(&self, names: &[String]) -> Result<()> {
        // One that couldn't be read may have it.
        if !self.failed.is_empty() {
            return Ok(());
        }
        let all = self.channels.iter().flat_map(|channel| &channel.subscriptions).cloned();
        let known: BTreeSet<String> = all.collect();
        match names.iter().find(|name| !known.contains(*name)) {
            Some(name) => Err(Error::NoSubscription {
                name: name.clone(),
                known: known.into_iter().collect(),
            }),
            None => Ok(()),
        }
    }

    async fn channel(
        &self,
        broker: &dyn Transport,
        args: &DoctorArgs,
        name: &str,
    ) -> Result<Channel> {
        let info = broker.describe(name).await?;
        let limit = Timestamp(self.now.0.saturating_add(Timestamp::span(self.max_ahead)));
        let (log, whole) = read(broker, name, &info, limit, args.scan).await?;
        let live = match log.watermark {
            Some(tick) => self.is_live(broker, name, tick).await?,
            None => false,
        };
        let home = log.watermark.is_none() && is_home(broker, name).await?;
        let repaired = match &log.repaired {
            Some(into) => is_there(broker, into).await?.then(|| into.clone()),
            None => None,
        };
        let subscriptions = match broker.capabilities().subscriptions {
            true => broker.subscriptions(name).await?,
            false => Vec::new(),
        };
        let wanted = match args.subscriptions.is_empty() {
            true => subscriptions.clone(),
            // Nobody consumes a home channel.
            false if home => Vec::new(),
            false => args.subscriptions.clone(),
        };
        let cursors = cursors(broker, name, &subscriptions, wanted).await?;
        let mark = self.checkpoint.as_ref().and_then(|all| all.channels.get(name)).cloned();
        let resume_ts = match &mark {
            Some(mark) if is_here(mark, &info) => {
                time_at(broker, name, Start::At(mark.resume)).await?
            }
            _ => None,
        };
        let (risks, name) = (broker.risks(name).await?, name.to_owned());
        Ok(Channel {
            name,
            info,
            log,
            home,
            repaired,
            whole,
            live,
            subscriptions,
            cursors,
            mark,
            resume_ts,
            risks,
        })
    }

    /// Returns whether the last tick of a channel was stored at about its time.
    async fn is_live(&self, broker: &dyn Transport, channel: &str, tick: Place) -> Result<bool> {
        let by = Timestamp(tick.ts.0.saturating_add(Timestamp::span(LIVE)));
        if by >= self.now || !broker.capabilities().seek_time {
            return Ok(true);
        }
        let later = first_at(broker, channel, Start::Time(by), |_| true).await?;
        Ok(later.is_none_or(|record| record.position > tick.position))
    }

    /// Returns the channels that packs are formed of.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Channel> + Clone {
        self.channels.iter().filter(|channel| !channel.home)
    }

    /// Returns how long ago a time was, in event time.
    pub(super) fn age(&self, ts: Timestamp) -> Duration {
        between(ts, self.now)
    }
}

impl Channel {
    /// Returns the watermark.
    pub(super) fn watermark(&self) -> Option<Timestamp> {
        self.log.watermark.map(|tick| tick.ts)
    }
}

/// Returns where subscriptions of a channel stand, of which these are there.
async fn cursors(
    broker: &dyn Transport,
    channel: &str,
    there: &[String],
    wanted: Vec<String>,
) -> Result<Vec<Cursor>> {
    let mut cursors = Vec::new();
    for name in wanted {
        // One that isn't there would be made.
        let acked = match there.contains(&name) {
            true => broker.subscription(channel, &name).await?.acked().await?,
            false => None,
        };
        let next_ts = time_at(broker, channel, acked.map_or(Start::Earliest, Start::At)).await?;
        cursors.push(Cursor { name, acked, next_ts });
    }
    Ok(cursors)
}

/// Returns up to where packs of some channels can be formed. Those that have ended hold nothing back.
pub(super) fn reach<'a>(channels: impl Iterator<Item = &'a Channel> + Clone) -> Option<Timestamp> {
    let ended = channels.clone().all(|channel| channel.log.ended);
    let watermarks = channels.filter(|channel| channel.log.ended == ended).map(Channel::watermark);
    if ended { watermarks.max() } else { watermarks.min() }?
}

/// Returns how far a time is behind another one.
pub(super) fn between(ts: Timestamp, later: Timestamp) -> Duration {
    Duration::from_millis(later.physical_ms().saturating_sub(ts.physical_ms()))
}

/// Returns whether a mark's place is in the channel.
pub(super) fn is_here(mark: &Mark, info: &ChannelInfo) -> bool {
    let known = [mark.incarnation.unwrap_or(Incarnation::UNKNOWN), info.incarnation];
    let same = known[0] == known[1] || known.contains(&Incarnation::UNKNOWN);
    let first = info.first.unwrap_or(info.end);
    same && (first..=info.end).contains(&mark.resume)
}

/// Returns the time of the first record from a start on that has one of its own.
async fn time_at(broker: &dyn Transport, channel: &str, start: Start) -> Result<Option<Timestamp>> {
    match first_at(broker, channel, start, |record| !is_control(record)).await {
        Ok(record) => Ok(record.map(|record| record.meta.timestamp)),
        // The checks tell of it.
        Err(error) if is_lost(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_lost(error: &TransportError) -> bool {
    let beyond = matches!(error.kind(), TransportErrorKind::PositionBeyondEnd { .. });
    beyond || is_trimmed(error)
}

/// Fails if a checkpoint has none of these channels: it says nothing of them.
fn check_channels(checkpoint: &Checkpoint, path: &Path, channels: &[String]) -> Result<()> {
    if channels.iter().any(|channel| checkpoint.channels.contains_key(&**channel)) {
        return Ok(());
    }
    let has = checkpoint.channels.keys().map(ToString::to_string).collect();
    Err(Error::OtherCheckpoint { path: path.to_owned(), has })
}

/// Returns the checkpoint in a file.
async fn checkpoint(path: &Path) -> Result<Checkpoint> {
    use msgstream::checkpoint::{CheckpointStore as _, FileStore};
    let stored = FileStore::new(path).load().await?;
    let checkpoint = stored.and_then(|stored| stored.checkpoint);
    checkpoint.ok_or_else(|| Error::NoCheckpoint { path: path.to_owned() })
}
