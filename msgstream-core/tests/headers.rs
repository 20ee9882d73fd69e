//! The headers of records, as each version wrote them, are read. `WRITE_FORMATS=1` writes those of the present
//! version first.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use msgstream_core::adapter::{encode_headers, read_record};
use msgstream_core::record::{
    END_HEADER, Header, Meta, Origin, Position, Record, SENT_HEADER, Stamp,
};
use msgstream_core::{MsgType, MsgTypeNames, Timestamp};
use serde::{Deserialize, Serialize};

/// The version that is written. One more is a file more, and this number.
const VERSION: u32 = 1;

/// A record, and what a broker has of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    about: String,
    headers: Vec<(String, String)>,
}

fn file(version: u32) -> PathBuf {
    let name = format!("tests/data/headers-{version}.json");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn record(msg_type: MsgType, change: impl FnOnce(&mut Record)) -> Record {
    let mut record =
        Record::new(Meta::new(msg_type, Timestamp(445_644_800_000_000_000)), "payload");
    change(&mut record);
    record
}

fn stamp(seq: u64) -> Option<Stamp> {
    let epoch = Position::from_words([1, 2, 3]);
    Some(Stamp { origin: Arc::new(Origin { producer: "shop-1".into(), epoch }), seq })
}

/// One of each kind of what headers say, in the order of the files.
fn records() -> Vec<(&'static str, Record)> {
    vec![
        ("a message", record(MsgType::INSERT, |_| {})),
        (
            "a message with all metadata",
            record(MsgType::DELETE, |record| {
                (record.meta.msg_id, record.meta.collection_id) = (-7, i64::MAX);
                record.meta.vchannel = Some("by-dev-rootcoord-dml_3_42v0".into());
            }),
        ),
        ("a message of a type without a name", record(MsgType(70_001), |_| {})),
        ("a message of a session", record(MsgType::INSERT, |r| r.meta.stamp = stamp(9))),
        ("a tick of a session", record(MsgType::TIME_TICK, |r| r.meta.stamp = stamp(10))),
        (
            "a tick that messages were sent ahead of",
            record(MsgType::TIME_TICK, |record| {
                record.meta.stamp = stamp(10);
                record.extra.push(Header::new(SENT_HEADER, "42"));
            }),
        ),
        (
            "the end of a channel",
            record(MsgType::TIME_TICK, |r| r.extra.push(Header::new(END_HEADER, "1"))),
        ),
        (
            "a message with a header and a key, where the broker has no place for keys",
            record(MsgType::INSERT, |record| {
                record.extra.push(Header::new("colour", "blue"));
                *record = std::mem::take(record).with_key("ann");
            }),
        ),
    ]
}

fn stored() -> Vec<Stored> {
    let names = MsgTypeNames::default();
    let stored = records().into_iter().map(|(about, record)| Stored {
        about: about.to_owned(),
        headers: encode_headers(&record, &names)
            .map(|(name, value)| (name.to_owned(), String::from_utf8(value.into()).unwrap()))
            .collect(),
    });
    stored.collect()
}

#[test]
fn the_headers_of_every_version_are_read() {
    if std::env::var_os("WRITE_FORMATS").is_some() {
        let text = serde_json::to_string_pretty(&stored()).unwrap();
        fs::write(file(VERSION), text + "\n").unwrap();
    }
    for version in 1..=VERSION {
        let read: Vec<Stored> =
            serde_json::from_str(&fs::read_to_string(file(version)).unwrap()).unwrap();
        let mut expected = records().into_iter();
        for stored in &read {
            let (about, record) = expected.next().unwrap();
            assert_eq!(stored.about, about, "version {version}");
            let headers = stored.headers.iter().map(|(name, value)| (name, value.as_bytes()));
            let names = MsgTypeNames::default();
            let found = read_record(Position::default(), headers, "payload".into(), &names);
            assert_eq!(found, record, "version {version}: {about}");
        }
        if version == VERSION {
            assert_eq!(read, stored(), "what is written has changed: it is a new version");
        }
    }
}
