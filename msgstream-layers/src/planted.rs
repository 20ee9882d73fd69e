//! Bugs that can be planted, so that a test can show that it finds them. Only with the feature
//! `planted-bugs`, which no release build can have.

#![cfg_attr(not(feature = "planted-bugs"), allow(dead_code, unreachable_pub))]

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("the feature `planted-bugs` is for tests: a release build can't have it");

/// A mistake that someone could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// Parts are matched by their order alone, not by their writer and message.
    PartsOfAnother,
    /// A part that a broker has stored twice counts twice.
    RepeatedPart,
    /// The last part of a message is written before the others are stored.
    EarlyLast,
    /// A message that was begun before the reader came is passed over.
    NothingFetched,
    /// A message whose first parts were removed is passed over by readers that resume.
    RemovedUnnoticed,
    /// What is trimmed goes with the first parts of messages that end later.
    TrimPassedOn,
    /// An acknowledgement passes the first parts of messages that end later.
    AckPassedOn,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PartsOfAnother,
        Self::RepeatedPart,
        Self::EarlyLast,
        Self::NothingFetched,
        Self::RemovedUnnoticed,
        Self::TrimPassedOn,
        Self::AckPassedOn,
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
