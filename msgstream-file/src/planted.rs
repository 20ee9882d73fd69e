//! Bugs that can be planted, so that a test can show that it finds them. Only with the feature
//! `planted-bugs`, which no release build can have.

#![cfg_attr(not(feature = "planted-bugs"), allow(dead_code, unreachable_pub))]

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("the feature `planted-bugs` is for tests: a release build can't have it");

/// A mistake that someone could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// What is appended isn't synced.
    NoSync,
    /// Receipts are sent before what they are about is published.
    ReceiptsBeforePublish,
    /// What is appended is published before it is synced.
    PublishBeforeSync,
    /// The names in a folder aren't synced.
    NoFolderSync,
    /// A sync that failed is tried again.
    RetriedSync,
    /// What is beyond the published end is taken for part of the log.
    AdoptedTail,
    /// A frame counts as whole if its header is.
    TornTailWhole,
    /// Segments are removed before the new beginning of the log is durable.
    FirstAfterUnlink,
    /// A lock counts whichever file it is on, and whichever incarnation the files are of.
    LockOnDeadFile,
    /// A segment that somebody began is overlooked.
    BegunSegment,
    /// Offsets count as reserved if the system shows it.
    ShownReservation,
    /// What the system shows counts as durable after the next sync.
    ShownPages,
    /// The files of a channel are removed before its name is gone for good.
    RemainsUnsynced,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoSync,
        Self::ReceiptsBeforePublish,
        Self::PublishBeforeSync,
        Self::NoFolderSync,
        Self::RetriedSync,
        Self::AdoptedTail,
        Self::TornTailWhole,
        Self::FirstAfterUnlink,
        Self::LockOnDeadFile,
        Self::BegunSegment,
        Self::ShownReservation,
        Self::ShownPages,
        Self::RemainsUnsynced,
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
