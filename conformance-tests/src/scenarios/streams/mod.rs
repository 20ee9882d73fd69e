//! Streams over a transport: packs to many channels, and packs from many channels that are
//! aligned in event time.
//!
//! What is read back is a function of what was written, the same on every transport. Here is
//! the proof for one of them.

mod stage;

pub mod foreign;
pub mod idle;
pub mod late;
pub mod membership;
pub mod memory;
pub mod outage;
pub mod packs;
pub mod poison;
pub mod produce;
pub mod resume;
pub mod ticks;
