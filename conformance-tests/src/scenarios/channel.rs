//! Creating, describing, listing and deleting channels.

use msgstream_core::transport::TransportExt as _;
use std::collections::BTreeMap;

use futures::future::try_join_all;
use futures::stream::{StreamExt, TryStreamExt};
use msgstream_core::transport::{
    Capability, ChannelInfo, Limit, Start, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::kit::{all, channel, drain, numbers, open_and_read, read, read_from, reader, write};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["channel":
    a_new_one_is_empty,
    create_twice_is_already_exists [Can(Capability::Create)],
    invalid_names_are_refused [Can(Capability::Create)],
    a_unicode_name_works_or_is_refused [Can(Capability::Create)],
    a_missing_one_is_not_found,
    a_missing_one_is_not_found_by_delete [Can(Capability::Delete)],
    a_missing_one_is_not_found_by_subscriptions [Can(Capability::Subscriptions)],
    opening_creates_nothing [Can(Capability::List)],
    describe_tells_first_and_end,
    describe_counts_the_records_or_says_nothing,
    list_is_by_prefix_and_sorted [Can(Capability::List)],
    properties_come_back_in_another_handle [Can(Capability::Create), Can(Capability::Properties)],
    properties_go_with_their_channel [Can(Capability::Create), Can(Capability::Delete), Can(Capability::Properties)],
    delete_removes_it [Can(Capability::Delete)],
    made_again_it_is_empty [Can(Capability::Delete)],
    a_reader_of_a_deleted_one_is_told [Can(Capability::Delete)],
    a_waiting_reader_of_a_deleted_one_is_told [Can(Capability::Delete)],
    a_hundred_at_once,
];

/// Checks that a new channel has no record, and that a reader is at its end at once.
pub async fn a_new_one_is_empty(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    let info = transport.describe(&channel).await?;
    ensure!(info.first.is_none_or(|first| first <= info.end), "it begins after its end: {info:?}");
    for start in [Start::Earliest, Start::Latest] {
        let records = read_from(transport, &channel, start).await?;
        ensure!(records.is_empty(), "a new channel holds {records:?}");
    }
    Ok(())
}

/// Checks that creating a channel that exists fails with [`AlreadyExists`](Kind::AlreadyExists),
/// and leaves it as it is.
pub async fn create_twice_is_already_exists(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    let again = transport.create(&channel).await;
    ensure_refused!(again, Kind::AlreadyExists, "creating a channel twice");
    let left = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&left), all(0..3), "the records after the second create");
    Ok(())
}

/// Checks that names that the harness calls invalid fail with [`InvalidName`](Kind::InvalidName).
pub async fn invalid_names_are_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    for name in harness.invalid_names() {
        let created = transport.create(&name).await;
        ensure_refused!(created, Kind::InvalidName { .. }, "creating channel {name:?}");
    }
    Ok(())
}

/// Checks that a name that isn't ASCII is kept to the letter or refused, and never changed into
/// another.
pub async fn a_unicode_name_works_or_is_refused(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let prefix = harness.channel_name();
    let names = ["naïve", "каналъ", "頻道"].map(|name| format!("{prefix}-{name}"));
    for (i, name) in (0..).zip(&names) {
        match transport.create(name).await {
            Err(error) if matches!(error.kind(), Kind::InvalidName { .. }) => return Ok(()),
            created => created?,
        }
        write(transport, name, [i]).await?;
    }
    for (i, name) in (0..).zip(&names) {
        let records = read_from(transport, name, Start::Earliest).await?;
        ensure_eq!(numbers(&records), all([i]), "the records of channel {name:?}");
    }
    if transport.capabilities().list {
        let mut sorted = names.to_vec();
        sorted.sort();
        ensure_eq!(transport.list(&prefix).await?, sorted, "the names in the list");
    }
    Ok(())
}

/// Checks that describing, writing and reading a channel that doesn't exist fails with
/// [`NotFound`](Kind::NotFound).
pub async fn a_missing_one_is_not_found(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let missing = harness.channel_name();
    ensure_refused!(transport.describe(&missing).await, Kind::NotFound, "describe");
    ensure_refused!(transport.writer(&missing).await, Kind::NotFound, "opening a writer");
    for start in [Start::Earliest, Start::Latest] {
        let opened = open_and_read(transport, &missing, start, None).await;
        ensure_refused!(opened, Kind::NotFound, "a reader at {start:?}");
    }
    Ok(())
}

