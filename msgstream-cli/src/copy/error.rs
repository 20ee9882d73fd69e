//! Why a copy stops.

use msgstream::Error as StreamError;
use msgstream::consume::TooManyProducers;
use msgstream::message::DecodeError;
use msgstream::record::Position;
use msgstream::transport::{TransportError, TransportErrorKind};

use crate::error::Error;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("the source and the destination are the same: copy to another address")]
    OntoItself,
    #[error(
        "channel `{channel}` of the destination has records that this copy didn't write: copy to another address, or name exactly the channels of the copy that wrote them"
    )]
    Foreign { channel: String },
    #[error(
        "{stored} messages of channel `{channel}` are at the destination, but `{home}` there doesn't say up to which record of the source: its records were removed, so the copy can't go on; destroy the copy's channels and `{home}`, and copy again"
    )]
    NoPlace { channel: String, stored: u64, home: String },
    #[error(
        "the record at {position} of `{home}` at the destination doesn't say where the copy is; go on with the version of msgstream that wrote it"
    )]
    BadPlace { home: String, position: Position, source: serde_json::Error },
    #[error(
        "channel `{channel}` of the destination has {stored} of the {messages} messages that were copied: it was destroyed, or lost records; destroy the copy's channels and `{home}`, and copy again"
    )]
    Short { channel: String, stored: u64, messages: u64, home: String },
    #[error(
        "channel `{channel}` of the source can't be read on from where the copy is: copy again, to another address, and keep records there until they are copied"
    )]
    Gone { channel: String, source: TransportError },
    #[error(
        "the record at {position} of channel `{channel}` of the source can't be copied: leave such records out with --skip-unreadable"
    )]
    Unreadable { channel: String, position: Position, source: DecodeError },
    #[error("the record at {position} of channel `{channel}` of the source can't be judged")]
    Unjudged { channel: String, position: Position, source: TooManyProducers },
    #[error(
        "the records from {first} to {last} of channel `{channel}` of the source can't be written"
    )]
    Unwritten {
        channel: String,
        first: Position,
        last: Position,
        #[source]
        source: Box<StreamError>,
    },
    #[error("the source and the copy differ in {count} places, first:\n  {}", first.join("\n  "))]
    Differs { count: u64, first: Vec<String> },
}

/// Returns the error of a channel of the source that can't be read.
pub(super) fn source_error(channel: &str, source: TransportError) -> Error {
    use TransportErrorKind::{NotFound, PositionBeyondEnd, PositionTrimmed, WrongIncarnation};
    match source.kind() {
        NotFound | PositionBeyondEnd { .. } | PositionTrimmed { .. } | WrongIncarnation { .. } => {
            CopyError::Gone { channel: channel.to_owned(), source }.into()
        }
        _ => source.into(),
    }
}
