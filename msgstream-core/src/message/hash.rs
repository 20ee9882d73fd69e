//! Hash keys. By default a message goes to the channel `hash % number of channels`.

/// Returns the hash of a number: murmur3 (x86, 32 bits, seed 0) of its little-endian bytes, without
/// the uppermost bit. Milvus hashes numbers in the same way.
///
/// ```
/// assert_eq!(msgstream_core::message::hash_i64(42), 1_871_679_806);
/// ```
#[must_use]
pub const fn hash_i64(key: i64) -> u32 {
    let key = key as u64;
    let hash = mix_block(mix_block(0, key as u32), (key >> 32) as u32);
    finish(hash ^ size_of::<i64>() as u32) & 0x7fff_ffff
}

const fn mix_block(hash: u32, block: u32) -> u32 {
    let block = block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ block).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

const fn finish(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Returns the hash of a string: CRC-32 (IEEE) of its first 100 bytes. Milvus hashes strings in the
/// same way.
///
/// ```
/// assert_eq!(msgstream_core::message::hash_str("milvus"), 725_768_567);
/// ```
#[must_use]
pub fn hash_str(key: &str) -> u32 {
    let bytes = key.as_bytes();
    crc32fast::hash(&bytes[..bytes.len().min(100)])
}
