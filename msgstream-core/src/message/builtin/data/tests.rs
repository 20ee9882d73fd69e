#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::message::proto::MsgBase;
use crate::message::proto::{Blob, Ids, LongArray, ids::IdField};
use crate::message::{TsMsg, Unmarshal};
use crate::record::Timestamp;

fn decoded<M: Unmarshal>(message: &M) -> Result<M, DecodeError> {
    let message: &dyn TsMsg = message;
    M::unmarshal(&message.to_record())
}

#[test]
fn the_times_are_those_of_the_rows_else_that_of_the_base() {
    let mut insert = InsertMsg::new(InsertRequest {
        base: Some(MsgBase { timestamp: 99, msg_id: 5, ..Default::default() }),
        timestamps: vec![5, 3, 8],
        ..Default::default()
    });
    assert_eq!((insert.begin_ts(), insert.end_ts()), (Timestamp(3), Timestamp(8)));
    let base = insert.body().base.clone().unwrap();
    assert_eq!((base.msg_type, base.timestamp, base.msg_id), (400, 8, 5));

    insert.set_ts(Timestamp(20));
    assert_eq!(insert.body().timestamps, [20; 3]);
    assert_eq!(decoded(&insert).unwrap(), insert);

    let mut no_rows = DeleteMsg::new(DeleteRequest::default());
    no_rows.set_ts(Timestamp(4));
    assert_eq!((no_rows.begin_ts(), no_rows.end_ts()), (Timestamp(4), Timestamp(4)));
}

#[test]
fn counts_that_contradict_each_other_are_refused() {
    let row_based = InsertRequest {
        timestamps: vec![1, 2],
        row_data: vec![Blob::default(); 3],
        ..Default::default()
    };
    let refused = decoded(&InsertMsg::new(row_based.clone())).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the message contradicts itself: `timestamps` has 2 rows, but `row_data` has 3"
    );
    let mut column_based = row_based;
    column_based.set_version(InsertDataVersion::ColumnBased);
    decoded(&InsertMsg::new(column_based.clone())).unwrap();
    assert_eq!(column_based.rows(), 2);
    column_based.num_rows = 1;
    decoded(&InsertMsg::new(column_based)).unwrap_err();

    let keys = LongArray { data: vec![7] };
    let delete = DeleteRequest {
        timestamps: vec![1],
        primary_keys: Some(Ids { id_field: Some(IdField::IntId(keys)) }),
        ..Default::default()
    };
    decoded(&DeleteMsg::new(delete.clone())).unwrap();
    let two = DeleteRequest { num_rows: 2, ..delete.clone() };
    decoded(&DeleteMsg::new(two)).unwrap_err();
    let negative = DeleteRequest { num_rows: -1, ..delete };
    decoded(&DeleteMsg::new(negative)).unwrap_err();
}

#[test]
fn a_payload_without_a_base_takes_it_from_the_headers() {
    use crate::record::{Meta, Record};
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(6));
    meta.msg_id = 9;
    let insert = InsertMsg::unmarshal(&Record::new(meta, "")).unwrap();
    assert_eq!((insert.end_ts(), insert.msg_id()), (Timestamp(6), 9));
}
