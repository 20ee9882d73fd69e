//! Records of other programs that can't be read as messages: each costs one record.

use bytes::Bytes;
use futures::future::try_join;
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Capability, ChannelReader, Limit, Start, Transport};
use msgstream_core::{DecodeError, MsgType, UnmarshalDispatcher};

use crate::kit::{channel, positions, read, read_from, reader, record, strictly_grow, write};
use crate::plain::{BadKind, PlainClient, PlainRecord};
use crate::scenario::Need::{self, Can};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["foreign":
    a_bad_record_costs_one_record [Need::PlainClient],
    a_bad_record_costs_one_record_at_the_head [Need::PlainClient],
    a_bad_record_can_be_started_from [Need::PlainClient, Can(Capability::SeekPosition)],
    a_hundred_of_a_hundred_thousand_cost_a_hundred [Need::PlainClient],
    keys_are_handed_out [Need::PlainClient, Can(Capability::Keys)],
];

/// The harness's plain client.
pub(super) fn plain(harness: &dyn Harness) -> Result<&dyn PlainClient, Failure> {
    harness.plain_client().ok_or_else(|| Failure::new("the scenario needs a plain client"))
}

/// Writes with it.
pub(super) async fn write_plain(
    client: &dyn PlainClient,
    channel: &str,
    records: &[PlainRecord],
) -> Verdict {
    let failed = |error| Failure::new(format!("the plain client failed: {error}"));
    client.write(channel, records).await.map_err(failed)
}

/// One that no message can be made of. Its payload is no protobuf: the first byte and the next are
/// a field of a type that there isn't.
pub(super) fn bad(kind: BadKind, number: u64) -> PlainRecord {
    let payload = [b"\xff ", number.to_string().as_bytes()].concat();
    PlainRecord::Bad { kind, payload: payload.into() }
}

/// Returns why such a record can't be read; fails if it isn't passed on as one.
pub(super) fn ensure_bad(record: &Record, kind: BadKind, payload: &Bytes) -> Verdict {
    let BadKind { name, shows_payload } = kind;
    ensure_eq!(record.meta.msg_type, MsgType::UNREADABLE, "the type of a record with {name}");
    if shows_payload {
        ensure_eq!(record.payload, payload, "the payload of a record with {name}");
    }
    match UnmarshalDispatcher::new().unmarshal(record) {
        Err(DecodeError::Unreadable { reason }) if !reason.is_empty() => Ok(()),
        Err(error) => {
            Err(Failure::new(format!("a record with {name} fails to decode with {error}")))
        }
        Ok(_) => Err(Failure::new(format!("a record with {name} was decoded"))),
    }
}

/// Each good record comes as it was written, each bad one as such, in their order.
fn ensure_all(read: &[Record], written: &[PlainRecord]) -> Verdict {
    ensure_eq!(read.len(), written.len(), "the number of records");
    for (at, (read, written)) in read.iter().zip(written).enumerate() {
        match written {
            PlainRecord::Good(good) => {
                let same = read.meta == good.meta && read.payload == good.payload;
                ensure!(same, "record {at} is {read:?}, not {good:?}");
            }
            PlainRecord::Bad { kind, payload } => ensure_bad(read, *kind, payload)?,
        }
    }
    ensure!(strictly_grow(&positions(read)), "the positions don't grow");
    Ok(())
}

/// Checks that records have the keys that another program gave them, and none that it didn't.
pub async fn keys_are_handed_out(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let keys = [Some("ann"), None, Some(""), Some("Ünïcode"), None, Some("ann")];
    let records = (0..).zip(keys).map(|(number, key)| match key {
        Some(key) => record(number).with_key(key),
        None => record(number),
    });
    let records: Vec<_> = records.map(PlainRecord::Good).collect();
    write_plain(plain(harness)?, &channel, &records).await?;
    let read = read_from(transport, &channel, Start::Earliest).await?;
    ensure_all(&read, &records)?;
    let read: Vec<_> = read.iter().map(|record| record.key().map(|key| &key[..])).collect();
    ensure_eq!(read, keys.map(|key| key.map(str::as_bytes)), "the keys");
    Ok(())
}

/// Good ones, and one of each kind that the broker takes between them, alone and in pairs.
fn mixed(client: &dyn PlainClient) -> Vec<PlainRecord> {
    let mut records = Vec::new();
    let mut number = 0;
    let mut good = || {
        number += 1;
        PlainRecord::Good(record(number))
    };
    for (at, kind) in (1..).zip(client.bad_kinds()) {
        records.extend([good(), good(), bad(*kind, at), good(), bad(*kind, at), bad(*kind, at)]);
    }
    records.push(good());
    records
}

