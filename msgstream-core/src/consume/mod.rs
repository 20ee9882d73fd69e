//! Reading: many channels as one stream of packs.
//!
//! [`Consumer`] is where to begin; [`merge`](crate::merge) has the rules by which packs are formed,
//! and [`checkpoint`](crate::checkpoint) how a program processes each message exactly once.

pub(crate) mod aligned;
pub(crate) mod batches;
mod builder;
mod committer;
mod config;
mod consumer;
mod dead_letter;
mod fan_in;
mod open;
pub(crate) mod outage;
mod poison;
mod polled;
mod repair;
mod status;

pub use self::builder::ConsumerBuilder;
pub use self::committer::{CommitCounts, Committer};
pub use self::config::ConsumerConfig;
pub use self::consumer::{ByHand, Consumer, Saved};
pub use self::outage::Outage;
pub use self::poison::{PackDecoder, PoisonPolicy};
pub use self::status::ConsumerStatus;
pub use crate::dedup::{ChannelFilter, FilterState, Judgement, ProducerLimits, TooManyProducers};
pub use crate::merge::{
    ChannelState, ChannelStatus, LatePolicy, MergeCounts, MergeStatus, TickSource,
};
