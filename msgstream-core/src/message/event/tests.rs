#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::message::MsgPack;

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Order {
    at: Timestamp,
    lines: BTreeMap<String, u8>,
}

impl Event for Order {
    const TYPE: MsgType = MsgType(70_001);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        self.at
    }
    fn hash_key(&self) -> u32 {
        9
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Price {
    #[prost(uint64, tag = "1")]
    at: u64,
}

impl Event for Price {
    const TYPE: MsgType = MsgType(70_002);
    type Codec = Proto;
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.at)
    }
    fn hash_key(&self) -> u32 {
        3
    }
}

fn record_of<E: Event>(event: E) -> Record {
    let message: Box<dyn TsMsg> = Box::new(EventMsg::new(event).unwrap());
    assert_eq!(message.to_record().payload.len(), message.encoded_len());
    message.to_record()
}

#[test]
fn events_of_both_codecs_are_read_as_they_were_written() {
    let order = Order { at: Timestamp(7), lines: BTreeMap::from([("tea".to_owned(), 2)]) };
    let read = EventMsg::<Order>::unmarshal(&record_of(order.clone())).unwrap();
    assert_eq!((read.end_ts(), read.hash_keys()), (Timestamp(7), [9].as_slice()));
    assert_eq!(read.into_value(), order);

    let record = record_of(Price { at: 8 });
    assert_eq!(record.payload, Price { at: 8 }.encode_to_vec());
    assert_eq!(EventMsg::<Price>::unmarshal(&record).unwrap().value(), &Price { at: 8 });
}

#[test]
fn an_event_and_a_serde_message_of_its_type_look_alike() {
    let record = record_of(Order { at: Timestamp(7), lines: BTreeMap::new() });
    let envelope = Envelope::decode(record.payload).unwrap();
    let base = envelope.base.unwrap();
    assert_eq!((base.msg_type, base.timestamp), (70_001, 7));
}

#[test]
fn a_value_without_an_encoding_is_refused_and_the_cause_kept() {
    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Odd(BTreeMap<Vec<u8>, u8>);
    impl Event for Odd {
        const TYPE: MsgType = MsgType(70_003);
        type Codec = Json;
        fn timestamp(&self) -> Timestamp {
            Timestamp(1)
        }
        fn hash_key(&self) -> u32 {
            0
        }
    }
    let error = MsgPack::of(Odd(BTreeMap::from([(vec![1], 2)]))).unwrap_err();
    assert!(error.to_string().contains("70001") || error.to_string().contains("70003"));
    assert!(error.source.to_string().contains("string"), "{error:?}");
}
