#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::record::Timestamp;

fn tick() -> Record {
    let tick: Box<dyn TsMsg> = Box::new(TimeTickMsg::new(Timestamp(5)));
    tick.to_record()
}

#[test]
fn what_is_registered_last_counts() {
    let mut dispatcher = UnmarshalDispatcher::new();
    dispatcher.add_msg_template_fn(MsgType::TIME_TICK, |record| {
        Ok(Box::new(TimeTickMsg::new(record.meta.timestamp.next())))
    });
    assert_eq!(dispatcher.unmarshal(&tick()).unwrap().end_ts(), Timestamp(6));
}

#[test]
fn a_type_read_under_another_number_keeps_the_number() {
    let moved = MsgType(501);
    let mut dispatcher = UnmarshalDispatcher::empty();
    dispatcher.add_msg_template_as::<TimeTickMsg>(moved);
    let mut record = tick();
    assert!(dispatcher.unmarshal(&record).is_err());
    record.meta.msg_type = moved;
    assert_eq!(dispatcher.unmarshal(&record).unwrap().msg_type(), moved);
}

#[test]
fn a_truncated_payload_is_corrupt() {
    let mut record = tick();
    record.payload.truncate(3);
    let refused = UnmarshalDispatcher::new().unmarshal(&record);
    assert!(matches!(refused, Err(DecodeError::Corrupt { .. })));
}