/// Checks that deleting a channel that doesn't exist fails with [`NotFound`](Kind::NotFound).
pub async fn a_missing_one_is_not_found_by_delete(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let missing = harness.channel_name();
    ensure_refused!(transport.delete(&missing).await, Kind::NotFound, "delete");
    Ok(())
}

/// Checks that subscribing to, unsubscribing from and listing the subscriptions of a channel that
/// doesn't exist fails with [`NotFound`](Kind::NotFound).
pub async fn a_missing_one_is_not_found_by_subscriptions(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let missing = harness.channel_name();
    let opened = transport.subscription(&missing, "nobody").await;
    ensure_refused!(opened, Kind::NotFound, "opening a subscription");
    let removed = transport.unsubscribe(&missing, "nobody").await;
    ensure_refused!(removed, Kind::NotFound, "removing a subscription");
    let listed = transport.subscriptions(&missing).await;
    ensure_refused!(listed, Kind::NotFound, "listing subscriptions");
    Ok(())
}

/// Checks that an attempt to write to or read a channel that doesn't exist doesn't create it.
pub async fn opening_creates_nothing(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let missing = harness.channel_name();
    let opened = transport.writer(&missing).await;
    ensure_refused!(opened, Kind::NotFound, "opening a writer");
    let opened = open_and_read(transport, &missing, Start::Earliest, None).await;
    ensure_refused!(opened, Kind::NotFound, "opening a reader");
    let there = transport.list(&missing).await?;
    ensure!(there.is_empty(), "opening a missing channel made {there:?}");
    Ok(())
}

/// Checks that `first` is not after the first record, that `end` is after the last, and that
/// neither goes back.
pub async fn describe_tells_first_and_end(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let empty = transport.describe(&channel).await?;
    let positions = write(transport, &channel, 0..10).await?;
    let full = transport.describe(&channel).await?;
    let (first, last) = (positions[0], positions[9]);
    ensure!(empty.end <= first, "the end was {}, a record went to {first} before it", empty.end);
    let bounds = |info: &ChannelInfo| info.first.is_some_and(|bound| bound <= first);
    ensure!(bounds(&full), "the first record is at {first}, the bound is {:?}", full.first);
    ensure!(full.end > last, "the end {} is not after the last record, {last}", full.end);
    let more = write(transport, &channel, [10]).await?;
    ensure!(more[0] >= full.end, "the end was {}, but {} came next", full.end, more[0]);
    let later = transport.describe(&channel).await?;
    ensure!(bounds(&later), "the first record is at {first}, the later bound {:?}", later.first);
    ensure!(full.first <= later.first, "the bound {:?} went back to {:?}", full.first, later.first);
    Ok(())
}

/// Checks that the number of records, if it is known, is the number that a reader gets.
pub async fn describe_counts_the_records_or_says_nothing(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut written = Vec::new();
    for numbers in [0..0, 0..10, 10..11] {
        written.extend(write(transport, &channel, numbers).await?);
        let records = transport.describe(&channel).await?.records;
        let right = records.is_none_or(|records| records == written.len() as u64);
        ensure!(right, "{records:?} records are counted, {} were written", written.len());
    }
    if transport.capabilities().trim {
        transport.trim(&channel, written[4]).await?;
        let read = read_from(transport, &channel, Start::Earliest).await?;
        let records = transport.describe(&channel).await?.records;
        let right = records.is_none_or(|records| records == read.len() as u64);
        ensure!(right, "{records:?} records are counted, {} were read", read.len());
    }
    Ok(())
}

/// Checks that `list` returns exactly the names with the prefix, sorted.
pub async fn list_is_by_prefix_and_sorted(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let prefix = harness.channel_name();
    let [b, a, c] = ["-b", "-a", "-a-c"].map(|end| format!("{prefix}{end}"));
    for name in [&b, &a, &c] {
        harness.make_channel(transport, name).await?;
    }
    for (prefix, expected) in [(&prefix, vec![&a, &c, &b]), (&a, vec![&a, &c]), (&c, vec![&c])] {
        let listed = transport.list(prefix).await?;
        ensure_eq!(Vec::from_iter(&listed), expected, "the channels that begin with {prefix}");
    }
    let everything = transport.list("").await?;
    ensure!(everything.is_sorted(), "the whole list isn't sorted: {everything:?}");
    ensure!(everything.contains(&b), "the whole list lacks {b}");
    Ok(())
}

