//! The messages of a pack, from the order of channels to the order of time.

use crate::message::{Message, Timestamp};

/// Messages of one channel after the other, each channel's in its order.
///
/// A record is moved out of its channel first, along with its neighbours, and to its place in the
/// pack then. Moving it once would jump between the channels for every message, through a few
/// pointers each time.
#[derive(Debug)]
pub(super) struct Gather {
    msgs: Vec<Message>,
    /// The time of each, and where it is.
    order: Vec<(Timestamp, usize)>,
}

impl Gather {
    pub(super) fn with_capacity(msgs: usize) -> Self {
        Self { msgs: Vec::with_capacity(msgs), order: Vec::with_capacity(msgs) }
    }

    pub(super) fn push(&mut self, eff: Timestamp, msg: Message) {
        self.order.push((eff, self.msgs.len()));
        self.msgs.push(msg);
    }

    /// The messages by time; those of equal times as they were pushed.
    pub(super) fn sorted(mut self) -> Vec<Message> {
        self.order.sort_by_key(|(eff, _)| *eff);
        // Each cycle of the permutation by itself: what stands at `to` belongs further along.
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
