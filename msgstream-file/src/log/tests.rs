//! The log on the disk of this machine. What a crash leaves is made by hand here; the simulation
//! draws it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use msgstream_core::adapter::Failure;
use msgstream_core::record::{Incarnation, Meta, Record};
use msgstream_core::transport::{Fate, Limit};
use tempfile::TempDir;

use super::*;
use crate::disk::of_this_machine;
use crate::format::published::Look;
use crate::format::segment::HEADER;

/// A channel in a folder of its own.
struct Channel {
    folder: TempDir,
    log: Log,
}

const RULES: Rules =
    Rules { sync: SyncMode::Commit, segment_bytes: 1 << 20, max_bytes: None, max_age: None };

impl Channel {
    fn new() -> Self {
        let (folder, disk) = (tempfile::tempdir().unwrap(), of_this_machine().unwrap());
        let path = folder.path().join("c");
        let files = Files::new(10);
        create(&disk, &files, &path, "c", BTreeMap::new(), Incarnation(7)).unwrap();
        let (log, about) = Log::open(&disk, &files, &path).unwrap();
        assert_eq!((about.name.as_str(), about.incarnation), ("c", Incarnation(7)));
        Self { folder, log }
    }

    /// Another process.
    fn reopen(&mut self) -> Result<()> {
        let files = Files::new(10);
        let disk = of_this_machine().unwrap();
        self.log = Log::open(&disk, &files, &self.folder.path().join("c"))?.0;
        Ok(())
    }

    fn held(&self) -> Held {
        self.log.try_lock(Lock::Write).unwrap().unwrap()
    }

    fn append(&self, rules: &Rules, texts: &[&str]) -> Range<u64> {
        self.try_append(rules, texts).unwrap()
    }

    fn try_append(
        &self,
        rules: &Rules,
        texts: &[&str],
    ) -> std::result::Result<Range<u64>, (Fate, Failure)> {
        let records: Vec<_> = texts
            .iter()
            .map(|text| Record::new(Meta::default(), text.as_bytes().to_vec()))
            .collect();
        let (mut stored, mut batch) = (0..0, [Batch::new(&records)]);
        let mut writing = Writing::default();
        self.log.append(&self.held(), &mut writing, &mut batch, rules, |at| stored = at)?;
        Ok(stored)
    }

    /// Returns all offsets and texts from an offset on.
    fn read(&self, from: u64) -> Result<Vec<(u64, String)>> {
        let published = self.log.recover(&self.held())?;
        let (mut place, mut read) = (Place::new(from), Vec::new());
        while place.next < published.end {
            let limit = Limit::default().with_records(2);
            let (records, behind) = self.log.read(&published, &place, limit)?;
            read.extend(records.into_iter().map(|record| {
                let text = String::from_utf8(record.payload.to_vec()).unwrap();
                (record.position.offset(), text)
            }));
            place = behind;
        }
        Ok(read)
    }

    fn texts(&self) -> Vec<String> {
        self.read(0).unwrap().into_iter().map(|(_, text)| text).collect()
    }

    fn count(&self) -> Option<u64> {
        self.log.count(&self.log.recover(&self.held()).unwrap())
    }

