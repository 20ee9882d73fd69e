//! Tools for those who write a transport: retries, copies of payloads, and the encoding of records
//! for brokers that store bytes and strings.
//!
//! Headers and positions are encoded as Milvus 2.x encodes them.

mod backoff;
mod cause;
mod copies;
mod failure;
mod headers;
pub mod positions;
mod record;
mod retry;
mod size;

pub(crate) use self::backoff::Backoff;
pub use self::cause::cause;
pub(crate) use self::cause::with_causes;
pub use self::copies::Copies;
pub use self::failure::Failure;
pub(crate) use self::headers::is_reserved;
pub use self::headers::{decode_headers, encode_headers, encode_with_key};
pub use self::record::{add_key, read_record};
pub use self::retry::Retry;
pub use self::size::{HeadersSize, headers_size};
pub use crate::dedup::vchannel::SessionPart;
