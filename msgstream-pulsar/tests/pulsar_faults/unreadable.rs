//! Records that can't be read: each costs itself, and nobody the connection.

use msgstream_core::record::{Position, Record};
use msgstream_core::transport::TransportExt as _;
use msgstream_core::transport::{Limit, Start};
use msgstream_core::{MsgType, UnmarshalDispatcher};
use pulsar::message::proto::base_command::Type;

use crate::proxy::Proxy;
use crate::raw::{Raw, batch_of, bytes, chunk, entry, single};
use crate::support::{create, open, read_count, record, shared, write};

const COUNT: usize = 100_000;

/// Why records can't be read, without what is common to all; and the payloads of the others.
fn told(records: &[Record]) -> Vec<String> {
    let tell = |record: &Record| match record.meta.msg_type {
        MsgType::UNREADABLE => {
            let error = UnmarshalDispatcher::new().unmarshal(record).map(drop).unwrap_err();
            error.to_string().replace("the record can't be read: ", "")
        }
        _ => String::from_utf8(record.payload.to_vec()).unwrap(),
    };
    records.iter().map(tell).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_thousandth_of_100_000_costs_two_readers_no_more_than_itself() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let mut early = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut late = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut raw = Raw::open(&url, &channel).await;
    let written = async {
        for number in 0..COUNT {
            let value: &[u8] = if number % 1000 == 999 { b"caf\xe9" } else { b"text" };
            raw.send(&entry(&[[b"drink", value]], &[], number.to_string().as_bytes())).await;
        }
        raw.close().await;
    };
    let (first, second, ()) =
        tokio::join!(read_count(&mut *early, COUNT), read_count(&mut *late, COUNT), written);
    assert!(first == second, "the readers saw different records");
    assert_eq!(first.len(), COUNT);
    assert_eq!(told(&first[..2]), ["0", "1"]);
    assert!(first.is_sorted_by(|a, b| a.position < b.position));
    for (number, record) in first.iter().enumerate() {
        assert_eq!(record.payload, number.to_string());
        assert_eq!(record.meta.msg_type == MsgType::UNREADABLE, number % 1000 == 999, "{number}");
    }
    let bad = first.iter().filter(|record| record.meta.msg_type == MsgType::UNREADABLE);
    assert_eq!(bad.count(), 100);
    assert_eq!(told(&first[999..1000]), ["its property `drink` isn't UTF-8"]);
    assert_eq!(&first[999].header("drink").unwrap()[..], b"caf\xe9");
    // A bad one is a place like any other.
    let start = Start::After(first[999].position);
    let mut behind = transport.reader(&channel, start).await.unwrap();
    assert_eq!(told(&read_count(&mut *behind, 1).await[..1]), ["1000"]);
}

#[tokio::test]
async fn what_can_t_be_read_says_why_and_leaves_its_neighbours_alone() {
    let url = shared();
    let transport = open(&url).await;
    let channel = create(&*transport).await;
    let mut raw = Raw::open(&url, &channel).await;
    let batch = [
        single(&[[b"a", b"b"]], b"one"),
        single(&[[b"\xff", b"b"]], b"two"),
        single(&[[b"a", b"b"]], b"three"),
    ];
    let short = [single(&[], b"four"), vec![0, 0, 0, 1, 0xff]];
    for entry in [
        entry(&[], &[], b"first"),
        entry(&[], &batch_of(3), &batch.concat()),
        entry(&[], &batch_of(4), &short.concat()),
        entry(&[], &bytes(13, &[bytes(1, b"key"), bytes(2, b"value")].concat()), b"sealed"),
        entry(&[], &chunk(0, 2), b"half"),
        entry(&[], &chunk(1, 2), b"half"),
        entry(&[], &bytes(8, b""), b"a number that is text"),
        entry(&[], &batch_of(i32::MAX), &single(&[], b"five")),
        entry(&[], &[], b"last"),
    ] {
        raw.send(&entry).await;
    }
    raw.close().await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let mut read = Vec::new();
    while !read.iter().any(|record: &Record| record.payload == "last") {
        read.extend(reader.read(Limit::default()).await.unwrap().records);
    }
    let told = told(&read);
    assert_eq!(told[..4], ["first", "one", "its property `\u{fffd}` isn't UTF-8", "three"]);
    assert_eq!(told[4], "four");
    assert!(told[5].starts_with("its metadata can't be decoded: "), "{}", told[5]);
    assert!(told[5].ends_with("; the 2 behind it in its batch are lost with it"), "{}", told[5]);
    assert_eq!(
        told[6..9],
        ["it is encrypted", "it is chunk 1 of 2 of a message", "it is chunk 2 of 2 of a message"]
    );
    assert_eq!(told[told.len() - 3], "five");
    assert!(told[told.len() - 2].starts_with("its batch breaks off in it"), "{told:?}");
    // From any of them on, the rest is the same.
    for (at, record) in read.iter().enumerate() {
        let start = Start::At(record.position);
        let mut again = transport.reader(&channel, start).await.unwrap();
        assert!(read_count(&mut *again, read.len() - at).await == read[at..], "{at}");
    }
}

#[tokio::test]
async fn an_entry_with_a_wrong_checksum_is_one_bad_record() {
    let proxy = Proxy::start(&shared(), |kind, frame| {
        let marked = frame.windows(8).position(|part| part == b"flip me!");
        if let (Type::Message, Some(at)) = (kind, marked) {
            frame[at] ^= 1;
        }
        true
    })
    .await;
    let transport = open(&proxy.url).await;
    let channel = create(&*transport).await;
    let mut positions: Vec<Position> = write(&*transport, &channel, vec![record(0)]).await;
    let mut bad = record(1);
    bad.payload = "flip me!".into();
    positions.extend(write(&*transport, &channel, vec![bad]).await);
    positions.extend(write(&*transport, &channel, vec![record(2)]).await);
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    let read = read_count(&mut *reader, 3).await;
    assert_eq!(told(&read), ["0", "its checksum is wrong", "2"]);
    // It is at the place of the entry, for nobody knows what is in it.
    let place = |position: Position| position.words()[..2].to_vec();
    assert_eq!(place(read[1].position), place(positions[1]));
    assert!(read.is_sorted_by(|a, b| a.position < b.position));
}
