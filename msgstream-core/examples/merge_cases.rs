//! Runs the merge on recorded cases and compares every pack and every checkpoint.
//!
//! `cargo run --release -p msgstream-core --example merge_cases -- FILE...`
//!
//! A file, plain text or `.gz`, with or without sessions, has one case a line: what the channels
//! hold, and the packs that must come out, each with its checkpoint. A case passes when the packs
//! and the marks come out the same in several interleavings, and when resuming from each checkpoint
//! returns the packs after it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::ExitCode;
use std::sync::Arc;

use msgstream_core::checkpoint::Checkpoint;
use msgstream_core::merge::{LatePolicy, TickSource};
use msgstream_core::merge::{Merge, MergeConfig};
use msgstream_core::record::{Header, Meta, Origin, Position, Record, Stamp};
use msgstream_core::{MsgPack, MsgType, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    seed: u64,
    #[serde(rename = "grid")]
    interval: u64,
    channels: BTreeMap<String, Vec<Entry>>,
    packs: Vec<Pack>,
}

/// One record of a channel; its position is its index.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    /// Time, then producer, epoch and number where a session wrote it.
    Message(MessageTag, u64, Option<String>, Option<u64>, Option<u64>),
    Tick(TickTag, u64),
    /// Producer, epoch.
    Fence(FenceTag, String, u64),
}

#[derive(Deserialize)]
enum MessageTag {
    #[serde(rename = "m")]
    Tag,
}

#[derive(Deserialize)]
enum TickTag {
    #[serde(rename = "t")]
    Tag,
}

