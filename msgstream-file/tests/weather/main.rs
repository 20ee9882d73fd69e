//! Disks that are full, read-only, damaged or gone: each is an error of its own kind, nothing that was
//! acknowledged is lost, and writing goes on when it is over.
#![allow(clippy::unwrap_used, clippy::panic)]

mod damage;
#[path = "../kit/mod.rs"]
mod kit;
mod mounted;
mod repair;
mod rights;
mod too_many_files;
mod vanished;
mod version;