/// Checks that bad records between good ones, of every kind that the broker takes, cost nothing
/// else: two readers of one handle get all records, the bad ones as unreadable at their own
/// positions. Meanwhile the handle works elsewhere: what it writes is acknowledged, and a healthy
/// channel is read.
pub async fn a_bad_record_costs_one_record(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let client = plain(harness)?;
    let written = mixed(client);
    let (sick, healthy) = (channel(transport, harness).await?, channel(transport, harness).await?);
    write_plain(client, &sick, &written).await?;
    let both = try_join(
        read_all(transport, &sick, written.len()),
        read_all(transport, &sick, written.len()),
    );
    let elsewhere = async {
        let stored = write(transport, &healthy, 0..100).await?;
        let read = read_all(transport, &healthy, 100).await?;
        ensure_eq!(positions(&read), stored, "the records of the healthy channel");
        transport.describe(&sick).await?;
        Ok(())
    };
    let ((first, second), ()) = try_join(both, elsewhere).await?;
    ensure_all(&first, &written)?;
    ensure!(first == second, "two readers see different records");
    // They went past the end of what is there, too.
    let again = read_from(transport, &sick, Start::Earliest).await?;
    ensure!(first == again, "a reader that drains the channel sees other records");
    Ok(())
}

async fn read_all(
    transport: &dyn Transport,
    channel: &str,
    count: usize,
) -> Result<Vec<Record>, Failure> {
    read(&mut *reader(transport, channel, Start::Earliest).await?, count).await
}

/// Checks that a reader that waits at the end gets a bad record when it is written, and the good
/// ones after it.
pub async fn a_bad_record_costs_one_record_at_the_head(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let client = plain(harness)?;
    let channel = channel(transport, harness).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    for (number, kind) in (1..).zip(client.bad_kinds()) {
        let written = [PlainRecord::Good(record(number)), bad(*kind, number)];
        write_plain(client, &channel, &written).await?;
        ensure_all(&read(&mut *reader, 2).await?, &written)?;
        write(transport, &channel, [number]).await?;
        ensure_all(&read(&mut *reader, 1).await?, &written[..1])?;
    }
    Ok(())
}

/// Checks that readers can start, and seek, before, at and after bad records.
pub async fn a_bad_record_can_be_started_from(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let client = plain(harness)?;
    let channel = channel(transport, harness).await?;
    let written = mixed(client);
    write_plain(client, &channel, &written).await?;
    let all = read_all(transport, &channel, written.len()).await?;
    ensure_all(&all, &written)?;
    let mut moved = reader(transport, &channel, Start::Earliest).await?;
    for (at, Record { position, .. }) in all.iter().enumerate() {
        for (start, from) in [(Start::At(*position), at), (Start::After(*position), at + 1)] {
            // Four more show that what follows is read.
            let rest = &all[from..all.len().min(from + 4)];
            let mut opened = reader(transport, &channel, start).await?;
            ensure!(read(&mut *opened, rest.len()).await? == rest, "read from {start:?}");
            moved.seek(start).await?;
            ensure!(read(&mut *moved, rest.len()).await? == rest, "read after a seek to {start:?}");
        }
    }
    Ok(())
}

const MANY: u64 = 100_000;
const EVERY: u64 = 1_000;

/// Checks that two readers of one handle get each of a hundred thousand records once, in order,
/// with the hundred bad ones among them unreadable.
pub async fn a_hundred_of_a_hundred_thousand_cost_a_hundred(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let client = plain(harness)?;
    let channel = channel(transport, harness).await?;
    let kinds = client.bad_kinds();
    let of = |number: u64| match number % EVERY {
        0 => bad(kinds[(number / EVERY) as usize % kinds.len()], number),
        _ => PlainRecord::Good(record(number)),
    };
    let written: Vec<_> = (1..=MANY).map(of).collect();
    // A waiting reader sees them come, another finds them there.
    let mut waiting = reader(transport, &channel, Start::Earliest).await?;
    let seen = async {
        let mut seen = Seen::default();
        seen.read(&mut *waiting, &written).await?;
        Ok(seen)
    };
    let (first, ()) = try_join(seen, write_plain(client, &channel, &written)).await?;
    let mut finding = reader(transport, &channel, Start::Earliest).await?;
    let mut second = Seen::default();
    second.read(&mut *finding, &written).await?;
    ensure_eq!(first.unreadable, (MANY / EVERY) as usize, "the unreadable records");
    ensure!(first == second, "two readers see different records");
    Ok(())
}

/// What is kept of many records.
#[derive(Default, PartialEq, Eq)]
struct Seen {
    positions: Vec<Position>,
    unreadable: usize,
}

impl Seen {
    /// Reads what was written, and compares.
    async fn read(&mut self, reader: &mut dyn ChannelReader, written: &[PlainRecord]) -> Verdict {
        while self.positions.len() < written.len() {
            let records = reader.read(Limit::default()).await?.records;
            let from = self.positions.len();
            let rest = &written[from..];
            ensure!(records.len() <= rest.len(), "more records than were written");
            ensure_all(&records, &rest[..records.len()])?;
            let ahead = self.positions.last() < records.first().map(|r| &r.position);
            ensure!(records.is_empty() || ahead, "a position again, behind record {from}");
            let bad = |record: &&Record| record.meta.msg_type == MsgType::UNREADABLE;
            self.unreadable += records.iter().filter(bad).count();
            self.positions.extend(positions(&records));
        }
        Ok(())
    }
}
