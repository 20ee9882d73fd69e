//! Inserts and deletes of rows, sharded by primary key: each row's whole history is in one channel.
//!
//! `cargo run --example sharded_rows`

use std::collections::{BTreeMap, BTreeSet};

use msgstream::message::proto::{DeleteRequest, InsertRequest};
use msgstream::message::{DeleteMsg, InsertMsg, Message, UnmarshalDispatcher, hash_i64};
use msgstream::repack::{DeleteByKey, HashKeys, InsertByRow, Repack, RepackError, Repacked};
use msgstream::{Consumer, MsgType, Producer, Timestamp};

const CHANNELS: [&str; 3] = ["rows-0", "rows-1", "rows-2"];

/// Splits inserts and deletes alike: a message with rows of several channels becomes several.
fn by_row(msgs: Vec<Message>, keys: &HashKeys, channels: usize) -> Result<Repacked, RepackError> {
    match msgs.first().map(Message::msg_type) {
        Some(MsgType::DELETE) => DeleteByKey.repack(msgs, keys, channels),
        _ => InsertByRow.repack(msgs, keys, channels),
    }
}

fn insert(rows: &[i64], ts: u64) -> InsertMsg {
    let request = InsertRequest {
        row_ids: rows.to_vec(),
        timestamps: vec![ts; rows.len()],
        num_rows: rows.len() as u64,
        ..Default::default()
    };
    InsertMsg::new(request).with_hash_keys(keys(rows))
}

fn delete(rows: &[i64], ts: u64) -> DeleteMsg {
    let request = DeleteRequest {
        int64_primary_keys: rows.to_vec(),
        timestamps: vec![ts; rows.len()],
        num_rows: rows.len() as i64,
        ..Default::default()
    };
    DeleteMsg::new(request).with_hash_keys(keys(rows))
}

fn keys(rows: &[i64]) -> Vec<u32> {
    rows.iter().map(|row| hash_i64(*row)).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = msgstream::connect("mem://").await?;
    let writer = Producer::builder(broker.clone()).channels(CHANNELS).create_missing();
    let mut writer = writer.repack(by_row).open().await?;
    writer.send(insert(&(1..=12).collect::<Vec<_>>(), 10)).await?;
    writer.tick(Timestamp(10)).await?;
    writer.send(delete(&[2, 3, 5, 7, 11], 20)).await?;
    writer.end(Timestamp(20)).await?;

    let dispatcher = UnmarshalDispatcher::new();
    let (mut rows, mut homes) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<i64>>::new());
    let mut packs = Consumer::builder(broker).channels(CHANNELS).open().await?;
    while let Some(pack) = packs.next_pack().await? {
        for message in &pack.msgs {
            let home = homes.entry(message.channel().unwrap_or_default().to_owned()).or_default();
            let decoded = message.decode(&dispatcher)?;
            if let Some(insert) = decoded.downcast_ref::<InsertMsg>() {
                home.extend(&insert.body().row_ids);
                rows.extend(&insert.body().row_ids);
            } else if let Some(delete) = decoded.downcast_ref::<DeleteMsg>() {
                for row in &delete.body().int64_primary_keys {
                    assert!(home.contains(row), "row {row} was deleted in another channel");
                    rows.remove(row);
                }
            }
        }
        println!("up to {}: {rows:?}", pack.end_ts);
    }
    assert_eq!(rows, BTreeSet::from([1, 4, 6, 8, 9, 10, 12]));
    Ok(())
}
