//! Packs to many channels.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::message::InsertMsg;
use msgstream_core::message::proto::{Blob, InsertRequest};
use msgstream_core::repack::InsertByRow;
use msgstream_core::transport::{Capability, Start, Transport};
use msgstream_core::{Error, MsgPack, MsgStream, MsgType, UnmarshalDispatcher};

use super::stage::Entry::End;
use super::stage::{Stage, message};
use crate::kit::{append, positions, read_from};
use crate::scenario::Need::Can;
use crate::scenario::{Scenario, list};
use crate::{Failure, Harness, Verdict};

pub(crate) const ALL: &[Scenario] = list!["streams::produce":
    broadcast_gives_every_channel_every_message,
    a_pack_is_split_by_hash_key,
    an_insert_is_split_by_row,
    receipts_tell_where_each_message_is,
    a_channel_that_has_ended_takes_no_producer [Can(Capability::SeekPosition)],
];

/// Checks that a broadcast of M messages over N channels is N x M records, in the order of the
/// pack.
pub async fn broadcast_gives_every_channel_every_message(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 3).await?;
    let mut producer = stage.producer(&stage.names()).await?;
    let pack: MsgPack = (0..10).map(|n| message(100 + n, n as i64)).collect();
    let produced = producer.broadcast(&pack).await?;
    for channel in &stage.channels {
        let records = read_from(transport, channel, Start::Earliest).await?;
        let ids: Vec<_> = records.iter().map(|r| r.meta.msg_id).collect();
        ensure_eq!(ids, (0..10).collect::<Vec<_>>(), "the ids in `{channel}`");
        ensure_eq!(positions(&records), produced.positions(channel), "positions in `{channel}`");
    }
    Ok(producer.close().await?)
}

/// Checks that each message goes to the channel of its hash key, in the order of the pack.
pub async fn a_pack_is_split_by_hash_key(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 3).await?;
    let mut producer = stage.producer(&stage.names()).await?;
    let keyed = |n: i64| message(100, n).with_hash_keys([n as u32]);
    producer.produce((0..20).map(keyed).collect()).await?;
    for (index, channel) in (0..).zip(&stage.channels) {
        let records = read_from(transport, channel, Start::Earliest).await?;
        let ids: Vec<i64> = records.iter().map(|r| r.meta.msg_id).collect();
        let own: Vec<i64> = (0..20).filter(|n| n % 3 == index).collect();
        ensure_eq!(ids, own, "the ids in `{channel}`");
    }
    Ok(producer.close().await?)
}

/// Checks that the rows of one insert go to the channels of their hash keys, each part with its
/// rows, their times, and an id of its own.
pub async fn an_insert_is_split_by_row(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 3).await?;
    let mut producer = stage.producer(&stage.names()).await?;
    producer.set_repack(InsertByRow);
    let rows = 0..12_u64;
    let request = InsertRequest {
        timestamps: rows.clone().map(|n| 100 + n).collect(),
        row_ids: rows.clone().map(|n| n as i64).collect(),
        row_data: rows.clone().map(|n| Blob { value: n.to_string().into() }).collect(),
        num_rows: 12,
        ..Default::default()
    };
    let keys: Vec<u32> = rows.clone().map(|n| n as u32).collect();
    producer.produce([InsertMsg::new(request).with_hash_keys(keys)].into_iter().collect()).await?;
    let dispatcher = UnmarshalDispatcher::new();
    let mut ids = BTreeMap::new();
    for (index, channel) in (0..).zip(&stage.channels) {
        let records = read_from(transport, channel, Start::Earliest).await?;
        ensure_eq!(records.len(), 1, "the parts in `{channel}`");
        ensure_eq!(records[0].meta.msg_type, MsgType::INSERT, "the type in `{channel}`");
        let part = dispatcher.unmarshal(&records[0]).map_err(|e| Failure::new(e.to_string()))?;
        let Some(part) = part.downcast_ref::<InsertMsg>().map(InsertMsg::body) else {
            return Err(Failure::new("a part isn't an insert"));
        };
        let own: Vec<_> = rows.clone().filter(|n| n % 3 == index).collect();
        let blobs = own.iter().map(|n| Blob { value: n.to_string().into() });
        let times: Vec<_> = own.iter().map(|n| 100 + n).collect();
        ensure_eq!(part.timestamps, times, "the times in `{channel}`");
        ensure_eq!(part.row_data, blobs.collect::<Vec<_>>(), "the rows in `{channel}`");
        ensure_eq!(part.num_rows, 4, "the number of rows in `{channel}`");
        ids.insert(records[0].meta.msg_id, channel);
    }
    ensure_eq!(ids.len(), 3, "the number of different ids");
    Ok(producer.close().await?)
}

/// Checks that the receipts of pipelined packs name the place of each message.
pub async fn receipts_tell_where_each_message_is(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::new(harness, 2).await?;
    let mut producer = stage.producer(&stage.names()).await?;
    let mut receipts = Vec::new();
    for pack in 0..20 {
        producer.ready().await?;
        let keyed = |n: i64| message(100, pack * 5 + n).with_hash_keys([n as u32]);
        receipts.push(producer.submit((0..5).map(keyed).collect())?);
    }
    let mut told = vec![Vec::new(); 2];
    for receipt in receipts {
        let produced = receipt.await?;
        for (channel, told) in stage.channels.iter().zip(&mut told) {
            told.extend_from_slice(produced.positions(channel));
        }
    }
    for (channel, told) in stage.channels.iter().zip(told) {
        let records = read_from(transport, channel, Start::Earliest).await?;
        ensure_eq!(told, positions(&records), "the positions in `{channel}`");
    }
    Ok(producer.close().await?)
}

/// Checks that no producer opens a channel that has ended, wherever in its log the end stands.
pub async fn a_channel_that_has_ended_takes_no_producer(
    transport: &dyn Transport,
    harness: &dyn Harness,
) -> Verdict {
    let stage = Stage::with(harness, &[&[End(10)]]).await?;
    let channel = &*stage.channels[0];
    for round in 0..2 {
        let mut stream = MsgStream::new(Arc::clone(&stage.transport));
        match stream.create_producers(&[channel]).await {
            Err(Error::Ended { channel: ended }) if ended == channel => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return Err(Failure::new(format!("round {round}: a producer opened"))),
        }
        // What was under way when it ended may still come behind the end.
        let mut writer = transport.writer(channel).await?;
        append(&mut *writer, 0..30).await?;
        writer.close().await?;
    }
    Ok(())
}
