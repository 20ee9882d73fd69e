#![allow(clippy::unwrap_used)]

use super::*;
use crate::record::Meta;

fn record(msg_type: MsgType, ts: u64) -> Record {
    Record::new(Meta::new(msg_type, Timestamp(ts)), Vec::new())
}

fn private_tick(ts: u64) -> Record {
    let mut tick = record(MsgType::TIME_TICK, ts);
    tick.meta.vchannel = Some("v".into());
    tick
}

/// The time of the message that is refused, and the tick that it is behind.
fn behind(promised: Option<u64>, records: &[Record]) -> Option<(u64, u64)> {
    match not_behind("a", promised.map(Timestamp), records) {
        Err(Error::BehindTick { ts, tick, .. }) => Some((ts.0, tick.0)),
        other => other.map(|()| None).unwrap(),
    }
}

#[test]
fn messages_are_behind_ticks_of_the_whole_channel_alone() {
    let message = |ts| record(MsgType::INSERT, ts);
    let tick = |ts| record(MsgType::TIME_TICK, ts);
    assert_eq!(behind(Some(4), &[message(5), tick(7), tick(6), message(7)]), Some((7, 7)));
    assert_eq!(behind(None, &[private_tick(9), message(5)]), None);
    assert_eq!(behind(Some(4), &[private_tick(3), message(5)]), None);
    assert_eq!(behind(Some(4), &[record(MsgType::UNREADABLE, 3), message(4)]), Some((4, 4)));

    assert_eq!(promise(Some(Timestamp(4)), &[tick(7), tick(6)]), Some(Timestamp(7)));
    assert_eq!(promise(Some(Timestamp(4)), &[private_tick(9), message(9)]), Some(Timestamp(4)));
}
