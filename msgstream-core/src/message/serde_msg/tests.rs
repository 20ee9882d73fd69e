#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use super::*;
use crate::message::proto::MsgHeader;

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Price {
    item: String,
    cents: u64,
}

impl SerdeBody for Price {
    const MSG_TYPE: MsgType = MsgType(70_001);
}

fn price() -> SerdeMsg<Price> {
    let value = Price { item: "tea".to_owned(), cents: 250 };
    SerdeMsg::new(Timestamp(7), value).unwrap().with_msg_id(3)
}

#[test]
fn type_id_and_time_are_in_the_payload_too() {
    let mut message = price();
    message.set_ts(Timestamp(8));
    let record = (&message as &dyn TsMsg).to_record();
    assert_eq!(SerdeMsg::<Price>::unmarshal(&record).unwrap(), message);
    let base = MsgHeader::decode(record.payload).unwrap().base.unwrap();
    assert_eq!((base.msg_type, base.msg_id, base.timestamp), (70_001, 3, 8));
}

#[test]
fn json_of_another_shape_is_corrupt() {
    let mut record = (&price() as &dyn TsMsg).to_record();
    record.payload = Envelope { base: None, json: "{}".into() }.encode_to_vec().into();
    assert!(matches!(SerdeMsg::<Price>::unmarshal(&record), Err(DecodeError::Corrupt { .. })));
}

#[test]
fn a_value_that_json_cannot_hold_is_refused_at_once() {
    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Odd(BTreeMap<Vec<u8>, u8>);
    impl SerdeBody for Odd {
        const MSG_TYPE: MsgType = MsgType(70_002);
    }
    let odd = Odd(BTreeMap::from([(vec![1], 2)]));
    assert!(SerdeMsg::new(Timestamp(1), odd).is_err());
}
