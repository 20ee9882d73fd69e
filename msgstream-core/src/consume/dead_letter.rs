//! Records that can't be decoded, in a form that another channel accepts.

use std::error::Error as _;

use url::form_urlencoded::byte_serialize;

use super::poison::PackDecoder;
use crate::adapter::{is_reserved, with_causes};
use crate::error::{Error, Result};
use crate::message::DecodeError;
use crate::record::MsgType;
use crate::record::{Header, Position, Record};
use crate::transport::TransportErrorKind as Kind;

/// The longest reason that is written, in bytes: a reason may quote what can't be read.
const REASON: usize = 1024;

/// The prefix of the headers of dead letters.
const OURS: &str = "ms-dead-";

/// A dead letter before it is fitted to its channel.
#[derive(Debug)]
pub(super) struct DeadLetter {
    /// The record, without a session and without what is in `packed`.
    record: Record,
    /// Headers in a form that every channel accepts.
    packed: Option<String>,
    /// Where it comes from.
    about: Vec<Header>,
    /// What was cut, and how many bytes it had.
    cut: Vec<(&'static str, usize)>,
}

impl DeadLetter {
    pub(super) fn new(
        channel: &str,
        position: Position,
        record: &Record,
        why: &DecodeError,
    ) -> Self {
        let mut record = record.clone();
        let mut about = vec![
            Header::new(PackDecoder::CHANNEL_HEADER, text(channel, REASON)),
            Header::new(PackDecoder::POSITION_HEADER, position.to_string()),
            Header::new(
                PackDecoder::REASON_HEADER,
                text(&with_causes(why.to_string(), why.source()), REASON),
            ),
        ];
        if let Some(stamp) = record.meta.stamp.take() {
            let stamp = text(&stamp.to_string(), REASON);
            about.push(Header::new(PackDecoder::SESSION_HEADER, stamp));
        }
        // Otherwise it would be a tick of the channel of dead letters, or its end.
        if record.meta.msg_type == MsgType::TIME_TICK {
            about.push(Header::new(PackDecoder::TYPE_HEADER, record.meta.msg_type.to_string()));
            record.meta.msg_type = MsgType::UNREADABLE;
        }
        let mut letter = Self { record, packed: None, about, cut: Vec::new() };
        let taken = |header: &Header| is_reserved(&header.name) || header.name.starts_with(OURS);
        if letter.record.extra.iter().any(taken) {
            letter.pack();
        }
        letter
    }

    /// Returns the record, changed as little as necessary for the channel to accept it.
    pub(super) fn fit(mut self, check: impl Fn(&Record) -> Result<()>) -> Result<Record> {
        loop {
            let record = self.written();
            let Err(error) = check(&record) else { return Ok(record) };
            let helps = match &error {
                Error::Transport(error) => match error.kind() {
                    Kind::InvalidHeader { name, .. } if name == "vchannel" => self.rename(),
                    Kind::InvalidHeader { .. } => self.pack(),
                    Kind::TooLarge { bytes, limit } => self.shrink(bytes.saturating_sub(*limit)),
                    _ => false,
                },
                _ => false,
            };
            if !helps {
                return Err(error);
            }
        }
    }

    fn written(&self) -> Record {
        let mut record = self.record.clone();
        let packed = self.packed.as_ref();
        record.extra.extend(packed.map(|p| Header::new(PackDecoder::HEADERS_HEADER, p.clone())));
        record.extra.extend(self.about.iter().cloned());
        let cut: Vec<_> = self.cut.iter().map(|(what, bytes)| format!("{what}: {bytes}")).collect();
        if !cut.is_empty() {
            record.extra.push(Header::new(PackDecoder::CUT_HEADER, cut.join(", ")));
        }
        record
    }

    /// Takes the virtual channel from the metadata, where it isn't the one of the dead letters. Returns
    /// false if there is none.
    fn rename(&mut self) -> bool {
        let Some(vchannel) = self.record.meta.vchannel.take() else { return false };
        self.about.push(Header::new(PackDecoder::VCHANNEL_HEADER, text(&vchannel, REASON)));
        true
    }

    /// Converts the headers to the packed form. Returns false if they are in it already.
    fn pack(&mut self) -> bool {
        if self.packed.is_some() {
            return false;
        }
        let pair = |header: &Header| {
            let encode = |bytes| byte_serialize(bytes).collect::<String>();
            format!("{}={}", encode(header.name.as_bytes()), encode(&header.value))
        };
        let pairs: Vec<_> = self.record.extra.iter().map(pair).collect();
        self.record.extra.clear();
        self.packed = Some(pairs.join("&"));
        true
    }

    /// Cuts this many bytes, at least one, off the largest part. Returns false if nothing is left.
    fn shrink(&mut self, bytes: usize) -> bool {
        let payload = self.record.payload.len();
        let headers = match &self.packed {
            Some(packed) => packed.len(),
            None => self.record.extra.iter().map(|h| h.name.len() + h.value.len()).sum(),
        };
        if headers > payload && self.pack() {
            return true;
        }
        if payload.max(headers) == 0 {
            let Some(vchannel) = self.record.meta.vchannel.take() else { return false };
            self.cut.push(("virtual channel", vchannel.len()));
            return true;
        }
        let (what, length) =
            if headers > payload { ("headers", headers) } else { ("payload", payload) };
        let left = length - bytes.clamp(1, length);
        if headers > payload {
            self.packed.as_mut().into_iter().for_each(|packed| packed.truncate(left));
        } else {
            self.record.payload.truncate(left);
        }
        if !self.cut.iter().any(|(cut, _)| *cut == what) {
            self.cut.push((what, length));
        }
        true
    }
}

/// Returns a text as a header that every channel accepts: without control characters, and not
/// longer than `most` bytes.
fn text(text: &str, most: usize) -> String {
    let mut written = String::new();
    for letter in text.trim().chars() {
        if written.len() + letter.len_utf8() > most {
            written.push('…');
            break;
        }
        match letter.is_control() {
            true => written.extend(letter.escape_default()),
            false => written.push(letter),
        }
    }
    written
}

#[cfg(test)]
mod tests;
