//! Files of another version.

use std::fs;
use std::path::Path;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt,
};
use msgstream_file::{FileTransport, SyncPolicy};

use crate::damage::{filled, segments};
use crate::kit::{config, open, read, read_some, reader, refused};

/// Makes a small file one of another version, and returns what it was.
fn raise(path: &Path) -> Vec<u8> {
    let before = fs::read(path).unwrap();
    let text = String::from_utf8(before.clone()).unwrap();
    let body = text.lines().next().unwrap().replace("\"version\":1", "\"version\":2") + "\n";
    assert!(body.contains("\"version\":2"));
    let checksum = crc32c::crc32c(body.as_bytes());
    fs::write(path, format!("{body}{checksum:08x}\n")).unwrap();
    before
}

#[track_caller]
fn is_another(error: &TransportError, path: &Path) {
    assert!(matches!(error.kind(), Kind::Protocol { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("format version 2") && text.contains(path.to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn a_channel_of_another_version_is_left_alone() {
    let (folder, channel) = filled().await;
    let path = channel.join("channel");
    let before = raise(&path);
    let files = open(folder.path()).await;
    is_another(&files.describe("orders").await.unwrap_err(), &path);
    is_another(&files.reader("orders", Start::Earliest).await.unwrap_err(), &path);
    is_another(&files.writer("orders").await.unwrap_err(), &path);
    is_another(&files.delete("orders").await.unwrap_err(), &path);
    fs::write(&path, before).unwrap();
    assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
}

#[tokio::test]
async fn bounds_and_cursors_of_another_version_are_left_alone() {
    let (folder, channel) = filled().await;
    let files = FileTransport::open(config(folder.path()).with_sync(SyncPolicy::Os)).await.unwrap();
    let bounds = channel.join("bounds");
    let before = raise(&bounds);
    is_another(&refused(&files, "orders").await, &bounds);
    fs::write(&bounds, before).unwrap();

    let billing = channel.join("cursors/billing");
    let cursor = files.subscription("orders", "billing").await.unwrap();
    let before = raise(&billing);
    is_another(&cursor.acked().await.unwrap_err(), &billing);
    is_another(&cursor.ack(Position::new(8)).await.unwrap_err(), &billing);
    fs::write(&billing, before).unwrap();
    cursor.ack(Position::new(8)).await.unwrap();
}

#[tokio::test]
async fn a_segment_of_another_version_is_left_alone() {
    let (folder, channel) = filled().await;
    let path = segments(&channel).swap_remove(2);
    let before = fs::read(&path).unwrap();
    let mut raised = before.clone();
    raised[8] = 2;
    let checksum = crc32c::crc32c(&raised[..64]);
    raised[64..68].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, raised).unwrap();

    let files = open(folder.path()).await;
    let mut reader = reader(&files, "orders").await;
    let (sound, error) = read_some(&mut *reader).await;
    is_another(&error.unwrap(), &path);
    is_another(&files.repair("orders").await.unwrap_err(), &path);
    fs::write(&path, before).unwrap();
    let (rest, _) = read_some(&mut *reader).await;
    assert_eq!([sound, rest].concat(), Vec::from_iter(0..40));
}
