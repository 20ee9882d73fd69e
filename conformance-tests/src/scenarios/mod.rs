//! The scenarios, by what they are about. Each is a function of a transport and a [`Harness`] and
//! returns a [`Verdict`].
//!
//! Each runs on channels of its own, so they may run at the same time. They need a tokio runtime
//! with more than one thread, as [`check`](crate::check) provides. One that is cancelled leaves
//! its channels behind, as one that is done does.
//!
//! [`Harness`]: crate::Harness
//! [`Verdict`]: crate::Verdict

pub mod broker;
pub mod capabilities;
pub mod channel;
pub mod check;
pub mod concurrency;
pub mod foreign;
pub mod handle;
pub mod incarnation;
pub mod reader;
pub mod record;
pub mod refusal;
pub mod start;
pub mod streams;
pub mod subscription;
pub mod trim;
pub mod writer;

use crate::scenario::Scenario;

/// The scenarios of every module.
pub(crate) const ALL: &[&[Scenario]] = &[
    capabilities::ALL,
    channel::ALL,
    incarnation::ALL,
    record::ALL,
    writer::ALL,
    check::ALL,
    reader::ALL,
    start::ALL,
    subscription::ALL,
    trim::ALL,
    trim::readers::ALL,
    concurrency::ALL,
    handle::ALL,
    refusal::ALL,
    foreign::ALL,
    streams::produce::ALL,
    streams::packs::ALL,
    streams::ticks::ALL,
    streams::late::ALL,
    streams::membership::ALL,
    streams::idle::ALL,
    streams::memory::ALL,
    streams::poison::ALL,
    streams::foreign::ALL,
    streams::resume::ALL,
    streams::outage::ALL,
    broker::ALL,
];
