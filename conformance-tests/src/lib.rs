#![doc = include_str!("../README.md")]

#[macro_use]
mod failure;
mod harness;
mod kit;
mod matrix;
mod plain;
mod runner;
mod scenario;
pub mod scenarios;

pub use libtest_mimic::{Arguments, Conclusion};

pub use self::failure::{Failure, Verdict};
pub use self::harness::{Broker, BrokerError, Harness, unique_name};
pub use self::matrix::matrix;
pub use self::plain::{BadKind, PlainClient, PlainRecord};
pub use self::runner::{check, run, run_with};
pub use self::scenario::{Need, Scenario};
