//! What the packs must be: the library's rules, applied to whole logs. It shares no code with the
//! merge.

use std::collections::{BTreeMap, BTreeSet};

use msgstream::record::Position;

use crate::log::{Entry, Log, Tag, What};
use crate::output::line;

/// What a consumer must give for some logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// A line for each pack.
    pub(crate) lines: Vec<String>,
    /// Messages in the logs that are repetitions, or void.
    pub(crate) left_out: u64,
}

/// Takes each number of a producer once and in order, from its newest epoch; sorts by time, channel
/// and position; cuts at every tick of any channel.
pub(crate) fn expected(logs: &[Log]) -> Expected {
    let (mut boundaries, mut messages) = (BTreeSet::new(), Vec::new());
    let mut reached = u64::MAX;
    let mut left_out = 0;
    for log in logs {
        let mut producers = Producers::default();
        let (mut watermark, mut ended) = (None::<u64>, false);
        for entry in &log.entries {
            if ended || !producers.take(entry) {
                left_out += u64::from(matches!(entry.what, What::Message { .. }));
            } else if let What::Message { number, .. } = entry.what {
                let eff = watermark.map_or(entry.ts, |watermark| entry.ts.max(watermark + 1));
                messages.push((eff, &*log.channel, entry.position, number));
            } else if matches!(entry.what, What::Tick(_) | What::End(_)) {
                if watermark.is_none_or(|watermark| entry.ts > watermark) {
                    boundaries.insert(entry.ts);
                    watermark = Some(entry.ts);
                }
                ended = matches!(entry.what, What::End(_));
            }
        }
        match watermark {
            Some(_) if ended => {}
            Some(watermark) => reached = reached.min(watermark),
            None => return Expected { lines: Vec::new(), left_out },
        }
    }
    messages.sort_unstable();
    let mut messages = messages.into_iter().peekable();
    let (mut lines, mut begin) = (Vec::new(), None);
    for end in boundaries.into_iter().filter(|end| *end <= reached) {
        let inside = std::iter::from_fn(|| messages.next_if(|(eff, ..)| *eff <= end));
        let inside = inside.map(|(_, channel, position, number)| (channel, position, number));
        lines.push(line(begin, end, inside));
        begin = Some(end);
    }
    Expected { lines, left_out }
}

/// Where the producers of a channel stand.
#[derive(Default)]
struct Producers {
    /// The newest epoch of each, as fences tell it.
    fences: BTreeMap<String, Position>,
    /// Epoch, and the last number that was taken. A producer numbers its messages on each virtual
    /// channel for itself, by the name `PRODUCER/CHANNEL`; a fence is one for all of them.
    last: BTreeMap<String, (Position, u64)>,
}

impl Producers {
    /// Whether a record counts.
    fn take(&mut self, entry: &Entry) -> bool {
        match &entry.what {
            What::Message { tag, .. } => match self.known(tag) {
                Some((epoch, last)) => {
                    let next = *epoch == tag.epoch && *last + 1 == tag.seq;
                    *last += u64::from(next);
                    next
                }
                None => self.learn(tag),
            },
            What::Tick(tag) | What::End(tag) => self.learn(tag),
            What::Base(tag) => {
                self.learn(tag);
                true
            }
            What::Fence { producer, epoch } => {
                let newest = self.fences.entry(producer.clone()).or_insert(*epoch);
                *newest = (*newest).max(*epoch);
                true
            }
            What::Goodbye => true,
            What::Strange(_) => false,
        }
    }

    /// What is known of who wrote a record, with the newest fence applied.
    fn known(&mut self, tag: &Tag) -> Option<&mut (Position, u64)> {
        let name = tag.producer.split_once('/').map_or(&*tag.producer, |(name, _)| name);
        let fence = self.fences.get(name).copied();
        if let Some(fence) = fence {
            let known = self.last.entry(tag.producer.clone()).or_insert((fence, 0));
            known.0 = known.0.max(fence);
        }
        self.last.get_mut(&tag.producer)
    }

