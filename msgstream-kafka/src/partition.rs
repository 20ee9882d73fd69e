//! Which partition of a topic a channel is.
//!
//! The partition of a topic that has one is the channel `orders`. Those of a topic that has more are `orders:0`,
//! `orders:1` and so on; no topic's name has a colon. A partition has one name only: under two, a session
//! would number one log twice.

use std::fmt;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::Offset;

use crate::name::topic_of;

/// Of more channels than this an error names the first and the last one.
const LISTED: usize = 16;

/// The name of a channel, of which it isn't known yet whether there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) topic: String,
    /// The channel's name without the number of a partition.
    base: String,
    number: Option<i32>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        self.number.map_or(Ok(()), |number| write!(f, ":{number}"))
    }
}

impl Name {
    /// Takes a channel's name apart. Fails with the reason if no channel can have it.
    pub(crate) fn parse(prefix: &str, channel: &str) -> Result<Self, String> {
        let (base, number) = match channel.split_once(':') {
            None => (channel, None),
            Some((base, digits)) => (base, Some(number(digits)?)),
        };
        Ok(Self { topic: topic_of(prefix, base)?, base: base.to_owned(), number })
    }

    /// Returns the name of a topic's only partition.
    pub(crate) fn only(topic: &str) -> Self {
        Self { topic: topic.to_owned(), base: topic.to_owned(), number: None }
    }

    /// Returns why a partition can't be created alone.
    pub(crate) fn not_created_alone(&self) -> Failure {
        invalid(format!(
            "a topic is created with all of its partitions: create `{}`, with the option `partitions`",
            self.base
        ))
    }

    /// Returns why one of several partitions can't be deleted.
    pub(crate) fn not_deleted_alone(&self) -> Failure {
        invalid(format!(
            "one partition of a topic can't be deleted: delete `{}`, which deletes all of them",
            self.base
        ))
    }

    /// Returns whether it has the number of a partition.
    pub(crate) const fn is_numbered(&self) -> bool {
        self.number.is_some()
    }

    /// Returns the partition that has this name in a topic with so many partitions.
    pub(crate) fn of(&self, partitions: usize) -> Result<Partition, Failure> {
        let Self { topic, base, number } = self;
        let is_there = |number: i32| usize::try_from(number).is_ok_and(|n| n < partitions);
        match *number {
            _ if partitions == 0 => Err(TransportErrorKind::NotFound.into()),
            None if partitions > 1 => Err(invalid(format!(
                "the topic has {partitions} partitions, and each is a channel: use {}",
                listed(base, partitions)
            ))),
            Some(0) if partitions == 1 => {
                Err(invalid(format!("the topic has one partition: use `{base}`")))
            }
            Some(number) if !is_there(number) => Err(TransportErrorKind::NotFound.into()),
            number => Ok(Partition { topic: topic.clone(), number: number.unwrap_or(0) }),
        }
    }
}

/// Reads the number of a partition. One partition has one name, so `01` is none.
fn number(digits: &str) -> Result<i32, String> {
    let number = digits.parse::<i32>().ok().filter(|number| *number >= 0);
    number.filter(|number| number.to_string() == digits).ok_or_else(|| {
        "what follows the colon must be the number of a partition, as in `orders:0`".to_owned()
    })
}

fn invalid(reason: String) -> Failure {
    TransportErrorKind::InvalidName { reason }.into()
}

/// Returns the channels of a topic that has so many partitions.
pub(crate) fn channels(base: &str, partitions: usize) -> impl Iterator<Item = String> {
    (0..partitions).map(move |number| match partitions {
        1 => base.to_owned(),
        _ => format!("{base}:{number}"),
    })
}

/// Returns the same as a text.
pub(crate) fn listed(base: &str, partitions: usize) -> String {
    let mut names = channels(base, partitions).map(|name| format!("`{name}`"));
    match (partitions > LISTED, names.next()) {
        (true, Some(first)) => format!("{first} to {}", names.last().unwrap_or_default()),
        (_, first) => first.into_iter().chain(names).collect::<Vec<_>>().join(", "),
    }
}

/// One log: a partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) number: i32,
}

impl Partition {
    /// Returns the first partition of a topic.
    pub(crate) fn first(topic: &str) -> Self {
        Self { topic: topic.to_owned(), number: 0 }
    }

    /// Returns a list of this partition alone.
    pub(crate) fn alone(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, self.number);
        list
    }

    /// Returns the same list with an offset.
    pub(crate) fn alone_at(&self, offset: u64) -> KafkaResult<TopicPartitionList> {
        let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, self.number, offset)?;
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use TransportErrorKind as Kind;

    fn found(channel: &str, partitions: usize) -> Result<i32, Kind> {
        let partition = Name::parse("shop.", channel).unwrap().of(partitions);
        let Partition { topic, number } = partition.map_err(|failure| failure.kind)?;
        assert_eq!(topic, "shop.orders");
        Ok(number)
    }

    fn refusal(refused: Result<impl std::fmt::Debug, Kind>) -> String {
        match refused {
            Err(Kind::InvalidName { reason }) => reason,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_partition_has_one_name() {
        for partitions in [1, 2, 3, 12] {
            for (number, channel) in (0..).zip(channels("orders", partitions)) {
                assert_eq!(found(&channel, partitions), Ok(number));
            }
        }
        assert_eq!(channels("orders", 1).collect::<Vec<_>>(), ["orders"]);
        assert_eq!(channels("orders", 2).collect::<Vec<_>>(), ["orders:0", "orders:1"]);
    }

    #[test]
    fn the_other_name_is_refused_with_the_right_one() {
        assert_eq!(refusal(found("orders:0", 1)), "the topic has one partition: use `orders`");
        assert_eq!(
            refusal(found("orders", 3)),
            "the topic has 3 partitions, and each is a channel: use `orders:0`, `orders:1`, `orders:2`"
        );
        let many = refusal(found("orders", 100));
        assert!(many.ends_with("use `orders:0` to `orders:99`"), "{many}");
    }

    #[test]
    fn a_number_past_the_last_one_is_no_channel() {
        for (channel, partitions) in [
            ("orders", 0),
            ("orders:0", 0),
            ("orders:1", 1),
            ("orders:3", 3),
            ("orders:2147483647", 3),
        ] {
            assert_eq!(
                found(channel, partitions),
                Err(Kind::NotFound),
                "{channel} of {partitions}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for name in ["a:", "a:b", "a:-1", "a:+1", "a:01", "a:0:1", "a: 1", ":0", "a:2147483648"] {
            assert!(Name::parse("", name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_topic_is_created_and_deleted_whole() {
        let name = |channel| Name::parse("", channel).unwrap();
        let why = |failure: Failure| refusal(Err::<(), _>(failure.kind));
        assert!(why(name("orders:1").not_created_alone()).contains("create `orders`"));
        assert!(why(name("orders:1").not_deleted_alone()).contains("delete `orders`"));
        assert!(name("orders:1").is_numbered() && !name("orders").is_numbered());
    }
}
