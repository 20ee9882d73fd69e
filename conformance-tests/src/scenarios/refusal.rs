//! What a transport can't do is refused by name, never quietly left undone.

use msgstream_core::transport::ReaderOptions;
use msgstream_core::transport::TransportExt as _;
use std::collections::BTreeMap;

use msgstream_core::Timestamp;
use msgstream_core::record::{Header, Incarnation};
use msgstream_core::transport::{
    Capability, Fate, Start, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::kit::{all, channel, drain, numbers, reader, record, write};
use crate::scenario::Need::{Can, Cannot};
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["refusal":
    create [Cannot(Capability::Create)],
    delete [Cannot(Capability::Delete)],
    list [Cannot(Capability::List)],
    properties [Can(Capability::Create), Cannot(Capability::Properties)],
    properties_where_nothing_is_created [Cannot(Capability::Create), Cannot(Capability::Properties)],
    incarnations [Cannot(Capability::Incarnations)],
    seek_position [Cannot(Capability::SeekPosition)],
    seek_time [Cannot(Capability::SeekTime)],
    subscriptions [Cannot(Capability::Subscriptions)],
    unsubscribe [Cannot(Capability::Subscriptions)],
    listing_subscriptions [Cannot(Capability::Subscriptions)],
    trim [Cannot(Capability::Trim)],
    binary_headers [Cannot(Capability::BinaryHeaders)],
];

#[track_caller]
fn unsupported<T>(result: Result<T, TransportError>, name: Capability, what: &str) -> Verdict {
    match result {
        Err(e) if *e.kind() == (Kind::Unsupported { capability: name }) => Ok(()),
        Err(e) => Err(Failure::new(format!("{what} is not Unsupported {{ {name} }} but {e}"))),
        Ok(_) => Err(Failure::new(format!("{what} succeeds, though `{name}` is false"))),
    }
}

/// Checks that `create` is refused.
pub async fn create(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let created = transport.create(&harness.channel_name()).await;
    unsupported(created, Capability::Create, "create")
}

/// Checks that `delete` is refused, and deletes nothing.
pub async fn delete(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    unsupported(transport.delete(&channel).await, Capability::Delete, "delete")?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(0..3), "the records");
    Ok(())
}

/// Checks that `trim` is refused, and removes nothing.
pub async fn trim(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..3).await?;
    unsupported(transport.trim(&channel, positions[1]).await, Capability::Trim, "trim")?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(0..3), "the records");
    Ok(())
}

/// Checks that `list` is refused: an empty list would be wrong.
pub async fn list(transport: &dyn Transport, _harness: &dyn Harness) -> Verdict {
    unsupported(transport.list("").await, Capability::List, "list")
}

/// Checks that `create` with properties is refused, and creates nothing; without properties it
/// works.
pub async fn properties(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let name = harness.channel_name();
    let some = BTreeMap::from([("owner".to_owned(), "me".to_owned())]);
    unsupported(
        transport.create_with(&name, some.into()).await,
        Capability::Properties,
        "create with properties",
    )?;
    let there = transport.describe(&name).await;
    ensure_refused!(there, Kind::NotFound, "describe after the refused create");
    transport.create(&name).await?;
    let none = transport.describe(&name).await?.properties;
    ensure!(none.is_empty(), "properties from nowhere: {none:?}");
    Ok(())
}

/// Checks that `describe` returns no properties.
pub async fn properties_where_nothing_is_created(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let none = transport.describe(&channel).await?.properties;
    ensure!(none.is_empty(), "properties from nowhere: {none:?}");
    Ok(())
}

/// Checks that every channel's incarnation is [`UNKNOWN`](Incarnation::UNKNOWN), which readers
/// accept. Any other is refused, because the transport couldn't know whether it is the right one.
pub async fn incarnations(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let unknown = Incarnation::UNKNOWN;
    ensure_eq!(transport.describe(&channel).await?.incarnation, unknown, "the incarnation");
    let reader = transport
        .reader_with(&channel, ReaderOptions::new(Start::Earliest).with_incarnation(unknown))
        .await?;
    ensure_eq!(reader.incarnation(), unknown, "the reader's incarnation");
    let opened = transport
        .reader_with(&channel, ReaderOptions::new(Start::Earliest).with_incarnation(Incarnation(1)))
        .await;
    unsupported(opened, Capability::Incarnations, "a reader of another incarnation")
}

// A start is refused when a reader is opened and when it seeks, and the reader stays in place.
async fn start(
    transport: &dyn Transport,
    channel: &str,
    start: Start,
    capability: Capability,
) -> Verdict {
    let opened = transport.reader(channel, start).await;
    unsupported(opened, capability, &format!("a reader at {start:?}"))?;
    let mut reader = reader(transport, channel, Start::Earliest).await?;
    unsupported(reader.seek(start).await, capability, &format!("a seek to {start:?}"))?;
    let records = drain(&mut *reader).await?;
    ensure_eq!(numbers(&records), all(0..3), "the records after a refused seek");
    Ok(())
}

/// Checks that starting at, starting after and seeking to a position is refused.
pub async fn seek_position(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let positions = write(transport, &channel, 0..3).await?;
    for place in [Start::At(positions[1]), Start::After(positions[1])] {
        start(transport, &channel, place, Capability::SeekPosition).await?;
    }
    Ok(())
}

/// Checks that starting at and seeking to a time is refused.
pub async fn seek_time(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    for time in [Timestamp::MIN, Timestamp::MAX] {
        start(transport, &channel, Start::Time(time), Capability::SeekTime).await?;
    }
    Ok(())
}

/// Checks that `subscription` is refused.
pub async fn subscriptions(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let opened = transport.subscription(&channel, "reader").await;
    unsupported(opened, Capability::Subscriptions, "subscription")
}

/// Checks that `unsubscribe` is refused.
pub async fn unsubscribe(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let removed = transport.unsubscribe(&channel, "reader").await;
    unsupported(removed, Capability::Subscriptions, "unsubscribe")
}

/// Checks that `subscriptions` is refused: an empty list would be wrong.
pub async fn listing_subscriptions(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let listed = transport.subscriptions(&channel).await;
    unsupported(listed, Capability::Subscriptions, "subscriptions")
}

/// Checks that a header that isn't text is refused by name, by `check` and by `submit`, and that
/// nothing of its batch is written.
pub async fn binary_headers(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    for value in [b"\xff\xfe".as_slice(), b"line\r\nbreak", b"\0"] {
        let mut binary = record(1);
        binary.extra = [Header::new("x-text", "text"), Header::new("x-binary", value)].into();
        let batch = vec![record(0), binary];
        let mut writer = transport.writer(&channel).await?;
        names_the_header(writer.check(&batch).err(), value)?;
        writer.ready().await?;
        let outcome = writer.submit(batch).await;
        ensure!(outcome.stored.is_empty(), "a part of the batch was stored: {outcome:?}");
        let rest = outcome.rest.filter(|rest| rest.fate == Fate::NotStored);
        names_the_header(rest.map(|rest| rest.error), value)?;
    }
    write(transport, &channel, 5..8).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&drain(&mut *reader).await?), all(5..8), "the records");
    Ok(())
}

#[track_caller]
fn names_the_header(refusal: Option<TransportError>, value: &[u8]) -> Verdict {
    match refusal.as_ref().map(TransportError::kind) {
        Some(Kind::InvalidHeader { name, .. }) if name == "x-binary" => Ok(()),
        other => Err(Failure::new(format!("the value {value:?} isn't refused, but {other:?}"))),
    }
}