/// Checks that `describe` returns the properties that `create` took, through any handle.
pub async fn properties_come_back_in_another_handle(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = harness.channel_name();
    let given = [("owner", "a {\"role\": \"x\"}"), ("empty", ""), ("unicode", "Ünïcode 頻道")];
    let given = BTreeMap::from(given.map(|(k, v)| (k.to_owned(), v.to_owned())));
    transport.create_with(&channel, given.clone().into()).await?;
    write(transport, &channel, 0..3).await?;
    let other = harness.open().await?;
    for handle in [transport, &*other] {
        ensure_eq!(handle.describe(&channel).await?.properties, given, "the properties");
    }
    Ok(other.close().await?)
}

/// Checks that a channel that was deleted and created again has only the properties of the second
/// time.
pub async fn properties_go_with_their_channel(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = harness.channel_name();
    let old = BTreeMap::from([("old".to_owned(), "1".to_owned())]);
    transport.create_with(&channel, old.into()).await?;
    transport.delete(&channel).await?;
    transport.create(&channel).await?;
    let left = transport.describe(&channel).await?.properties;
    ensure!(left.is_empty(), "properties of the deleted channel came back: {left:?}");
    Ok(())
}

/// Checks that no handle finds a deleted channel.
pub async fn delete_removes_it(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    transport.delete(&channel).await?;
    let other = harness.open().await?;
    for handle in [transport, &*other] {
        ensure_refused!(handle.describe(&channel).await, Kind::NotFound, "describe after delete");
        if handle.capabilities().list {
            let there = handle.list(&channel).await?;
            ensure!(there.is_empty(), "the list still has {there:?}");
        }
    }
    ensure_refused!(transport.delete(&channel).await, Kind::NotFound, "delete after delete");
    Ok(other.close().await?)
}

/// Checks that a channel that was deleted and created again has no old records.
pub async fn made_again_it_is_empty(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..10).await?;
    transport.delete(&channel).await?;
    harness.make_channel(transport, &channel).await?;
    write(transport, &channel, 20..22).await?;
    let records = read_from(transport, &channel, Start::Earliest).await?;
    ensure_eq!(numbers(&records), all(20..22), "the records of the new channel");
    Ok(())
}

/// Checks that a reader fails if its channel was deleted, and doesn't report the end instead.
pub async fn a_reader_of_a_deleted_one_is_told(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    write(transport, &channel, 0..3).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    drain(&mut *reader).await?;
    transport.delete(&channel).await?;
    // An answer of the broker may have been on its way.
    let told = loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => ensure!(batch.records.is_empty(), "records of a deleted channel"),
            Err(error) => break Err::<(), _>(error),
        }
    };
    let expected = "reading a deleted channel";
    ensure_refused!(told, Kind::NotFound | Kind::WrongIncarnation { .. }, "{expected}");
    Ok(())
}

/// Checks that a reader that is waiting for records fails if its channel is deleted.
pub async fn a_waiting_reader_of_a_deleted_one_is_told(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let channel = channel(transport, harness).await?;
    let mut reader = reader(transport, &channel, Start::Earliest).await?;
    let reading = async {
        loop {
            reader.read(Limit::default()).await?;
        }
    };
    let (told, deleted): (Result<(), TransportError>, _) =
        futures::join!(reading, transport.delete(&channel));
    deleted?;
    let expected = "waiting on a deleted channel";
    ensure_refused!(told, Kind::NotFound | Kind::WrongIncarnation { .. }, "{expected}");
    Ok(())
}

/// Checks that a hundred channels can be written and read at the same time, and that none has
/// another's records.
pub async fn a_hundred_at_once(transport: &dyn Transport, harness: &dyn Harness) -> Verdict {
    const AT_ONCE: usize = 16;
    let channels: Vec<_> = futures::stream::iter(0..100)
        .map(|_| channel(transport, harness))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut readers =
        try_join_all(channels.iter().map(|c| reader(transport, c, Start::Earliest))).await?;
    let writing = (0..).zip(&channels).map(|(i, c)| write(transport, c, i * 10..i * 10 + 5));
    let reading = readers.iter_mut().map(|r| read(&mut **r, 5));
    let (written, records) = futures::try_join!(try_join_all(writing), try_join_all(reading))?;
    for (i, (written, records)) in (0..).zip(written.iter().zip(&records)) {
        ensure_eq!(numbers(records), all(i * 10..i * 10 + 5), "the records of channel {i}");
        ensure_eq!(&crate::kit::positions(records), written, "the positions of channel {i}");
    }
    Ok(())
}
