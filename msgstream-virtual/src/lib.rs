#![doc = include_str!("../README.md")]

mod counts;
mod hub;
mod placement;
#[doc(hidden)]
pub mod planted;
mod reader;
mod scheme;
mod task;
mod transport;
mod view;
mod writer;

pub use self::counts::VirtualCounts;
pub use self::placement::{Common, Placement, PlacementError};
pub use self::scheme::{VirtualScheme, register};
pub use self::transport::Virtual;