    /// Takes note of a last number; says whether it is of the newest epoch.
    fn learn(&mut self, tag: &Tag) -> bool {
        if self.known(tag).is_some_and(|(epoch, _)| tag.epoch < *epoch) {
            return false;
        }
        let (epoch, last) = self.last.entry(tag.producer.clone()).or_insert((tag.epoch, tag.seq));
        (*epoch, *last) = (tag.epoch, tag.seq.max(*last));
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn tag(epoch: u64, seq: u64) -> Tag {
        Tag { producer: "p".into(), epoch: Position::new(epoch), seq }
    }

    fn message(ts: u64, epoch: u64, number: u64) -> (u64, What) {
        (ts, What::Message { number, tag: tag(epoch, number) })
    }

    fn tick(ts: u64, epoch: u64, last: u64) -> (u64, What) {
        (ts, What::Tick(tag(epoch, last)))
    }

    fn end(ts: u64, last: u64) -> (u64, What) {
        (ts, What::End(tag(9, last)))
    }

    fn fence(epoch: u64) -> (u64, What) {
        (0, What::Fence { producer: "p".into(), epoch: Position::new(epoch) })
    }

    fn log(channel: &str, records: Vec<(u64, What)>) -> Log {
        let entries = (0..).map(Position::new).zip(records).map(|(position, (ts, what))| Entry {
            position,
            ts,
            what,
            payload: Bytes::new(),
        });
        Log { channel: channel.into(), producer: 0, index: 0, entries: entries.collect() }
    }

    #[test]
    fn packs_are_cut_at_every_tick_and_sorted_by_time_channel_and_position() {
        let a = log("a", vec![message(4, 9, 1), message(2, 9, 2), tick(5, 9, 2), end(20, 2)]);
        let b = log("b", vec![message(4, 9, 1), message(7, 9, 2), tick(10, 9, 2), end(20, 2)]);
        let expected = expected(&[a, b]);
        assert_eq!(expected.lines, ["- 5 a/1/2 a/0/1 b/0/1\n", "5 10 b/1/2\n", "10 20\n"]);
        assert_eq!(expected.left_out, 0);
    }

    #[test]
    fn only_the_next_number_of_the_newest_epoch_counts() {
        // 2 is stored and sent again after 1; the first epoch writes on behind the fence.
        let records = vec![
            fence(1),
            message(2, 1, 2),
            message(1, 1, 1),
            message(2, 1, 2),
            fence(9),
            message(3, 1, 3),
            tick(100, 1, 3),
            (0, What::Base(tag(9, 2))),
            message(3, 9, 3),
            message(3, 9, 3),
            end(8, 3),
            message(9, 9, 4),
        ];
        let expected = expected(&[log("a", records)]);
        assert_eq!(expected.lines, ["- 8 a/2/1 a/3/2 a/8/3\n"]);
        assert_eq!(expected.left_out, 4);
    }

    #[test]
    fn a_fence_is_one_for_all_virtual_channels_of_its_producer() {
        let of_channel = |ts, epoch, number| {
            let tag = Tag { producer: "p/v".into(), ..tag(epoch, number) };
            (ts, What::Message { number, tag })
        };
        let records =
            vec![fence(1), of_channel(1, 1, 1), fence(9), of_channel(2, 1, 2), of_channel(3, 9, 2)];
        let expected = expected(&[log("a", [records, vec![end(8, 0)]].concat())]);
        assert_eq!(expected.lines, ["- 8 a/1/1 a/4/2\n"]);
        assert_eq!(expected.left_out, 1);
    }

    #[test]
    fn a_late_message_is_in_the_pack_behind_the_tick_before_it() {
        let a = log("a", vec![tick(5, 9, 0), message(3, 9, 1), tick(9, 9, 1)]);
        let b = log("b", vec![tick(7, 9, 0)]);
        assert_eq!(expected(&[a.clone(), b]).lines, ["- 5\n", "5 7 a/1/1\n"]);
        assert_eq!(expected(&[a, log("b", vec![])]).lines, [""; 0]);
    }
}
