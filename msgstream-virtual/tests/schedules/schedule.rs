//! One seed decides what is written, and who reads when.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::merge::{Merge, MergeConfig};
use msgstream_core::record::{Meta, Position, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, Start, Transport, TransportError, TransportExt as _,
};
use msgstream_core::{LatePolicy, MsgType, TickSource, Timestamp};
use msgstream_mem::MemTransport;
use msgstream_virtual::{Placement, Virtual};
use tokio::runtime::Runtime;

const CHANNELS: [&str; 3] = ["a", "b", "c"];
const PHYSICAL: &str = "log_0";
/// More reads than any reader needs to get to the end.
const PATIENCE: usize = 2_000;

pub(crate) struct Schedule {
    random: Random,
    now: u64,
    /// What stands in the log.
    log: Vec<Record>,
}

/// A reader, and what it got from where on.
struct Reading {
    channel: &'static str,
    from: Position,
    reader: Box<dyn ChannelReader>,
    got: Vec<Record>,
    /// It reads nothing until the end.
    stalled: bool,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed), now: 1, log: Vec::new() }
    }

    /// Runs it. Returns whether a reader lagged behind another one by more than its queue.
    pub(crate) fn run(mut self, runtime: &Runtime) -> Result<bool, String> {
        runtime.block_on(self.go())
    }

    async fn go(&mut self) -> Result<bool, String> {
        let broker = Arc::new(MemTransport::new(Default::default()));
        broker.create(PHYSICAL).await.map_err(text)?;
        let size = message(0, Some("a")).footprint();
        // The window holds few records, a queue still fewer.
        let (window, queue) = (self.random.up_to(12) as usize, self.random.up_to(4) as usize);
        let channels = Virtual::over(broker.clone(), Placement::hash(1, "log"))
            .with_hub_bytes((window + 1) * size)
            .with_queue_bytes((queue + 1) * size);
        let mut readings: Vec<Reading> = Vec::new();
        let mut lagged = false;
        for _ in 0..20 + self.random.up_to(40) {
            match self.random.up_to(10) {
                0..=3 => self.write(&*broker).await.map_err(text)?,
                4 if readings.len() < 5 => readings.push(self.open(&channels).await.map_err(text)?),
                5 if !readings.is_empty() => {
                    let left = readings.swap_remove(self.random.below(readings.len()));
                    self.check(&left, false)?;
                }
                6 if !readings.is_empty() => {
                    let at = self.random.below(readings.len());
                    readings[at].stalled = self.random.up_to(3) == 0;
                }
                _ if !readings.is_empty() => {
                    let at = self.random.below(readings.len());
                    let records = 1 + self.random.below(4);
                    read(&mut readings[at], records).await.map_err(text)?;
                }
                _ => {}
            }
        }
        for reading in readings.iter().filter(|reading| reading.stalled) {
            lagged |= self.own(reading).len() > reading.got.len() + queue + 1;
        }
        // Those that don't stall come to the end first, then the others.
        for stalled in [false, true] {
            for reading in readings.iter_mut().filter(|reading| reading.stalled == stalled) {
                reading.stalled = false;
                let mut reads = 0;
                while !read(reading, 3).await.map_err(text)? {
                    reads += 1;
                    if reads > PATIENCE {
                        return Err(format!("a reader of {} gets no further", reading.channel));
                    }
                }
            }
        }
        for reading in &readings {
            self.check(reading, true)?;
        }
        Ok(lagged)
    }

    /// Writes some records, as producers of the virtual channels and of the physical one do.
    async fn write(&mut self, broker: &dyn Transport) -> Result<(), TransportError> {
        let mut records = Vec::new();
        for _ in 0..=self.random.up_to(6) {
            let vchannel = match self.random.up_to(7) {
                0 => None,
                n => Some(CHANNELS[n as usize % 3]),
            };
            records.push(match self.random.up_to(4) {
                0 => {
                    self.now += self.random.up_to(5);
                    tick(self.now, vchannel)
                }
                _ => message(self.now + self.random.up_to(8), vchannel),
            });
        }
        let outcome = broker.writer(PHYSICAL).await?.submit(records.clone()).await;
        for (record, position) in records.iter_mut().zip(outcome.stored) {
            record.position = position;
        }
        self.log.append(&mut records);
        Ok(())
    }

    async fn open(&mut self, channels: &Virtual) -> Result<Reading, TransportError> {
        let channel = CHANNELS[self.random.below(3)];
        let end = self.log.len();
        let at = Position::new(self.random.below(end + 1) as u64);
        let (start, from) = match self.random.up_to(4) {
            0 => (Start::Latest, Position::new(end as u64)),
            1 => (Start::At(at), at),
            2 if at.offset() < end as u64 => (Start::After(at), Position::new(at.offset() + 1)),
            _ => (Start::Earliest, Position::new(0)),
        };
        let reader = channels.reader(channel, start).await?;
        Ok(Reading { channel, from, reader, got: Vec::new(), stalled: false })
    }

    /// The log of a reader's own: its channel's records and the common ones.
    fn own(&self, reading: &Reading) -> Vec<Record> {
        let own = self.log.iter().filter(|record| record.position >= reading.from);
        let own = own.filter(|r| r.meta.vchannel.as_deref().is_none_or(|of| of == reading.channel));
        let mut own: Vec<_> = own.cloned().collect();
        for record in own.iter_mut().filter(|r| r.meta.msg_type == MsgType::TIME_TICK) {
            record.meta.vchannel = None;
        }
        own
    }

    /// Compares what a reader got with the log of its own, and their packs.
    fn check(&self, reading: &Reading, whole: bool) -> Result<(), String> {
        let Reading { channel, from, got, .. } = reading;
        let mut own = self.own(reading);
        if !whole {
            own.truncate(got.len());
        }
        let (wanted, found) = (packs(&own), packs(got));
        if wanted != found {
            return Err(format!(
                "the packs of {channel} from {from} on: {found:?}, not {wanted:?}"
            ));
        }
        match *got == own {
            true => Ok(()),
            false => Err(format!("the records of {channel} from {from} on differ")),
        }
    }
}

