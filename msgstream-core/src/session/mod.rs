//! Sessions: what makes producing exactly-once over a broker that isn't.

mod control;
pub(crate) mod dedup;

pub use self::dedup::{ProducerLimits, ProducerState};

pub(crate) use self::control::{Control, Kind};
