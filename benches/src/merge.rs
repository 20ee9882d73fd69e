//! The merge alone.

use std::sync::Arc;

use msgstream_core::TickSource;
use msgstream_core::merge::{Merge, MergeConfig};
use msgstream_core::record::{Position, Record};
use msgstream_core::transport::{Limit, Start, TransportExt as _};

use crate::checksum::{Checksum, of_undecoded};
use crate::consume::{add_pack, budget};
use crate::log::{Input, Writer, write};
use crate::produce::runtime;
use crate::workload::Result;
use crate::{Done, Error, Job, Shape};

pub(crate) fn prepare(shape: Shape, messages: usize) -> Result<Job> {
    let mut input = Input::new(shape, messages);
    let batches = runtime()?.block_on(batches(shape, &mut input))?;
    let expected = input.headers;
    let mut merge = Merge::new(MergeConfig::default().with_budget_bytes(budget(shape)))?;
    let slots = input
        .names
        .iter()
        .map(|name| merge.add(Arc::from(name.as_str()), TickSource::Written))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Job::new(move || {
        let mut found = Checksum::default();
        for batches in batches {
            for (slot, (mut records, next)) in slots.iter().zip(batches) {
                merge.push(*slot, &mut records, next)?;
            }
            while let Some(pack) = merge.advance()? {
                add_pack(&mut found, &pack, |message| Ok(of_undecoded(message)))?;
            }
        }
        Ok(Done::compared(found, expected, merge))
    }))
}

type Batch = (Vec<Record>, Position);

/// The records of each interval, its tick included, for each channel, as they were read.
async fn batches(shape: Shape, input: &mut Input) -> Result<Vec<Vec<Batch>>> {
    let intervals = input.packs.len();
    let (transport, mut stream) = input.open(Writer::Plain, |transport| transport).await?;
    write(&mut stream, std::mem::take(&mut input.packs)).await?;
    let counts = shape.counts();
    let mut readers = Vec::new();
    for name in &input.names {
        readers.push(transport.reader(name, Start::Earliest).await?);
    }
    let mut batches = Vec::with_capacity(intervals);
    for _ in 0..intervals {
        let mut interval = Vec::with_capacity(shape.channels);
        for (reader, messages) in readers.iter_mut().zip(&counts) {
            // And the tick.
            let records = messages + 1;
            let limit = Limit::default().with_records(records).with_bytes(usize::MAX);
            let batch = reader.read(limit).await?;
            if batch.records.len() != records {
                return Err(Error::Order);
            }
            interval.push((batch.records, batch.next));
        }
        batches.push(interval);
    }
    Ok(batches)
}
