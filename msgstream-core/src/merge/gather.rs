//! Sorts the messages of a pack from the order of channels to the order of time.

use crate::message::Message;
use crate::record::Timestamp;

/// The messages of one channel after the other, each channel's in its order.
///
/// A record is first moved out of its channel, together with its neighbours, and then to its place
/// in the pack. Moving it only once would mean switching between channels for every message,
/// through a few pointers each time, which costs more with many channels.
#[derive(Debug)]
pub(super) struct Gather {
    msgs: Vec<Message>,
    /// The time of each message, and where it stands.
    order: Vec<(Timestamp, usize)>,
}

impl Gather {
    pub(super) fn with_capacity(msgs: usize) -> Self {
        Self { msgs: Vec::with_capacity(msgs), order: Vec::with_capacity(msgs) }
    }

    /// Adds a message that counts at this time.
    pub(super) fn push(&mut self, eff: Timestamp, msg: Message) {
        self.order.push((eff, self.msgs.len()));
        self.msgs.push(msg);
    }

    /// Returns the messages by time; those of equal times in the order in which they were added.
    pub(super) fn sorted(mut self) -> Vec<Message> {
        self.order.sort_by_key(|(eff, _)| *eff);
        // In place, one cycle of the permutation after the other: the message for `to` stands at
        // `from`, and what stood at `to` moves there, to be moved on.
        for start in 0..self.order.len() {
            let mut to = start;
            loop {
                let from = std::mem::replace(&mut self.order[to].1, to);
                if from == start {
                    break;
                }
                self.msgs.swap(to, from);
                to = from;
            }
        }
        self.msgs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::TimeTickMsg;

    proptest! {
        #[test]
        fn messages_are_sorted_as_a_stable_sort_does(times in prop::collection::vec(0..40_u64, 0..200)) {
            let mut gather = Gather::with_capacity(times.len());
            let mut expected = Vec::new();
            for (id, time) in times.into_iter().enumerate() {
                let msg = TimeTickMsg::new(Timestamp(time)).with_msg_id(id as i64);
                gather.push(Timestamp(time), msg.into());
                expected.push((time, id as i64));
            }
            expected.sort();
            let sorted = gather.sorted();
            let found = sorted.iter().map(|m| match m {
                Message::Typed(m) => (m.end_ts().0, m.msg_id()),
                Message::Stored(_) => (u64::MAX, 0),
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
}
