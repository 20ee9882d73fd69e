//! Splits what a broker sends into frames.
//!
//! The protocol's own messages require text to be UTF-8, which not every program writes. So entries aren't
//! decoded here: only the reader of an entry is affected by its contents, not everyone on the connection.

use std::io::{Error, ErrorKind};

use bytes::{Buf as _, Bytes, BytesMut};
use prost::Message as _;
use pulsar::proto::BaseCommand;
use tokio_util::codec::Decoder;

/// No frame is longer, in bytes: an entry has at most 128 MiB. Something else than a broker would be
/// waited for in vain.
const MAX_FRAME: usize = 256 << 20;

/// A command, and the entry behind it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) command: BaseCommand,
    /// Checksum, metadata and messages as they arrived, empty if the command has none.
    pub(crate) entry: Bytes,
}

/// Decodes frames.
#[derive(Debug)]
pub(crate) struct Framing;

impl Decoder for Framing {
    type Item = Frame;
    type Error = Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let Some(length) = length(source) else { return Ok(None) };
        if length > MAX_FRAME {
            return Err(wrong("a frame is longer than any"));
        }
        let Some(frame) = source.get(4..4 + length) else { return Ok(None) };
        let taken = self::length(frame).and_then(|command| {
            let rest = &frame[4..];
            (command <= rest.len()).then(|| rest.split_at(command))
        });
        let (command, entry) = taken.ok_or_else(|| wrong("a command is longer than its frame"))?;
        let frame = Frame {
            command: BaseCommand::decode(command)
                .map_err(|error| Error::new(ErrorKind::InvalidData, error))?,
            // A copy: a slice would keep all that came together with it.
            entry: Bytes::copy_from_slice(entry),
        };
        source.advance(4 + length);
        Ok(Some(frame))
    }
}

/// Returns the length at the beginning.
fn length(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use pulsar::message::{Codec, Message, Payload};
    use tokio_util::codec::Encoder as _;

    use super::*;
    use crate::frames;

    #[test]
    fn frames_are_taken_as_they_come() {
        let mut written = BytesMut::new();
        let payload = Payload { metadata: Default::default(), data: b"data".to_vec() };
        let with_entry = Message { payload: Some(payload), ..frames::pong() };
        for message in [frames::ping(), with_entry] {
            Codec.encode(message, &mut written).unwrap();
        }
        let (mut source, mut taken) = (BytesMut::new(), Vec::new());
        for byte in written {
            source.extend_from_slice(&[byte]);
            taken.extend(Framing.decode(&mut source).unwrap());
        }
        let [ping, pong] = &taken[..] else { panic!("{taken:?}") };
        assert!(ping.command.ping.is_some() && ping.entry.is_empty());
        assert!(pong.command.pong.is_some() && pong.entry.ends_with(b"data"));
        assert!(source.is_empty());
    }

    #[test]
    fn what_no_broker_says_is_an_error() {
        for bytes in [b"HTTP/1.1 400".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 1], &[0, 0, 0, 1, 0]] {
            assert!(Framing.decode(&mut bytes.into()).is_err(), "{bytes:?}");
        }
    }
}