    fn repair(&self) -> Vec<(u64, u64)> {
        let lost = self.log.repair(&self.held()).unwrap();
        lost.into_iter().map(|lost| (lost.start, lost.end)).collect()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.log.path(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    /// Lets the published end be of another boot.
    fn restart(&mut self) {
        self.change("end", |bytes| {
            let Look::At(mut published) = Published::look(bytes) else { panic!("it isn't whole") };
            published.boot ^= 1;
            for _ in 0..2 {
                published.generation += 1;
                let at = published.place() as usize;
                let encoded = published.encode();
                bytes[at..at + encoded.len()].copy_from_slice(&encoded);
            }
        });
        self.reopen().unwrap();
    }
}

const FIRST: &str = "00000000000000000000.log";

fn reason(failure: &Failure) -> String {
    match &failure.kind {
        Kind::Damaged { reason } | Kind::Protocol { reason } => reason.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_appended_is_read_across_segments() {
    let channel = Channel::new();
    let rules = Rules { segment_bytes: 100, ..RULES };
    assert_eq!(channel.append(&rules, &["a", "b"]), 0..2);
    assert_eq!(channel.append(&rules, &["c"]), 2..3);
    assert_eq!(channel.append(&rules, &["d", "e", "f"]), 3..6);
    assert_eq!(channel.log.segments().unwrap(), [0, 2, 3]);
    assert_eq!(channel.texts(), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(channel.read(4).unwrap(), [(4, "e".to_owned()), (5, "f".to_owned())]);
    let published = channel.log.published().unwrap().unwrap();
    assert_eq!((published.end, published.durable), (6, 6));
    assert_eq!(channel.log.offset_at(0, &published).unwrap(), 0);
    assert_eq!(channel.log.offset_at(published.time + 1, &published).unwrap(), 6);
    let beyond = channel.log.read(&published, &Place::new(7), Limit::default()).unwrap_err();
    assert!(matches!(beyond.kind, Kind::PositionBeyondEnd { .. }));
}

#[test]
fn a_trim_removes_whole_segments_and_readers_are_told() {
    let channel = Channel::new();
    let rules = Rules { segment_bytes: 100, ..RULES };
    for text in ["a", "b", "c", "d"] {
        channel.append(&rules, &[text]);
    }
    let published = channel.log.published().unwrap().unwrap();
    let (_, place) =
        channel.log.read(&published, &Place::new(0), Limit::default().with_records(1)).unwrap();
    assert_eq!(channel.count(), Some(4));
    channel.log.trim(&channel.held(), 2).unwrap();
    assert_eq!(channel.log.segments().unwrap(), [2, 3]);
    assert_eq!(channel.count(), Some(2));
    // One who has the published end of before reads on where he was, or is told.
    let passed = channel.log.read(&published, &place, Limit::default()).unwrap_err();
    let (position, first) = (Position::new(1), Position::new(2));
    assert_eq!(passed.kind, Kind::PositionTrimmed { position, first });
    assert_eq!(channel.read(2).unwrap()[0], (2, "c".to_owned()));
    let beyond = channel.log.trim(&channel.held(), 5).unwrap_err();
    assert!(matches!(beyond.kind, Kind::PositionBeyondEnd { .. }));
    assert_eq!(channel.log.segments().unwrap(), [2, 3]);
}

#[test]
fn the_oldest_segments_go_when_there_are_too_many_bytes() {
    let channel = Channel::new();
    let rules = Rules { segment_bytes: 100, max_bytes: Some(300), ..RULES };
    for text in ["a", "b", "c", "d", "e"] {
        channel.append(&rules, &[text]);
    }
    let left = channel.log.segments().unwrap();
    assert!(left[0] > 0 && left.ends_with(&[4]), "{left:?}");
    assert_eq!(channel.log.published().unwrap().unwrap().first, left[0]);
}

#[test]
fn what_is_behind_the_published_end_is_never_read_and_is_cut() {
    let channel = Channel::new();
    channel.append(&RULES, &["a"]);
    let whole = fs::read(channel.log.path(FIRST)).unwrap();
    // A frame that is whole, which a writer left that was killed before it published it.
    let mut batch = Batch::new(&[Record::new(Meta::default(), "x")]);
    let like = crate::format::frame::Frame::default();
    batch.put_at(1, like);
    channel.change(FIRST, |bytes| bytes.extend(batch.parts().flatten()));
    assert_eq!(channel.texts(), ["a"]);
    assert_eq!(channel.append(&RULES, &["b"]), 1..2);
    assert_eq!(channel.texts(), ["a", "b"]);
    assert!(fs::read(channel.log.path(FIRST)).unwrap().starts_with(&whole));
}

#[test]
fn a_torn_tail_is_cut_in_the_next_boot() {
    for left in [1, 47, 48, 60] {
        let mut channel = Channel::new();
        channel.append(&RULES, &["a", "b"]);
        let mut batch = Batch::new(&[Record::new(Meta::default(), "torn")]);
        let like = crate::format::frame::Frame { durable: 2, ..Default::default() };
        batch.put_at(2, like);
        channel.change(FIRST, |bytes| bytes.extend(batch.parts().flatten().take(left)));
        channel.restart();
        assert_eq!(channel.log.published().unwrap(), None);
        assert_eq!(channel.texts(), ["a", "b"]);
        assert_eq!(channel.append(&RULES, &["c"]), 2..3);
        channel.restart();
        assert_eq!(channel.texts(), ["a", "b", "c"], "{left} bytes");
    }
}

#[test]
fn a_segment_that_somebody_began_is_the_next_one() {
    let mut channel = Channel::new();
    channel.append(&RULES, &["a"]);
    let mut published = channel.log.published().unwrap().unwrap();
    channel.log.roll(&channel.held(), &mut published, 1).unwrap();
    // It was killed before it published that.
    assert_eq!(channel.append(&RULES, &["b"]), 1..2);
    assert_eq!(channel.log.published().unwrap().unwrap().segment, 1);
    channel.restart();
    assert_eq!(channel.texts(), ["a", "b"]);
}

#[test]
fn offsets_that_may_have_been_seen_are_not_given_out_again() {
    let mut channel = Channel::new();
    let later = Rules { sync: SyncMode::Later, ..RULES };
    channel.append(&later, &["a"]);
    let end = channel.append(&later, &["lost"]).end;
    let published = channel.log.published().unwrap().unwrap();
    assert_eq!((published.durable, published.durable_byte), (0, HEADER as u64));
    channel.change(FIRST, |bytes| bytes.truncate(bytes.len() - 1));
    channel.restart();
    // There is nothing at the old end, nor is there a record.
    assert_eq!(channel.read(end).unwrap(), []);
    let next = channel.append(&later, &["b"]).start;
    assert!(next > end);
    assert_eq!(channel.read(end).unwrap(), [(next, "b".to_owned())]);
    assert_eq!(channel.texts(), ["a", "b"]);
    assert_eq!(channel.count(), Some(2), "offsets without a record aren't counted");
}

#[test]
fn a_sync_makes_durable_what_was_published_before() {
    let channel = Channel::new();
    let later = Rules { sync: SyncMode::Later, ..RULES };
    channel.append(&later, &["a"]);
    channel.log.sync_published(&channel.held()).unwrap();
    let published = channel.log.published().unwrap().unwrap();
    assert_eq!((published.durable, published.durable_byte), (1, published.byte));
}

#[test]
fn damage_is_told_with_its_place_and_repaired_on_request() {
    let mut channel = Channel::new();
    channel.append(&RULES, &["a"]);
    let at = channel.log.published().unwrap().unwrap().byte;
    channel.append(&RULES, &["damaged"]);
    channel.append(&RULES, &["c"]);
    channel.change(FIRST, |bytes| bytes[at as usize + 70] ^= 1);
    channel.reopen().unwrap();
    let told = |failure: &Failure| {
        let reason = reason(failure);
        assert!(reason.contains(FIRST) && reason.contains(&format!("byte {at}")), "{reason}");
    };
    told(&channel.read(0).unwrap_err());
    // In the next boot it is no torn tail: a later frame says that it was durable.
    channel.restart();
    told(&channel.log.recover(&channel.held()).unwrap_err());
    told(&channel.try_append(&RULES, &["d"]).unwrap_err().1);
    assert_eq!(channel.repair(), [(1, 2)]);
    assert_eq!(channel.count(), None, "what was given up has offsets");
    assert_eq!(channel.read(0).unwrap(), [(0, "a".to_owned()), (2, "c".to_owned())]);
    assert_eq!(channel.append(&RULES, &["d"]), 3..4);
    assert_eq!(channel.texts(), ["a", "c", "d"]);
}

#[test]
fn the_last_records_are_given_up_only_on_request() {
    let mut channel = Channel::new();
    channel.append(&RULES, &["a"]);
    let end = channel.append(&RULES, &["damaged"]).end;
    channel.change(FIRST, |bytes| *bytes.last_mut().unwrap() ^= 1);
    // No later frame says that they were durable, but the published end does.
    channel.restart();
    assert!(reason(&channel.log.recover(&channel.held()).unwrap_err()).contains(FIRST));
    assert_eq!(channel.repair(), [(1, end)]);
    assert_eq!(channel.append(&RULES, &["c"]), end..end + 1);
    assert_eq!(channel.texts(), ["a", "c"]);
}

#[test]
fn a_flipped_bit_is_told_or_mended_and_loses_nothing() {
    for name in ["channel", "bounds", "end", FIRST, "00000000000000000002.log", "cursors/one"] {
        let length = {
            let channel = flippable();
            fs::metadata(channel.log.path(name)).unwrap().len() as usize
        };
        for byte in (0..length).step_by(13) {
            let mut channel = flippable();
            channel.change(name, |bytes| bytes[byte] ^= 1 << (byte % 8));
            for restart in [false, true] {
                if restart && name != "end" && name != "channel" {
                    channel.restart();
                }
                let place = format!("byte {byte} of {name}");
                let used = channel.reopen().and_then(|()| use_all(&channel));
                match used {
                    Ok(texts) => assert_eq!(texts[..4], ["a", "b", "c", "d"], "{place}"),
                    Err(failure) => {
                        assert!(reason(&failure).contains(name), "{place}: {failure:?}")
                    }
                }
            }
        }
    }
}

fn flippable() -> Channel {
    let channel = Channel::new();
    let rules = Rules { segment_bytes: 150, ..RULES };
    for texts in [&["a", "b"], &["c", "d"]] {
        channel.append(&rules, texts);
    }
    channel.log.make_cursor(&channel.held(), "one").unwrap();
    channel.log.ack(&channel.held(), "one", 3).unwrap();
    channel
}

/// Does something with each file of a channel.
fn use_all(channel: &Channel) -> Result<Vec<String>> {
    channel.log.trim(&channel.held(), 0)?;
    channel.log.bounds()?;
    let texts = channel.read(0)?.into_iter().map(|(_, text)| text).collect();
    assert_eq!(channel.log.acked("one")?, Some(3));
    channel.try_append(&RULES, &["e"]).map_err(|(_, failure)| failure)?;
    Ok(texts)
}

#[test]
fn the_file_of_another_version_is_named() {
    let mut channel = Channel::new();
    channel.append(&RULES, &["a"]);
    channel.change(FIRST, |bytes| {
        bytes[8] = 2;
        let checksum = crc32c::crc32c(&bytes[..64]);
        bytes[64..68].copy_from_slice(&checksum.to_le_bytes());
    });
    channel.reopen().unwrap();
    let failure = channel.read(0).unwrap_err();
    assert!(matches!(failure.kind, Kind::Protocol { .. }));
    assert!(reason(&failure).contains(FIRST));

    channel.change("channel", |bytes| {
        let mut body = b"{\"version\":2,\"else\":1}\n".to_vec();
        let checksum = crc32c::crc32c(&body);
        body.extend(format!("{checksum:08x}\n").bytes());
        *bytes = body;
    });
    let failure = channel.reopen().unwrap_err();
    assert!(reason(&failure).contains("format version 2"), "{failure:?}");
}

#[test]
fn a_cursor_never_moves_back() {
    let channel = Channel::new();
    channel.append(&RULES, &["a", "b"]);
    assert_eq!(channel.log.acked("one").unwrap(), None);
    channel.log.make_cursor(&channel.held(), "one").unwrap();
    assert_eq!(channel.log.acked("one").unwrap(), None);
    for (before, acked) in [(1, 1), (2, 2), (1, 2)] {
        channel.log.ack(&channel.held(), "one", before).unwrap();
        assert_eq!(channel.log.acked("one").unwrap(), Some(acked));
    }
    let beyond = channel.log.ack(&channel.held(), "one", 3).unwrap_err();
    assert!(matches!(beyond.kind, Kind::PositionBeyondEnd { .. }));
    channel.log.remove_cursor(&channel.held(), "one").unwrap();
    assert_eq!(channel.log.acked("one").unwrap(), None);
}

#[test]
fn a_deleted_channel_is_gone_for_those_who_have_it_open() {
    let channel = Channel::new();
    channel.append(&RULES, &["a"]);
    delete(&channel.log, &channel.held()).unwrap();
    assert_eq!(channel.log.published().unwrap_err().kind, Kind::NotFound);
    assert_eq!(channel.log.try_lock(Lock::Write).unwrap_err().kind, Kind::NotFound);
    assert_eq!(fs::read_dir(channel.folder.path()).unwrap().count(), 0);

    let (disk, files) = (of_this_machine().unwrap(), Files::new(10));
    let path = channel.folder.path().join("c");
    create(&disk, &files, &path, "c", BTreeMap::new(), Incarnation(8)).unwrap();
    let (expected, found) = (Incarnation(7), Incarnation(8));
    let replaced = Kind::WrongIncarnation { expected, found };
    assert_eq!(channel.log.published().unwrap_err().kind, replaced);
    assert_eq!(channel.log.acked("one").unwrap_err().kind, replaced);
    let again = create(&disk, &files, &path, "c", BTreeMap::new(), Incarnation(9)).unwrap_err();
    assert_eq!(again.kind, Kind::AlreadyExists);
}

#[test]
fn a_copy_without_its_published_end_is_a_channel() {
    let mut channel = Channel::new();
    let later = Rules { sync: SyncMode::Later, ..RULES };
    channel.append(&later, &["a"]);
    fs::remove_file(channel.log.path("end")).unwrap();
    channel.reopen().unwrap();
    assert_eq!(channel.texts(), ["a"]);
    assert!(channel.append(&later, &["b"]).start > 1);
}