/// Reads once, unless the reader stalls. Returns whether it is at the end.
async fn read(reading: &mut Reading, records: usize) -> Result<bool, TransportError> {
    if reading.stalled {
        return Ok(false);
    }
    let limit = Limit::default().with_records(records).with_wait(Duration::ZERO);
    let batch = reading.reader.read(limit).await?;
    reading.got.extend(batch.records);
    Ok(batch.caught_up)
}

/// The packs of a log: each one's end, and the positions in it.
fn packs(log: &[Record]) -> Vec<(u64, Vec<Option<Position>>)> {
    let config = MergeConfig::default().with_late_policy(LatePolicy::Deliver);
    let mut merge = Merge::new(config).unwrap();
    let slot = merge.add("log".into(), TickSource::Written).unwrap();
    let next = log.last().map_or(0, |last| last.position.offset() + 1);
    merge.push(slot, &mut log.to_vec(), Position::new(next)).unwrap();
    let mut packs = Vec::new();
    while let Some(pack) = merge.advance().unwrap() {
        packs.push((pack.end_ts.0, pack.msgs.iter().map(|msg| msg.position()).collect()));
    }
    packs
}

fn message(ts: u64, vchannel: Option<&str>) -> Record {
    record(MsgType::INSERT, ts, vchannel)
}

fn tick(ts: u64, vchannel: Option<&str>) -> Record {
    record(MsgType::TIME_TICK, ts, vchannel)
}

fn record(msg_type: MsgType, ts: u64, vchannel: Option<&str>) -> Record {
    let mut record = Record::new(Meta::new(msg_type, Timestamp(ts)), "payload");
    record.meta.vchannel = vchannel.map(Into::into);
    record
}

fn text(error: impl Debug) -> String {
    format!("{error:?}")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn up_to(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
