//! Errors as JSON has them.

use std::error::Error as _;
use std::time::Duration;

use msgstream_core::record::{Incarnation, Position};
use msgstream_core::transport::{Capability, TransportError, TransportErrorKind};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    operation: String,
    channel: Option<String>,
    kind: Kind,
    cause: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Kind {
    NotFound,
    AlreadyExists,
    InvalidName { reason: String },
    Unsupported { capability: String },
    TooLarge { bytes: usize, limit: usize },
    InvalidHeader { name: String, reason: String },
    PositionBeyondEnd { position: Position, end: Position },
    PositionTrimmed { position: Position, first: Position },
    WrongIncarnation { expected: Incarnation, found: Incarnation },
    Poisoned,
    Closed,
    Unavailable { reason: String },
    TimedOut { after: Duration },
    Full { reason: String },
    Denied { reason: String },
    InUse { reason: String },
    Config { reason: String },
    Damaged { reason: String },
    Protocol { reason: String },
}

/// An operation's name is static.
const OPERATIONS: [&str; 19] = [
    "open",
    "create",
    "delete",
    "trim",
    "list",
    "describe",
    "writer",
    "reader",
    "subscription",
    "unsubscribe",
    "subscriptions",
    "encode_position",
    "decode_position",
    "ready",
    "check",
    "submit",
    "read",
    "seek",
    "ack",
];

impl From<&TransportError> for Failed {
    fn from(error: &TransportError) -> Self {
        Self {
            operation: error.operation().to_owned(),
            channel: error.channel().map(str::to_owned),
            kind: error.kind().clone().into(),
            cause: error.source().map(ToString::to_string),
        }
    }
}

impl From<Failed> for TransportError {
    fn from(failed: Failed) -> Self {
        let operation = OPERATIONS.into_iter().find(|name| *name == failed.operation);
        let mut error = Self::new(operation.unwrap_or("acked"), failed.kind.into());
        if let Some(channel) = failed.channel {
            error = error.on(channel);
        }
        match failed.cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

/// Returns the failure of a process that doesn't answer.
pub(crate) fn gone(reason: impl ToString) -> Failed {
    Failed {
        operation: "open".to_owned(),
        channel: None,
        kind: Kind::Protocol { reason: reason.to_string() },
        cause: None,
    }
}

macro_rules! kinds {
    ($($kind:ident $({ $($field:ident),+ })?,)+) => {
        impl From<TransportErrorKind> for Kind {
            fn from(kind: TransportErrorKind) -> Self {
                match kind {
                    $(TransportErrorKind::$kind $({ $($field),+ })? => Self::$kind $({ $($field),+ })?,)+
                    TransportErrorKind::Unsupported { capability } => {
                        Self::Unsupported { capability: capability.name().to_owned() }
                    }
                    other => Self::Protocol { reason: format!("an unknown kind of error: {other}") },
                }
            }
        }

        impl From<Kind> for TransportErrorKind {
            fn from(kind: Kind) -> Self {
                match kind {
                    $(Kind::$kind $({ $($field),+ })? => Self::$kind $({ $($field),+ })?,)+
                    Kind::Unsupported { capability: name } => {
                        let known = Capability::ALL.iter().find(|known| known.name() == name);
                        match known {
                            Some(capability) => Self::Unsupported { capability: *capability },
                            None => Self::Protocol { reason: format!("unknown capability {name}") },
                        }
                    }
                }
            }
        }
    };
}

kinds! {
    NotFound,
    AlreadyExists,
    InvalidName { reason },
    TooLarge { bytes, limit },
    InvalidHeader { name, reason },
    PositionBeyondEnd { position, end },
    PositionTrimmed { position, first },
    WrongIncarnation { expected, found },
    Poisoned,
    Closed,
    Unavailable { reason },
    TimedOut { after },
    Full { reason },
    Denied { reason },
    InUse { reason },
    Config { reason },
    Damaged { reason },
    Protocol { reason },
}
