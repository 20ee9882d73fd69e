//! Giving up what is damaged.

use std::fs;
use std::ops::Range;
use std::path::Path;

use msgstream_core::record::Position;
use msgstream_core::transport::{Start, Transport, TransportErrorKind as Kind, TransportExt};

use crate::damage::{filled, flip, frames, segments, some_of};
use crate::kit::{open, read, read_some, reader, record, write};

fn lost(offsets: Range<u64>) -> Range<Position> {
    Position::new(offsets.start)..Position::new(offsets.end)
}

#[tokio::test]
async fn what_is_sound_needs_no_repair() {
    let (folder, _) = filled().await;
    let files = open(folder.path()).await;
    assert_eq!(files.repair("orders").await.unwrap(), []);
    assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
    let error = files.repair("prices").await.unwrap_err();
    assert_eq!((error.kind(), error.channel()), (&Kind::NotFound, Some("prices")));
    files.close().await.unwrap();
    assert_eq!(*files.repair("orders").await.unwrap_err().kind(), Kind::Closed);
}

/// Damages one record of 40, in a header or in what follows it, and checks that it alone is lost.
async fn loses_one(segment: impl Fn(&Path) -> std::path::PathBuf, frame: usize, byte: usize) {
    let (folder, channel) = filled().await;
    let path = segment(&channel);
    let gone = frames(&path)[frame].first;
    let files = open(folder.path()).await;
    let mut before = reader(&files, "orders").await;
    flip(&path, frames(&path)[frame].header.start + byte);
    let (sound, error) = read_some(&mut *before).await;
    assert_eq!(sound, Vec::from_iter(0..gone), "{error:?}");

    assert_eq!(files.repair("orders").await.unwrap(), [lost(gone..gone + 1)]);
    assert_eq!(files.repair("orders").await.unwrap(), []);
    let (rest, error) = read_some(&mut *before).await;
    assert_eq!(rest, Vec::from_iter(gone + 1..40), "{error:?}");
    // What was there keeps its position, and what comes gets the next one.
    write(&files, "orders", [40]).await;
    let left: Vec<_> = (0..41).filter(|number| *number != gone).collect();
    assert_eq!(read(&files, "orders").await, left);
    for number in left {
        let mut at = files.reader("orders", Start::At(Position::new(number))).await.unwrap();
        let first = at.read(Default::default()).await.unwrap().records.swap_remove(0);
        assert_eq!(crate::kit::number(&first), number);
        assert_eq!(first.position, Position::new(number));
    }
    // A reader may begin in the gap.
    let mut at = files.reader("orders", Start::At(Position::new(gone))).await.unwrap();
    let next = read_some(&mut *at).await.0.first().copied();
    assert_eq!(next, Some(gone + 1));
    assert_eq!(read(&open(folder.path()).await, "orders").await.len(), 40);
}

#[tokio::test]
async fn a_damaged_record_is_lost_alone_wherever_it_is() {
    for byte in [0, 13, 47, 48, 300] {
        loses_one(|channel| segments(channel)[0].clone(), 0, byte).await;
        loses_one(|channel| segments(channel)[1].clone(), 2, byte).await;
        // The last of a segment, and the last of all.
        loses_one(|channel| segments(channel)[1].clone(), frames_of_a_segment(), byte).await;
    }
}

/// Returns the index of the last frame in each segment.
fn frames_of_a_segment() -> usize {
    // 500 bytes each, in segments that are full at 4096.
    6
}

#[tokio::test]
async fn the_last_record_of_all_is_lost_and_its_position_with_it() {
    let (folder, channel) = filled().await;
    let path = segments(&channel).pop().unwrap();
    let last = frames(&path).pop().unwrap();
    assert_eq!(last.first, 39);
    flip(&path, last.records.start);
    let files = open(folder.path()).await;
    assert_eq!(files.repair("orders").await.unwrap(), [lost(39..40)]);
    let stored = files.writer("orders").await.unwrap().submit(vec![record(40)]).await.stored;
    assert_eq!(stored, [Position::new(40)]);
    let left: Vec<_> = (0..39).chain([40]).collect();
    assert_eq!(read(&files, "orders").await, left);
}

#[tokio::test]
async fn damage_in_several_places_is_told_place_by_place() {
    let (folder, channel) = filled().await;
    let paths = segments(&channel);
    let (one, other) = (frames(&paths[0]), frames(&paths[2]));
    // Two neighbours, and one elsewhere.
    flip(&paths[0], one[1].records.start);
    flip(&paths[0], one[2].header.start);
    flip(&paths[2], other[3].records.end - 1);
    let files = open(folder.path()).await;
    let gone = other[3].first;
    let told = files.repair("orders").await.unwrap();
    let all: Vec<_> = told.iter().flat_map(|lost| lost.start.offset()..lost.end.offset()).collect();
    assert_eq!(all, [1, 2, gone]);
    let left: Vec<_> = (0..40).filter(|number| !all.contains(number)).collect();
    assert_eq!(read(&files, "orders").await, left);
}

#[tokio::test]
async fn what_cant_be_given_up_is_refused_and_left_as_it_is() {
    let (folder, channel) = filled().await;
    let path = segments(&channel).swap_remove(1);
    for byte in some_of(&(0..60)) {
        flip(&path, byte);
        let damaged = fs::read(&path).unwrap();
        let files = open(folder.path()).await;
        let error = files.repair("orders").await.unwrap_err();
        assert!(matches!(error.kind(), Kind::Damaged { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
        flip(&path, byte);
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
    }
}

#[tokio::test]
async fn what_is_left_behind_the_end_of_a_segment_is_no_record() {
    for length in [8, 40, 400] {
        let (folder, channel) = filled().await;
        // As a cut that wasn't durable leaves it.
        let path = segments(&channel).swap_remove(1);
        let mut bytes = fs::read(&path).unwrap();
        bytes.resize(bytes.len() + length, 7);
        fs::write(&path, bytes).unwrap();
        let files = open(folder.path()).await;
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
        assert_eq!(files.repair("orders").await.unwrap(), []);
        assert_eq!(read(&files, "orders").await, Vec::from_iter(0..40));
    }
}
