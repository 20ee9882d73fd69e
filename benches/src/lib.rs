//! Workloads that say what msgstream costs, shared by the criterion benchmarks and by the program
//! `performance`; and what that program shares with the programs `brokers`, which compares with the
//! plain clients of brokers, `compare`, which compares two builds of `row`, and `observe`, which measures what
//! observing costs.
//!
//! A [`Workload`] under a [`Shape`] gives a [`Job`]: everything that isn't measured is done before
//! it runs, and what it computed is compared with what must come out after it ran.
//!
//! ```
//! use msgstream_bench::{Rates, Shape, Workload};
//! let shape = Shape { payload: 128, channels: 2, rates: Rates::Equal };
//! for workload in Workload::ALL {
//!     let job = workload.prepare(shape, 400)?;
//!     job.run()?.check()?;
//! }
//! # Ok::<(), msgstream_bench::Error>(())
//! ```

mod cases;
mod checksum;
pub mod clock;
mod consume;
pub mod document;
mod log;
pub mod machine;
mod merge;
mod produce;
mod shape;
mod workload;

pub use self::cases::{Case, SESSIONS};
pub use self::shape::{MESSAGES_PER_TICK, Rates, Shape};
pub use self::workload::{Done, Error, Job, Layer, Workload};
