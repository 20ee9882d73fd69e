//! The examples of the guide run as tests.

#[doc = include_str!("../docs/guide/src/first-stream.md")]
struct FirstStream;