#[derive(Deserialize)]
enum FenceTag {
    #[serde(rename = "f")]
    Tag,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Pack {
    begin: Option<u64>,
    end: u64,
    /// Channel, position, time, late.
    messages: Vec<(String, u64, u64, bool)>,
    checkpoint: Expected,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Expected {
    frontier: u64,
    channels: BTreeMap<String, ExpectedMark>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct ExpectedMark {
    resume: u64,
    #[serde(rename = "floor")]
    watermark: Option<u64>,
    cut: Option<u64>,
    /// Epoch and last number of each producer at the cut; cases without sessions have none.
    #[serde(default)]
    producers: BTreeMap<String, (u64, u64)>,
    #[serde(default)]
    dropped: Vec<u64>,
}

fn record(msg_type: MsgType, ts: u64) -> Record {
    Record::new(Meta::new(msg_type, Timestamp(ts)), Vec::new())
}

fn records(entries: &[Entry]) -> Vec<Record> {
    let mut records: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            Entry::Message(_, ts, producer, epoch, seq) => {
                let mut record = record(MsgType::INSERT, *ts);
                if let (Some(producer), Some(epoch), Some(seq)) = (producer, epoch, seq) {
                    let (producer, epoch) = (producer.as_str().into(), Position::new(*epoch));
                    let origin = Arc::new(Origin { producer, epoch });
                    record.meta.stamp = Some(Stamp { origin, seq: *seq });
                }
                record
            }
            Entry::Tick(_, ts) => record(MsgType::TIME_TICK, *ts),
            Entry::Fence(_, producer, epoch) => {
                let mut record = record(MsgType::TIME_TICK, 0);
                let fence = format!("{producer};{epoch};fence;0");
                record.extra.push(Header::new(Stamp::HEADER, fence));
                record
            }
        })
        .collect();
    for (position, record) in (0..).zip(&mut records) {
        record.position = Position::new(position);
    }
    records
}

/// The pack that came out, in the form of the file.
fn observed(pack: &MsgPack) -> Pack {
    let mark = |mark: &msgstream_core::Mark| ExpectedMark {
        resume: mark.resume.offset(),
        watermark: mark.watermark.map(|t| t.0),
        cut: mark.cut.map(Position::offset),
        producers: mark
            .producers
            .iter()
            .map(|(name, state)| (name.to_string(), (state.epoch.offset(), state.last)))
            .collect(),
        dropped: mark.dropped.iter().map(|position| position.offset()).collect(),
    };
    Pack {
        begin: pack.begin_ts.map(|t| t.0),
        end: pack.end_ts.0,
        messages: pack
            .msgs
            .iter()
            .filter_map(|m| m.stored())
            .map(|m| {
                (
                    m.channel.to_string(),
                    m.record.position.offset(),
                    m.record.meta.timestamp.0,
                    m.late,
                )
            })
            .collect(),
        checkpoint: Expected {
            frontier: pack.end.frontier.map_or(0, |t| t.0),
            channels: pack.end.channels.iter().map(|(n, m)| (n.to_string(), mark(m))).collect(),
        },
    }
}

/// Which channel is read next, and how much of it.
type Order<'a> = &'a mut dyn FnMut(usize) -> (usize, usize);

fn run(
    case: &Case,
    checkpoint: Checkpoint,
    order: Order<'_>,
) -> Result<Vec<MsgPack>, msgstream_core::Error> {
    let config =
        MergeConfig::default().with_align_to(case.interval).with_late_policy(LatePolicy::Deliver);
    let resume_at: BTreeMap<String, u64> =
        checkpoint.channels.iter().map(|(n, m)| (n.to_string(), m.resume.offset())).collect();
    let mut merge = Merge::resume(config, checkpoint)?;
    let mut readers = Vec::new();
    for (name, entries) in &case.channels {
        let slot = merge.add(name.as_str().into(), TickSource::Written)?;
        let from = resume_at.get(name).copied().unwrap_or(0);
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        readers.push((slot, records(entries).into_iter().skip(skip).peekable(), from));
    }
    let mut packs = Vec::new();
    while !readers.is_empty() {
        let (which, many) = order(readers.len());
        let (slot, records, next) = &mut readers[which];
        let mut batch: Vec<_> = records.by_ref().take(many).collect();
        *next += batch.len() as u64;
        merge.push(*slot, &mut batch, Position::new(*next))?;
        if records.peek().is_none() {
            drop(readers.remove(which));
        }
        while let Some(pack) = merge.advance()? {
            packs.push(pack);
        }
    }
    Ok(packs)
}

fn check(case: &Case) -> Result<(), String> {
    let mut state = case.seed;
    let mut random = move |below: usize| {
        // A linear congruential generator: which interleaving it is doesn't matter.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut reference = Vec::new();
    for interleaving in ["one by one", "backwards", "at random"] {
        let mut order = |channels: usize| match interleaving {
            "one by one" => (0, usize::MAX),
            "backwards" => (channels - 1, 1),
            _ => (random(channels), 1 + random(9)),
        };
        reference = run(case, Checkpoint::default(), &mut order).map_err(|e| e.to_string())?;
        compare(&case.packs, &reference).map_err(|e| format!("read {interleaving}: {e}"))?;
    }
    for (index, pack) in reference.iter().enumerate() {
        // As text, the way a checkpoint is stored.
        let stored = serde_json::to_string(&pack.end).map_err(|e| e.to_string())?;
        let checkpoint = serde_json::from_str(&stored).map_err(|e| e.to_string())?;
        let again = run(case, checkpoint, &mut |channels| (random(channels), 1 + random(9)))
            .map_err(|e| e.to_string())?;
        compare(&case.packs[index + 1..], &again)
            .map_err(|e| format!("resumed after pack {index}: {e}"))?;
    }
    Ok(())
}

fn compare(expected: &[Pack], packs: &[MsgPack]) -> Result<(), String> {
    for (index, (want, pack)) in expected.iter().zip(packs).enumerate() {
        let got = observed(pack);
        if *want != got {
            return Err(format!("pack {index} differs\n  expected {want:?}\n  got      {got:?}"));
        }
    }
    if expected.len() != packs.len() {
        return Err(format!("{} packs expected, {} came out", expected.len(), packs.len()));
    }
    Ok(())
}

fn open(path: &str) -> std::io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    let reader: Box<dyn Read> = if path.ends_with(".gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    Ok(Box::new(BufReader::new(reader)))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: merge_cases FILE...");
        return Ok(ExitCode::from(2));
    }
    let (mut passed, mut failed) = (0u32, 0u32);
    for path in &files {
        for (number, line) in open(path).map_err(|e| format!("{path}: {e}"))?.lines().enumerate() {
            let line = line.map_err(|e| format!("{path}: {e}"))?;
            let outcome = serde_json::from_str::<Case>(&line)
                .map_err(|e| format!("not a case: {e}"))
                .and_then(|case| check(&case).map_err(|e| format!("seed {}: {e}", case.seed)));
            match outcome {
                Ok(()) => passed += 1,
                Err(difference) => {
                    if failed == 0 {
                        println!("{path}, line {}: {difference}", number + 1);
                    }
                    failed += 1;
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
