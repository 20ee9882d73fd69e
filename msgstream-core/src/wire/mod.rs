//! How records look on a broker that has only bytes and strings: headers, positions, hash keys.
//!
//! It is the format of Milvus 2.x, and for the brokers' adapters to use; programs need only the
//! hashes.

mod hash;
mod headers;
pub mod positions;
mod record;
mod size;

pub use self::hash::{hash_i64, hash_str};
pub(crate) use self::headers::is_reserved;
pub use self::headers::{REPLICATE_ID, decode_headers, encode_headers};
pub(crate) use self::record::unreadable_reason;
pub use self::record::{read_record, unreadable};
pub use self::size::{HeadersSize, headers_size};
