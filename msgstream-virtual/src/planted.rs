//! Bugs that can be planted, so that a test can show that it finds them. Only with the feature
//! `planted-bugs`, which no release build can have.

#![cfg_attr(not(feature = "planted-bugs"), allow(dead_code, unreachable_pub))]

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("the feature `planted-bugs` is for tests: a release build can't have it");

/// A mistake that someone could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// A reader joins the hub although records between it and the hub's window are gone.
    GapAtJoin,
    /// A reader that joins the hub gets all that the window has of its channel.
    RepeatAtJoin,
    /// A tick of another virtual channel counts.
    ForeignTick,
    /// The hub waits for a reader whose queue is full.
    SlowReaderHolds,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::GapAtJoin, Self::RepeatAtJoin, Self::ForeignTick, Self::SlowReaderHolds];
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
