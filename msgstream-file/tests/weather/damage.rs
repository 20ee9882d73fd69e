//! Bits that flip, in each kind of file.

use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use msgstream_core::record::Position;
use msgstream_core::transport::{
    Limit, Start, Transport, TransportError, TransportErrorKind as Kind, TransportExt,
};
use msgstream_file::{FileTransport, SyncPolicy};
use tempfile::TempDir;

use crate::kit::{config, number, open, read, read_some, reader, refused, write};

/// The sizes of what comes before the frames of a segment, and before the records of a frame.
const SEGMENT_HEADER: usize = 72;
const FRAME_HEADER: usize = 48;

/// A frame in a segment.
pub(crate) struct Frame {
    pub(crate) first: u64,
    pub(crate) header: Range<usize>,
    pub(crate) records: Range<usize>,
}

/// Returns the frames of a segment.
pub(crate) fn frames(path: &Path) -> Vec<Frame> {
    let bytes = fs::read(path).unwrap();
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut frames, mut at) = (Vec::new(), SEGMENT_HEADER);
    while at < bytes.len() {
        let records = at + FRAME_HEADER..at + FRAME_HEADER + u32_at(at + 8);
        let first = u64::from_le_bytes(bytes[at + 16..at + 24].try_into().unwrap());
        let next = records.end.next_multiple_of(8);
        frames.push(Frame { first, header: at..at + FRAME_HEADER, records });
        at = next;
    }
    frames
}

/// Returns the segments of a channel, in order.
pub(crate) fn segments(channel: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(channel).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
    let mut paths: Vec<_> = entries.filter(is_segment).collect();
    paths.sort();
    paths
}

pub(crate) fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Some bytes of a range: the first, the last and one between.
pub(crate) fn some_of(range: &Range<usize>) -> [usize; 3] {
    [range.start, range.start + range.len() / 2, range.end - 1]
}

fn whole(path: &Path) -> Range<usize> {
    0..fs::read(path).unwrap().len()
}

/// A folder with a channel of several segments.
pub(crate) async fn filled() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path()).await;
    files.create("orders").await.unwrap();
    write(&files, "orders", 0..40).await;
    files.subscription("orders", "billing").await.unwrap().ack(Position::new(7)).await.unwrap();
    files.close().await.unwrap();
    let channel = folder.path().join("orders");
    assert!(segments(&channel).len() > 4);
    (folder, channel)
}

