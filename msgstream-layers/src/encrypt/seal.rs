//! Sealing and opening one payload.
//!
//! A sealed payload is a nonce of 24 random bytes, what is encrypted, and a tag of 16 bytes. With
//! random nonces of that length a key lasts for more messages than will ever be written
//! (draft-irtf-cfrg-xchacha-03, section 2); the 12 bytes of AES-GCM wouldn't (NIST SP 800-38D, 8.3:
//! 2^32 messages).

use bytes::Bytes;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XNonce};
use msgstream_core::record::{Header, Meta, MsgType, Record, unreadable};

use super::key::{Key, is_id};

/// The header of a sealed record: the version of the format, and the id of the key.
pub(super) const HEADER: &str = "ms-sealed";
/// The version, and what separates it from the id.
const VERSION: &str = "1;";

pub(super) const NONCE: usize = 24;
const TAG: usize = 16;
/// How much longer a sealed payload is.
pub(super) const OVERHEAD: usize = NONCE + TAG;
/// The longest payload that the cipher takes, which RFC 8439 limits to 2^32 - 1 blocks of 64 bytes.
pub(super) const LONGEST: u64 = (u32::MAX as u64) * 64;

/// Returns whether records of a type are sealed. Ticks, ends and what sessions write beside messages,
/// which all have the type of ticks, stay as they are: they hold nothing but times and numbers.
pub(super) fn is_sealed(msg_type: MsgType) -> bool {
    msg_type != MsgType::TIME_TICK
}

pub(super) fn header(key: &Key) -> Header {
    Header::new(HEADER, format!("{VERSION}{}", key.id()))
}

/// Returns what a payload becomes; `None` if it is longer than [`LONGEST`].
pub(super) fn seal(
    key: &Key,
    nonce: [u8; NONCE],
    channel: &str,
    meta: &Meta,
    payload: &[u8],
) -> Option<Bytes> {
    let mut sealed = Vec::with_capacity(payload.len() + OVERHEAD);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(payload);
    let bound = bound(key.id(), channel, meta);
    let text = &mut sealed[NONCE..];
    let tag =
        key.cipher().encrypt_inout_detached(&XNonce::from(nonce), &bound, text.into()).ok()?;
    sealed.extend_from_slice(&tag);
    Some(sealed.into())
}

/// Opens a record that was read, or makes it an unreadable one that has the reason.
pub(super) fn open(
    mut record: Record,
    channel: &str,
    find: impl FnOnce(&str) -> Option<Key>,
) -> Record {
    if !is_sealed(record.meta.msg_type) {
        return record;
    }
    let opened = match record.header(HEADER) {
        Some(header) => opened(&record, header, channel, find),
        // The transport has a reason of its own.
        None if record.meta.msg_type == MsgType::UNREADABLE => return record,
        None => Err("it isn't sealed, so anyone may have written it".to_owned()),
    };
    match opened {
        Ok(payload) => {
            record.payload = payload;
            record.extra.retain(|header| &*header.name != HEADER);
            record
        }
        Err(reason) => {
            let Record { position, meta, extra, payload, .. } = record;
            let mut closed = unreadable(position, reason, extra, payload);
            // With its time it is in the pack that it belongs to, and with its number it leaves no
            // gap in its session.
            closed.meta = meta;
            closed.meta.msg_type = MsgType::UNREADABLE;
            closed
        }
    }
}

/// Returns the payload of a sealed record, or why it can't be opened.
fn opened(
    record: &Record,
    header: &Bytes,
    channel: &str,
    find: impl FnOnce(&str) -> Option<Key>,
) -> Result<Bytes, String> {
    let text = String::from_utf8_lossy(header);
    let id = text.strip_prefix(VERSION).filter(|id| is_id(id));
    let id = id.ok_or_else(|| format!("its header `{HEADER}` is `{}`", text.escape_debug()))?;
    let key = find(id).ok_or_else(|| format!("the key `{id}` isn't there"))?;
    let cut = || "its sealed payload is cut short".to_owned();
    let (nonce, rest) = record.payload.split_first_chunk::<NONCE>().ok_or_else(cut)?;
    let (text, tag) = rest.split_last_chunk::<TAG>().ok_or_else(cut)?;
    let mut text = text.to_vec();
    let bound = bound(id, channel, &record.meta);
    let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
    key.cipher()
        .decrypt_inout_detached(&nonce, &bound, text.as_mut_slice().into(), &tag)
        .map_err(|_| format!("it was changed, or sealed with another key than the `{id}` here"))?;
    Ok(text.into())
}

/// Returns what a payload is bound to: it opens only where all of this is the same.
fn bound(id: &str, channel: &str, meta: &Meta) -> Vec<u8> {
    let Meta { msg_type, msg_id, timestamp, collection_id, ref vchannel, .. } = *meta;
    let vchannel = vchannel.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(64 + id.len() + channel.len() + vchannel.len());
    // Each with its length, so that no two of them are confused.
    for text in [VERSION, id, channel, vchannel] {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&msg_type.0.to_le_bytes());
    bytes.extend_from_slice(&msg_id.to_le_bytes());
    bytes.extend_from_slice(&timestamp.0.to_le_bytes());
    bytes.extend_from_slice(&collection_id.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests;
