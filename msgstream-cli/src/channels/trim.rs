//! Trimming a channel.

use std::fmt;

use msgstream::record::Position;
use msgstream::transport::{ChannelInfo, Limit, Transport, TransportExt as _};
use serde::{Serialize, Serializer};

use crate::args::Point;
use crate::error::Result;

/// What became of a channel that was to be trimmed.
#[derive(Debug, Serialize)]
pub(super) struct Trimmed<'a> {
    channel: &'a str,
    result: Outcome,
    /// The first record that is left.
    #[serde(serialize_with = "as_text")]
    first: Option<Position>,
    /// What was to be removed is before it.
    #[serde(skip)]
    before: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Trimmed,
    Unchanged,
}

fn as_text<S: Serializer>(position: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    position.map(|position| position.to_string()).serialize(serializer)
}

impl<'a> Trimmed<'a> {
    /// Removes what is before a point.
    pub(super) async fn trim(
        broker: &dyn Transport,
        channel: &'a str,
        before: Point,
    ) -> Result<Self> {
        let info = broker.describe(channel).await?;
        let before = position(broker, channel, before, &info).await?;
        broker.trim(channel, before).await?;
        let first = broker.describe(channel).await?.first;
        let result = if first == info.first { Outcome::Unchanged } else { Outcome::Trimmed };
        Ok(Self { channel, result, first, before })
    }
}

impl fmt::Display for Trimmed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, result, first, before } = self;
        let kept = first.filter(|first| first < before);
        match (result, first) {
            (Outcome::Unchanged, None) => {
                return write!(f, "nothing was removed from `{channel}`: it has no record");
            }
            (Outcome::Unchanged, Some(first)) if kept.is_none() => {
                return write!(
                    f,
                    "nothing was removed from `{channel}`: the first record is at {first}"
                );
            }
            (Outcome::Unchanged, Some(_)) => write!(f, "nothing was removed from `{channel}`")?,
            (Outcome::Trimmed, None) => {
                return write!(f, "trimmed `{channel}`: no record is left");
            }
            (Outcome::Trimmed, Some(first)) => {
                write!(f, "trimmed `{channel}`; the first that is left: {first}")?;
            }
        }
        match kept {
            None => Ok(()),
            Some(kept) => write!(
                f,
                ": the broker removes records in larger pieces, such as the segments of files, and the piece with {kept} isn't wholly before {before}"
            ),
        }
    }
}

/// Returns the position of a point.
async fn position(
    broker: &dyn Transport,
    channel: &str,
    point: Point,
    info: &ChannelInfo,
) -> Result<Position> {
    Ok(match point {
        Point::At(position) => position,
        Point::Earliest => info.first.unwrap_or(info.end),
        Point::Latest => info.end,
        Point::Time(_) => {
            let mut reader = broker.reader(channel, point.into()).await?;
            let first = reader.read(Limit::default().with_records(1)).await?;
            first.records.first().map_or(info.end, |record| record.position)
        }
    })
}
