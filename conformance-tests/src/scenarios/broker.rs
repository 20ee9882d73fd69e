//! Restarts and kills of the broker, through the harness's hooks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use msgstream_core::record::Record;
use msgstream_core::transport::{Capability, ChannelReader, Limit, Start, Transport};

use crate::harness::Broker;
use crate::kit::{
    Numbers, all, append, channel, numbers, positions, read_from, reader, record, strictly_grow,
    what_is_left, write,
};
use crate::scenario::Need::{self, Can};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["broker":
    what_is_persistent_survives_a_restart [Need::Broker, Can(Capability::Persistent)],
    what_was_trimmed_stays_removed_over_a_restart [
        Need::Broker, Can(Capability::Persistent), Can(Capability::Trim)
    ],
    a_kill_after_a_trim_takes_nothing_else [
        Need::Broker, Can(Capability::Persistent), Can(Capability::Trim)
    ],
    a_reader_goes_on_over_a_restart [Need::Broker, Can(Capability::Persistent)],
    nothing_acknowledged_is_lost_over_restarts [Need::Broker, Can(Capability::Persistent)],
    nothing_acknowledged_is_lost_over_kills [Need::Broker, Can(Capability::Persistent)],
];

// Between two looks at something that has no event.
const PAUSE: Duration = Duration::from_millis(10);

fn hooks(harness: &dyn Harness) -> Result<&dyn Broker, Failure> {
    harness.broker().ok_or_else(|| Failure::new("the scenario needs hooks into the broker"))
}

#[derive(Clone, Copy)]
enum Outage {
    Restart,
    Kill,
}

impl Outage {
    async fn happen(self, harness: &dyn Harness) -> Verdict {
        let broker = hooks(harness)?;
        let done = match self {
            Self::Restart => broker.restart().await,
            Self::Kill => broker.kill().await,
        };
        done.map_err(|error| Failure::new(format!("the broker's hook failed: {error}")))
    }
}

/// Checks that records, incarnation, properties and cursors are the same after a restart.
pub async fn what_is_persistent_survives_a_restart(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let can = transport.capabilities();
    let channel = harness.channel_name();
    if can.properties && can.create {
        let owner = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
        transport.create_with(&channel, owner.into()).await?;
    } else {
        harness.make_channel(transport, &channel).await?;
    }
    let written = write(transport, &channel, 0..100).await?;
    let mut cursor = None;
    if can.subscriptions {
        let subscription = transport.subscription(&channel, "reader").await?;
        subscription.ack(written[40]).await?;
        cursor = subscription.acked().await?;
    }
    let before = transport.describe(&channel).await?;
    Outage::Restart.happen(harness).await?;

    let after = harness.open().await?;
    ensure_eq!(after.describe(&channel).await?, before, "the channel");
    let records = read_from(&*after, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&records), all(0..100), "the records");
    ensure_eq!(positions(&records), written, "their positions");
    if can.subscriptions {
        let acked = after.subscription(&channel, "reader").await?.acked().await?;
        ensure!(acked.is_some(), "the cursor is gone");
        ensure_eq!(acked, cursor, "the cursor");
    }
    Ok(after.close().await?)
}

/// Checks that removed records don't come back with a restart, and that positions still grow if no
/// record is left.
pub async fn what_was_trimmed_stays_removed_over_a_restart(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    a_trim_is_kept_over(Outage::Restart, transport, harness).await
}

/// Checks that nothing else is lost if a broker is killed right after a trim, and that positions
/// still grow. What was removed may come back at its old place.
pub async fn a_kill_after_a_trim_takes_nothing_else(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    a_trim_is_kept_over(Outage::Kill, transport, harness).await
}

async fn a_trim_is_kept_over(
    outage: Outage,
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let mut trimmed = Vec::new();
    for from in [60, 100] {
        let channel = channel(transport, harness).await?;
        let written = write(transport, &channel, 0..100).await?;
        let end = transport.describe(&channel).await?.end;
        transport.trim(&channel, written.get(from).copied().unwrap_or(end)).await?;
        let left = what_is_left(transport, &channel, &written, from).await?;
        let info = transport.describe(&channel).await?;
        trimmed.push((channel, written, from, left, info));
    }
    outage.happen(harness).await?;
    let after = harness.open().await?;
    for (channel, mut written, from, left, info) in trimmed {
        let now = what_is_left(&*after, &channel, &written, from).await?;
        if let Outage::Restart = outage {
            ensure_eq!(now, left, "the first record left");
            ensure_eq!(after.describe(&channel).await?, info, "the channel");
        }
        written.extend(write(&*after, &channel, 100..110).await?);
        ensure!(strictly_grow(&written), "positions went back: {written:?}");
        what_is_left(&*after, &channel, &written, from).await?;
    }
    Ok(after.close().await?)
}

