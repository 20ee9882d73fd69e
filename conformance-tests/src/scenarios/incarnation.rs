//! The lives of a channel.

use msgstream_core::transport::ReaderOptions;
use msgstream_core::transport::{Capability, Limit, Start, Transport, TransportErrorKind as Kind};

use crate::kit::{all, channel, numbers, open_and_read, read, read_from, reader, write};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["incarnation":
    is_the_same_everywhere,
    differs_when_made_again [Can(Capability::Delete), Can(Capability::Incarnations)],
    the_right_one_is_read [Can(Capability::Incarnations)],
    an_old_position_is_refused [Can(Capability::Delete), Can(Capability::Incarnations), Can(Capability::SeekPosition)],
    a_reader_never_enters_the_next_life [Can(Capability::Delete), Can(Capability::Incarnations)],
];

/// Checks that all handles and readers report the same incarnation, before and after writes.
pub async fn is_the_same_everywhere(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let incarnation = transport.describe(&channel).await?.incarnation;
    write(transport, &channel, 0..3).await?;
    let other = harness.open().await?;
    for handle in [transport, &*other] {
        ensure_eq!(handle.describe(&channel).await?.incarnation, incarnation, "describe");
        let reader = reader(handle, &channel, Start::Earliest).await?;
        ensure_eq!(reader.incarnation(), incarnation, "the reader's incarnation");
    }
    Ok(other.close().await?)
}

/// Checks that a channel that was deleted and created again has another incarnation.
pub async fn differs_when_made_again(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut seen = vec![transport.describe(&channel).await?.incarnation];
    for life in 1..4 {
        transport.delete(&channel).await?;
        harness.make_channel(transport, &channel).await?;
        let incarnation = transport.describe(&channel).await?.incarnation;
        ensure!(!seen.contains(&incarnation), "{incarnation} came again as life {life}");
        seen.push(incarnation);
    }
    Ok(())
}

/// Checks that a reader can ask for the incarnation that is there.
pub async fn the_right_one_is_read(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    let incarnation = transport.describe(&channel).await?.incarnation;
    let mut reader = transport
        .reader_with(&channel, ReaderOptions::new(Start::Earliest).with_incarnation(incarnation))
        .await?;
    ensure_eq!(numbers(&read(&mut *reader, 3).await?), all(0..3), "the records");
    Ok(())
}

/// Checks that a position of a deleted channel is refused in one that was created in its place,
/// whether that is shorter or longer than the old one.
pub async fn an_old_position_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let old = transport.describe(&channel).await?.incarnation;
    let positions = write(transport, &channel, 0..10).await?;
    transport.delete(&channel).await?;
    harness.make_channel(transport, &channel).await?;
    for written in [0, 5, 20] {
        write(transport, &channel, 0..written).await?;
        for start in [Start::At(positions[4]), Start::After(positions[9]), Start::Earliest] {
            let opened = open_and_read(transport, &channel, start, Some(old)).await;
            ensure_refused!(opened, Kind::WrongIncarnation { .. }, "an old {start:?}");
        }
    }
    Ok(())
}

/// Checks that a reader fails if its channel is deleted and created again, and returns no record of
/// the new one.
pub async fn a_reader_never_enters_the_next_life(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    read(&mut *reader, 3).await?;
    transport.delete(&channel).await?;
    harness.make_channel(transport, &channel).await?;
    write(transport, &channel, 10..20).await?;
    let told = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => ensure!(batch.records.is_empty(), "it gave {:?}", batch.records),
            Err(error) => break Err::<(), _>(error),
        }
    };
    let expected = "reading on in a channel that was replaced";
    ensure_refused!(told, Kind::NotFound | Kind::WrongIncarnation { .. }, "{expected}");
    let fresh = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&fresh), all(10..20), "what a new reader gets");
    Ok(())
}