#[track_caller]
fn assert_damaged(error: &TransportError, path: &Path) {
    assert!(matches!(error.kind(), Kind::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

/// All that was written is there, and more can be written, once the bit is right again.
async fn goes_on(folder: &Path, next: &mut u64) {
    let files = open(folder).await;
    write(&files, "orders", [*next]).await;
    *next += 1;
    assert_eq!(read(&files, "orders").await, Vec::from_iter(0..*next));
    let cursor = files.subscription("orders", "billing").await.unwrap();
    assert_eq!(cursor.acked().await.unwrap(), Some(Position::new(7)));
}

#[tokio::test]
async fn a_channel_whose_own_file_is_damaged_is_refused_as_a_whole() {
    let (folder, channel) = filled().await;
    let (path, mut next) = (channel.join("channel"), 40);
    for byte in some_of(&whole(&path)) {
        flip(&path, byte);
        let files = open(folder.path()).await;
        assert_damaged(&files.describe("orders").await.unwrap_err(), &path);
        assert_damaged(&files.writer("orders").await.unwrap_err(), &path);
        assert_damaged(&files.reader("orders", Start::Earliest).await.unwrap_err(), &path);
        assert_damaged(&files.subscription("orders", "billing").await.unwrap_err(), &path);
        assert_damaged(&files.repair("orders").await.unwrap_err(), &path);
        assert_eq!(*files.create("orders").await.unwrap_err().kind(), Kind::AlreadyExists);
        flip(&path, byte);
        goes_on(folder.path(), &mut next).await;
    }
}

#[tokio::test]
async fn damaged_bounds_stop_who_needs_them_and_no_reader() {
    let (folder, channel) = filled().await;
    let (path, mut next) = (channel.join("bounds"), 40);
    for byte in some_of(&whole(&path)) {
        flip(&path, byte);
        // It reserves offsets, and these are in the bounds.
        let config = config(folder.path()).with_sync(SyncPolicy::Os);
        let files = FileTransport::open(config).await.unwrap();
        assert_damaged(&refused(&files, "orders").await, &path);
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..next));
        flip(&path, byte);
        goes_on(folder.path(), &mut next).await;
    }
}

#[tokio::test]
async fn a_damaged_end_is_found_anew() {
    let (folder, channel) = filled().await;
    let (path, mut next) = (channel.join("end"), 40);
    for byte in some_of(&whole(&path)).into_iter().chain([130, 200]) {
        flip(&path, byte);
        assert_eq!(read(&open(folder.path()).await, "orders").await, Vec::from_iter(0..next));
        goes_on(folder.path(), &mut next).await;
        flip(&path, byte);
        goes_on(folder.path(), &mut next).await;
    }
    fs::remove_file(&path).unwrap();
    goes_on(folder.path(), &mut next).await;
}

#[tokio::test]
async fn a_damaged_cursor_is_no_earlier_or_later_one() {
    let (folder, channel) = filled().await;
    let (path, mut next) = (channel.join("cursors/billing"), 40);
    let files = open(folder.path()).await;
    let cursor = files.subscription("orders", "billing").await.unwrap();
    for byte in some_of(&whole(&path)) {
        flip(&path, byte);
        assert_damaged(&cursor.acked().await.unwrap_err(), &path);
        assert_damaged(&cursor.ack(Position::new(8)).await.unwrap_err(), &path);
        assert_damaged(&files.subscription("orders", "billing").await.unwrap_err(), &path);
        let other = files.subscription("orders", "shipping").await.unwrap();
        other.ack(Position::new(3)).await.unwrap();
        flip(&path, byte);
        goes_on(folder.path(), &mut next).await;
    }
    flip(&path, 0);
    files.unsubscribe("orders", "billing").await.unwrap();
    let again = files.subscription("orders", "billing").await.unwrap();
    assert_eq!(again.acked().await.unwrap(), None);
}

#[tokio::test]
async fn a_damaged_frame_is_read_up_to_and_no_further() {
    let (folder, channel) = filled().await;
    let all = segments(&channel);
    let mut next = 40;
    for path in [&all[0], &all[2], all.last().unwrap()] {
        let frames = frames(path);
        for frame in [&frames[0], frames.last().unwrap()] {
            for part in [&frame.header, &frame.records] {
                for byte in some_of(part) {
                    flip(path, byte);
                    stops(folder.path(), path, byte, frame.first..=frame.first, next).await;
                }
            }
        }
        goes_on(folder.path(), &mut next).await;
    }
}

#[tokio::test]
async fn a_segment_with_a_damaged_header_is_not_read() {
    let (folder, channel) = filled().await;
    let all = segments(&channel);
    let mut next = 40;
    for place in [0, 2, all.len() - 1] {
        let first = |place: usize| frames(&all[place])[0].first;
        // It says where the segment before it ends.
        let sound = first(place.saturating_sub(1))..=first(place);
        for byte in some_of(&(0..SEGMENT_HEADER - 4)) {
            flip(&all[place], byte);
            stops(folder.path(), &all[place], byte, sound.clone(), next).await;
        }
        goes_on(folder.path(), &mut next).await;
    }
}

/// Checks that a reader stops between two records, again and again, until the bit is right again.
async fn stops(folder: &Path, path: &Path, byte: usize, between: RangeInclusive<u64>, end: u64) {
    let files = open(folder).await;
    let mut reader = reader(&files, "orders").await;
    let (sound, error) = read_some(&mut *reader).await;
    let stopped = sound.len() as u64;
    assert!(between.contains(&stopped), "at {stopped}: byte {byte} of {}", path.display());
    assert_eq!(sound, Vec::from_iter(0..stopped));
    assert_damaged(&error.unwrap(), path);
    // It isn't passed over the second time either.
    let (more, error) = read_some(&mut *reader).await;
    assert!(more.is_empty());
    assert_damaged(&error.unwrap(), path);
    // However much is read at a time, what is sound comes first.
    let (mut at_once, mut numbers) = (crate::kit::reader(&files, "orders").await, Vec::new());
    let error = loop {
        match at_once.read(Limit::default().with_wait(Duration::ZERO)).await {
            Ok(batch) => numbers.extend(batch.records.iter().map(number)),
            Err(error) => break error,
        }
    };
    assert_eq!(numbers, sound);
    assert_damaged(&error, path);
    flip(path, byte);
    let (rest, error) = read_some(&mut *reader).await;
    assert_eq!(rest, Vec::from_iter(stopped..end), "{error:?}");
}