/// Checks that a reader that stays open over a restart neither repeats nor skips a record.
pub async fn a_reader_goes_on_over_a_restart(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    write(transport, &channel, 0..100).await?;
    let mut records = read_until(&mut *reader, 50).await?;
    Outage::Restart.happen(harness).await?;
    let after = harness.open().await?;
    let mut writer = after.writer(&channel).await?;
    append(&mut *writer, 100..200).await?;
    records.extend(read_until(&mut *reader, 199).await?);
    ensure_eq!(numbers(&records), all(0..200), "the records over the restart");
    Ok(after.close().await?)
}

// Reads up to the record of a number. Errors that pass with time are waited out: the scenario's
// deadline bounds that.
async fn read_until(reader: &mut dyn ChannelReader, last: u64) -> Result<Vec<Record>, Failure> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        match reader.read(Limit::default().with_records(10)).await {
            Ok(batch) => records.extend(batch.records),
            Err(error) if error.is_temporary() => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
        if numbers(&records).0.contains(&Some(last)) {
            return Ok(records);
        }
    }
}

const PRODUCERS: usize = 10;
const RECORDS: u64 = 1000;
const BATCH: u64 = 10;

/// Checks that no acknowledged record is lost if the broker is restarted while ten producers write,
/// at a third and at half of the way.
pub async fn nothing_acknowledged_is_lost_over_restarts(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    nothing_is_lost_over(Outage::Restart, transport, harness).await
}

/// Checks that no acknowledged record is lost if the broker is killed while ten producers write, at
/// a third and at half of the way.
pub async fn nothing_acknowledged_is_lost_over_kills(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    nothing_is_lost_over(Outage::Kill, transport, harness).await
}

async fn nothing_is_lost_over(
    outage: Outage,
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let mut channels = Vec::new();
    for _ in 0..PRODUCERS {
        channels.push(channel(transport, harness).await?);
    }
    // What each producer knows to be stored.
    let journals: Vec<_> = channels.iter().map(|_| Mutex::new(0)).collect();
    let producing = channels.iter().zip(&journals).map(|(c, j)| produce(transport, c, j));
    let consuming = channels.iter().map(|channel| async move {
        let mut reader = reader(transport, channel, Start::Earliest).await?;
        read_until(&mut *reader, RECORDS - 1).await
    });
    let outages = async {
        for part in [3, 2] {
            let goal = RECORDS * PRODUCERS as u64 / part;
            while journals.iter().map(acknowledged).sum::<u64>() < goal {
                tokio::time::sleep(PAUSE).await;
            }
            outage.happen(harness).await?;
        }
        Ok(())
    };
    let (_, seen, ()) =
        futures::try_join!(try_join_all(producing), try_join_all(consuming), outages)?;

    for (channel, seen) in channels.iter().zip(seen) {
        ensure!(strictly_grow(&positions(&seen)), "a reader of {channel} went back");
        // What had an unknown fate was sent again, so records may be there twice; the first of
        // each must be in order, and none may be missing.
        let mut firsts = Vec::new();
        for number in numbers(&seen).0 {
            if !firsts.contains(&number) {
                firsts.push(number);
            }
        }
        ensure_eq!(Numbers(firsts), all(0..RECORDS), "the records of {channel}");
        let mut stored = read_from(transport, channel, Start::Earliest).await?;
        // The reader stopped at the first of the last record.
        stored.truncate(seen.len());
        ensure!(stored == seen, "a fresh reader of {channel} sees other records");
    }
    Ok(())
}

fn acknowledged(journal: &Mutex<u64>) -> u64 {
    *journal.lock().unwrap_or_else(PoisonError::into_inner)
}

// After a failed or unknown outcome all that isn't known to be stored is sent again, in order, by
// a new writer.
async fn produce(transport: &dyn Transport, channel: &str, journal: &Mutex<u64>) -> Verdict {
    loop {
        let mut next = acknowledged(journal);
        if next == RECORDS {
            return Ok(());
        }
        let mut writer = match transport.writer(channel).await {
            Err(error) if error.is_temporary() => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            writer => writer?,
        };
        while next < RECORDS && writer.ready().await.is_ok() {
            let batch = (next..(next + BATCH).min(RECORDS)).map(record).collect();
            let outcome = writer.submit(batch).await;
            next += outcome.stored.len() as u64;
            *journal.lock().unwrap_or_else(PoisonError::into_inner) = next;
            if outcome.rest.is_some() {
                break;
            }
        }
    }
}
