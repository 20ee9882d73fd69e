//! The copy's side: its channels, its session, and its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use msgstream::message::{Message, MsgPack};
use msgstream::produce::{InSession, Opened, SessionConfig};
use msgstream::record::{Record, Stamp};
use msgstream::repack::{HashKeys, RepackError, Repacked};
use msgstream::transport::{Start, Transport, TransportExt as _};
use msgstream::{Error as StreamError, Producer, Timestamp};

use super::error::CopyError;
use super::place::{Place, Places};
use super::reading::{PATIENCE, Reading};
use crate::error::Result;

/// By how much the clock of this machine may be ahead of that of the destination: a session that begins
/// to read behind the copy's last ticks may number messages anew.
const CLOCKS: Duration = Duration::from_secs(3600);

/// The name of a copy: the id of its session's producer. It follows from the names of the channels,
/// because those decide which channels at the destination are the copy's.
pub(super) struct Name {
    producer: String,
    pub(super) home: Arc<str>,
}

impl Name {
    pub(super) fn of(channels: &BTreeSet<Arc<str>>) -> Self {
        // FNV-1a: the same in every version. No channel's name has a zero byte.
        let bytes = channels.iter().flat_map(|channel| channel.bytes().chain([0]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let producer = format!("copy-{hash:016x}");
        let home = format!("{producer}.home").into();
        Self { producer, home }
    }

    /// Returns whether the copy wrote a record.
    fn wrote(&self, record: &Record) -> bool {
        let control = || record.header(Stamp::HEADER)?.strip_prefix(self.producer.as_bytes());
        match &record.meta.stamp {
            Some(stamp) => *stamp.origin.producer == self.producer,
            None => control().is_some_and(|rest| rest.starts_with(b";")),
        }
    }
}

/// Creates a channel, or checks that it is empty or the copy's. Nothing is written to it.
pub(super) async fn prepare(broker: &dyn Transport, channel: &str, name: &Name) -> Result<()> {
    if broker.create_if_missing(channel).await? {
        return Ok(());
    }
    let info = broker.describe(channel).await?;
    if info.first.is_none() {
        return Ok(());
    }
    // Before anything else, a session writes a fence. All records are the copy's, or none.
    let reader = broker.reader(channel, Start::Earliest).await?;
    let mut reading = Reading::new(reader, Some(info.end));
    loop {
        let (batch, last) = reading.next().await?;
        match batch.records.first() {
            Some(first) if name.wrote(first) => return Ok(()),
            Some(_) => return Err(CopyError::Foreign { channel: channel.to_owned() }.into()),
            None if last => return Ok(()),
            None => {}
        }
    }
}

/// A session at the destination, and what it found there.
pub(super) struct Entered {
    pub(super) producer: Producer<InSession>,
    pub(super) places: BTreeMap<Arc<str>, Place>,
    /// The channels whose end is copied, and with it all of them.
    pub(super) ended: BTreeSet<Arc<str>>,
}

impl Entered {
    /// Returns how many messages of a channel are stored.
    pub(super) fn stored(&self, channel: &str) -> u64 {
        let Opened { last, .. } = self.producer.opened();
        last.get(channel).copied().unwrap_or_default()
    }

    /// Fails if what is stored isn't what the places say.
    fn check(self, name: &Name) -> Result<Self> {
        let home = name.home.to_string();
        let open = self.places.values().filter(|place| !self.ended.contains(&place.channel));
        for Place { channel, messages, .. } in open {
            let (stored, messages) = (self.stored(channel), *messages);
            if stored < messages {
                let channel = channel.to_string();
                return Err(CopyError::Short { channel, stored, messages, home }.into());
            }
        }
        let mut stored = self.producer.opened().last.iter().filter(|(_, stored)| **stored > 0);
        let placed =
            |channel: &Arc<str>| *channel == name.home || self.places.contains_key(channel);
        if let Some((channel, stored)) = stored.find(|(channel, _)| !placed(channel)) {
            let (channel, stored) = (channel.to_string(), *stored);
            return Err(CopyError::NoPlace { channel, stored, home }.into());
        }
        Ok(self)
    }
}

/// Opens the copy's session: an earlier run that is still there writes nothing more that counts.
pub(super) async fn enter(
    broker: &Arc<dyn Transport>,
    name: &Name,
    channels: &BTreeSet<Arc<str>>,
) -> Result<Entered> {
    let mut places = Places::open(&**broker, name.home.clone()).await?;
    places.read_to_end().await?;
    let since = places.newest.values().map(|place| place.since).max();
    let since = since.map(|since| Timestamp(since.0.saturating_sub(Timestamp::span(CLOCKS))));
    open(broker, name, channels, places, since).await?.check(name)
}

async fn open(
    broker: &Arc<dyn Transport>,
    name: &Name,
    channels: &BTreeSet<Arc<str>>,
    mut places: Places,
    since: Option<Timestamp>,
) -> Result<Entered> {
    let mut session = SessionConfig::new(&*name.producer).with_retry_for(PATIENCE);
    if let Some(since) = since {
        session = session.with_scan_since(since);
    }
    let done = places.newest.values().filter(|place| place.state.ended);
    let mut ended: BTreeSet<_> = done.map(|place| place.channel.clone()).collect();
    let producer = loop {
        let open = channels.iter().filter(|channel| !ended.contains(*channel));
        let open: Vec<_> = open.chain([&name.home]).cloned().collect();
        let builder = Producer::builder(broker.clone()).channels(open.iter().map(|c| &**c));
        // What is late in the source is late in the copy.
        let builder = builder.allow_late();
        match builder.repack(to_their_channel(open)).session(session.clone()).open().await {
            // Only the copy writes there, and it writes the end last.
            Err(StreamError::Ended { channel }) if channels.contains(&*channel) => {
                ended.insert(channel.into());
            }
            opened => break opened?,
        }
    };
    places.read_to(producer.opened().epoch).await?;
    Ok(Entered { producer, places: places.newest, ended })
}

/// Returns a repack that sends messages, all of one channel, to the channel of the same name.
fn to_their_channel(
    channels: Vec<Arc<str>>,
) -> impl Fn(Vec<Message>, &HashKeys, usize) -> Result<Repacked, RepackError> {
    move |msgs, _, _| {
        let named = msgs.first().and_then(Message::channel);
        let at = channels.iter().position(|channel| Some(&**channel) == named);
        Ok(at.map(|at| (at, MsgPack::new(msgs))).into_iter().collect())
    }
}
