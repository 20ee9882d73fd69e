//! Bugs that can be planted, so that a test can show that it finds them. Only with the feature
//! `planted-bugs`, which no release build can have.

#![cfg_attr(not(feature = "planted-bugs"), allow(dead_code, unreachable_pub))]

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("the feature `planted-bugs` is for tests: a release build can't have it");

/// A mistake that someone could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// A pack ends at the least watermark there is when the merge looks.
    CutAtLeastWatermark,
    /// A record is late where it is behind the frontier, not behind its channel's watermark.
    LateByFrontier,
    /// Every number above the greatest that was seen is taken.
    HighWaterDedup,
    /// A checkpoint has the producers as of the place up to which was read.
    StateAtReadHead,
    /// A checkpoint has the producers as of its `resume`.
    StateAtResume,
    /// A subscription is acknowledged up to the cut.
    AckPastResume,
    /// A tick is sent though the messages before it are not acknowledged.
    EarlyTick,
    /// After a failure only the failed batch is sent again.
    RetryAlone,
    /// A channel that is caught up doesn't say so.
    LostCaughtUp,
    /// Records of an earlier epoch are taken after a fence.
    IgnoredFence,
    /// A tick before which more was sent makes its producer known, as an exact one does.
    InexactTick,
    /// What was evicted from before a tick is missing in a channel's marks.
    EvictedForgotten,
    /// What the next pack has is taken again where evicted records are read again.
    KeptTwice,
    /// What was left out is judged anew where evicted records are read again.
    VoidReadAgain,
    /// The next packs don't wait for evicted records to be read again.
    EvictedNotAwaited,
    /// Ticks have no effect where evicted records are read again.
    TicksNotReadAgain,
    /// A session that is opened takes no promise from the ticks that are there.
    PromisesForgotten,
    /// A tick doesn't tell that more was sent before it than it counts.
    UntoldSent,
    /// Messages behind a tick are written.
    WrittenLate,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::CutAtLeastWatermark,
        Self::LateByFrontier,
        Self::HighWaterDedup,
        Self::StateAtReadHead,
        Self::StateAtResume,
        Self::AckPastResume,
        Self::EarlyTick,
        Self::RetryAlone,
        Self::LostCaughtUp,
        Self::IgnoredFence,
        Self::InexactTick,
        Self::EvictedForgotten,
        Self::KeptTwice,
        Self::VoidReadAgain,
        Self::EvictedNotAwaited,
        Self::TicksNotReadAgain,
        Self::PromisesForgotten,
        Self::UntoldSent,
        Self::WrittenLate,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local!(static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) });

    /// Plants a bug, or removes it, in what runs on this thread.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use self::switch::plant;
#[cfg(feature = "planted-bugs")]
pub(crate) use self::switch::planted;

#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
