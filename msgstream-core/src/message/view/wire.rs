//! Reads protobuf's wire format. What is accepted, and as what, is the same as in prost; `None` means
//! that prost refuses it.

/// How deep messages and groups may be nested.
pub(super) const DEPTH: u32 = 100;

/// How a field's value is encoded: the lowest bits of its key.
pub(super) type WireType = u32;

pub(super) const VARINT: WireType = 0;
const FIXED_64: WireType = 1;
pub(super) const DELIMITED: WireType = 2;
const START_GROUP: WireType = 3;
const END_GROUP: WireType = 4;
const FIXED_32: WireType = 5;

/// The beginning of a field.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) tag: u32,
    pub(super) wire_type: WireType,
    /// The message from this key on.
    pub(super) from: &'a [u8],
    /// How many levels may be nested in the message.
    pub(super) depth: u32,
}

/// Reads a key.
#[inline]
pub(super) fn key<'a>(input: &mut &'a [u8], depth: u32) -> Option<Key<'a>> {
    let from = *input;
    let key = u32::try_from(varint(input)?).ok()?;
    let (tag, wire_type) = (key >> 3, key & 7);
    (tag != 0).then_some(Key { tag, wire_type, from, depth })
}

/// Reads a varint: at most 10 bytes and 64 bits.
#[inline]
pub(super) fn varint(input: &mut &[u8]) -> Option<u64> {
    let (first, rest) = input.split_first()?;
    if *first < 0x80 {
        *input = rest;
        return Some(u64::from(*first));
    }
    long_varint(input)
}

fn long_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in input.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            *input = &input[index + 1..];
            // The tenth byte has room for one bit.
            return (index < 9 || *byte < 2).then_some(value);
        }
    }
    None
}

/// Reads a length, and as many bytes.
#[inline]
pub(super) fn delimited<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(bytes)
}

/// Passes over a field whose key was read.
#[cold]
pub(super) fn skip(key: Key<'_>, input: &mut &[u8]) -> Option<()> {
    let depth = key.depth.checked_sub(1)?;
    match key.wire_type {
        VARINT => varint(input).map(drop),
        FIXED_32 => input.split_off(..4).map(drop),
        FIXED_64 => input.split_off(..8).map(drop),
        DELIMITED => delimited(input).map(drop),
        START_GROUP => loop {
            let inner = self::key(input, depth)?;
            if inner.wire_type == END_GROUP {
                return (inner.tag == key.tag).then_some(());
            }
            skip(inner, input)?;
        },
        _ => None,
    }
}
