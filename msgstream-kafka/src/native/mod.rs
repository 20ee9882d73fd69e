//! What the client library doesn't show, by librdkafka's own functions. All that is unsafe is here;
//! `docs/decisions/0009-librdkafka-itself.md` has why.

#![allow(
    unsafe_code,
    reason = "no safe call tells where an end is, a topic's id, any header, or what any group committed"
)]

pub(crate) mod ids;
pub(crate) mod offsets;
mod request;
pub(crate) mod topic;
