//! Compares the packs of both sides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use msgstream::consume::LatePolicy;
use msgstream::message::{Message, StoredMessage};
use msgstream::transport::Transport;
use msgstream::{Consumer, MsgPack, MsgType, Timestamp};
use tokio::time::timeout;

use super::fields::difference;
use super::{Differences, last_end};
use crate::copy::place::Place;
use crate::error::Result;

/// For how long a pack that must be there is waited for.
const WAIT: Duration = Duration::from_secs(60);

/// What was compared.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) packs: u64,
    /// The messages of each channel that are in these packs of the source.
    pub(super) messages: BTreeMap<Arc<str>, u64>,
}

pub(super) async fn compare_packs(
    source: &Arc<dyn Transport>,
    destination: &Arc<dyn Transport>,
    ends: &[Place],
    skip_unreadable: bool,
    differences: &mut Differences,
) -> Result<Compared> {
    let mut compared = Compared::default();
    let Some(last) = last_end(ends) else { return Ok(compared) };
    let mut expected = Packs::open(source, ends, last).await?;
    let mut found = Packs::open(destination, ends, last).await?;
    loop {
        let (source, copy) = tokio::try_join!(expected.next(), found.next())?;
        let (source, copy) = match (source, copy) {
            (Some(source), Some(copy)) => (source, copy),
            (Some(pack), None) => {
                differences.add(format!("the copy has no pack up to {}", pack.end_ts));
                return Ok(compared);
            }
            (None, Some(pack)) => {
                differences.add(format!("the source has no pack up to {}", pack.end_ts));
                return Ok(compared);
            }
            (None, None) => return Ok(compared),
        };
        compared.packs += 1;
        let messages: Vec<_> = stored(&source)
            .filter(|m| !skip_unreadable || m.record.meta.msg_type != MsgType::UNREADABLE)
            .collect();
        for message in &messages {
            *compared.messages.entry(message.channel.clone()).or_default() += 1;
        }
        compare(&source, &messages, &copy, differences);
    }
}

fn compare(
    source: &MsgPack,
    messages: &[&StoredMessage],
    copy: &MsgPack,
    differences: &mut Differences,
) {
    let end = source.end_ts;
    if (source.begin_ts, end) != (copy.begin_ts, copy.end_ts) {
        differences.add(format!(
            "after {}: the source has a pack up to {end}, the copy one up to {}",
            source.begin_ts.map_or_else(|| "the start".to_owned(), |begin| begin.to_string()),
            copy.end_ts
        ));
    }
    if messages.len() != copy.msgs.len() {
        let (expected, found) = (messages.len(), copy.msgs.len());
        differences
            .add(format!("up to {end}: the source has {expected} messages, the copy {found}"));
    }
    for (expected, found) in messages.iter().zip(stored(copy)) {
        if let Some(what) = difference(expected, found) {
            let (at, copied) = (expected.record.position, found.record.position);
            let channel = &expected.channel;
            differences.add(format!(
                "up to {end}: the {what} of the message at {at} of `{channel}` and of that at {copied} of the copy"
            ));
        }
    }
}

fn stored(pack: &MsgPack) -> impl Iterator<Item = &StoredMessage> {
    pack.msgs.iter().filter_map(Message::stored)
}

/// The packs of one side, up to an end.
struct Packs {
    consumer: Consumer,
    last: Timestamp,
    done: bool,
}

impl Packs {
    async fn open(broker: &Arc<dyn Transport>, ends: &[Place], last: Timestamp) -> Result<Self> {
        let channels = ends.iter().map(|end| &*end.channel);
        let builder = Consumer::builder(broker.clone()).channels(channels);
        let consumer = builder.late_policy(LatePolicy::Deliver).open().await?;
        Ok(Self { consumer, last, done: false })
    }

    /// Returns the next pack; `None` if there is no more.
    async fn next(&mut self) -> Result<Option<MsgPack>> {
        if self.done {
            return Ok(None);
        }
        // A side that lacks a tick would wait for it for ever.
        let next = timeout(WAIT, self.consumer.next_pack()).await;
        let pack = next.unwrap_or(Ok(None))?.filter(|pack| pack.end_ts <= self.last);
        self.done = pack.as_ref().is_none_or(|pack| pack.end_ts == self.last);
        Ok(pack)
    }
}
