//! The tool as its users run it: one program of tests, so that the library is linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "full")]
mod brokers;
mod channels;
mod copy;
mod copy_kills;
mod doctor;
mod files;
#[cfg(unix)]
mod guide;
mod kit;
mod produce;
mod repair_ticks;
mod replay;
mod settings;
#[cfg(unix)]
mod stopped;
mod tail;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod top;
