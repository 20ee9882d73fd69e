//! Which ticks are left out, and what remains.

use std::time::SystemTime;

use msgstream::record::{Position, Record};
use msgstream::transport::{Limit, Start, Transport, TransportExt as _};
use msgstream::{MsgType, Timestamp};

use super::RepairTicksArgs;
use crate::error::{Error, Result};
use crate::judge::{Judge, begins_epoch, is_control};

/// Decides which records are copied.
#[derive(Debug)]
pub(super) struct Filter {
    /// The greatest time that a tick may have.
    limit: Timestamp,
    /// Ticks that were named.
    named: Vec<Position>,
    /// The greatest tick that was kept.
    watermark: Option<Timestamp>,
}

impl Filter {
    pub(super) fn new(args: &RepairTicksArgs) -> Self {
        let now = Timestamp::from_system_time(SystemTime::now()).unwrap_or(Timestamp::MIN);
        let limit = Timestamp(now.0.saturating_add(Timestamp::span(args.max_ahead)));
        Self { limit, named: args.ticks.clone(), watermark: None }
    }

    /// Returns the record as it is copied; `None` for a tick that is left out.
    pub(super) fn keep(&mut self, mut record: Record) -> Option<Record> {
        if record.meta.msg_type != MsgType::TIME_TICK {
            return Some(record);
        }
        if is_control(&record) {
            // It repeats the watermark that it found, which may be that of a tick that is left out.
            let watermark = self.watermark.unwrap_or_default();
            record.meta.timestamp = record.meta.timestamp.min(watermark);
            return Some(record);
        }
        if record.meta.timestamp > self.limit || self.named.contains(&record.position) {
            return None;
        }
        if record.is_tick() {
            self.watermark = self.watermark.max(Some(record.meta.timestamp));
        }
        Some(record)
    }
}

/// What a repair does.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The ticks that are left out.
    pub(super) out: Vec<(Position, Timestamp)>,
    /// How many records are copied, as far as they are there now.
    pub(super) kept: u64,
    /// The greatest tick that is kept.
    pub(super) watermark: Option<Timestamp>,
    /// Where the channel has ended.
    pub(super) end: Option<Position>,
    /// Messages that are late for a tick that is kept.
    pub(super) late: u64,
}

impl Plan {
    /// Reads the channel.
    pub(super) async fn of(broker: &dyn Transport, args: &RepairTicksArgs) -> Result<Self> {
        let channel = &args.channel;
        let end = broker.describe(channel).await?.end;
        let mut filter = Filter::new(args);
        let mut judge = Judge::new(channel, filter.limit)?;
        args.ticks.iter().for_each(|position| judge.ignore(*position));
        let mut plan = Self::default();
        let mut reader = broker.reader(channel, Start::Earliest).await?;
        'reading: loop {
            let batch = reader.read(Limit::default()).await?;
            for record in batch.records {
                not_home(channel, &record)?;
                let (position, ts) = (record.position, record.meta.timestamp);
                judge.see(record.clone())?;
                if judge.has_ended() {
                    plan.end = Some(position);
                    break 'reading;
                }
                match filter.keep(record) {
                    Some(_) => plan.kept += 1,
                    None => plan.out.push((position, ts)),
                }
            }
            if batch.caught_up || batch.next >= end {
                break;
            }
        }
        (plan.watermark, plan.late) = (filter.watermark, judge.into_log().late.count);
        let left_out = |position: &&Position| !plan.out.iter().any(|(out, _)| out == *position);
        match args.ticks.iter().find(left_out) {
            Some(position) => Err(Error::NoTick { channel: channel.clone(), position: *position }),
            None => Ok(plan),
        }
    }
}

/// Refuses a home channel: the fence that begins an epoch there is the epoch, by its position.
fn not_home(channel: &str, record: &Record) -> Result<()> {
    match begins_epoch(record) {
        Some(producer) => {
            Err(Error::IsHome { channel: channel.to_owned(), producer: producer.to_string() })
        }
        None => Ok(()),
    }
}
