//! Errors of the client and the server in the words of the contract.

use std::{fmt, io};

use async_nats::{ConnectError, ConnectErrorKind};
use msgstream_core::transport::TransportErrorKind;
use serde::Deserialize;

/// What the server answers to a request of JetStream that it refuses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ServerError {
    code: u16,
    #[serde(default)]
    pub(crate) err_code: u16,
    #[serde(default)]
    description: String,
}

impl ServerError {
    pub(crate) const NO_MESSAGE: u16 = 10037;
    pub(crate) const STREAM_NOT_FOUND: u16 = 10059;
    pub(crate) const WRONG_LAST_SEQUENCE: u16 = 10071;
    const STREAM_EXISTS: u16 = 10058;
    const ACCOUNT_FULL: u16 = 10002;
    const NO_RESOURCES: u16 = 10023;
    const CONSUMER_LIMIT: u16 = 10026;
    const STREAM_LIMIT: u16 = 10027;
    const MEMORY_FULL: u16 = 10028;
    const STORAGE_FULL: u16 = 10047;
    const STORE_FAILED: u16 = 10077;
    const ACCOUNT_WITHOUT_JETSTREAM: u16 = 10039;
    const CONSUMER_NOT_FOUND: u16 = 10014;

    pub(crate) fn kind(&self) -> TransportErrorKind {
        match (self.err_code, self.code) {
            (Self::STREAM_NOT_FOUND, _) => TransportErrorKind::NotFound,
            (Self::STREAM_EXISTS, _) => TransportErrorKind::AlreadyExists,
            (
                Self::ACCOUNT_FULL | Self::NO_RESOURCES | Self::CONSUMER_LIMIT | Self::STREAM_LIMIT,
                _,
            )
            | (Self::MEMORY_FULL | Self::STORAGE_FULL | Self::STORE_FAILED, _) => {
                let reason = format!("{self}; wait for retention, raise the limit, or delete");
                TransportErrorKind::Full { reason }
            }
            (Self::ACCOUNT_WITHOUT_JETSTREAM, _) => TransportErrorKind::Config {
                reason: format!("{self}: switch JetStream on for the account"),
            },
            // It was there: its server went away, or it was idle for too long.
            (Self::CONSUMER_NOT_FOUND, _) | (_, 503) => {
                TransportErrorKind::Unavailable { reason: self.to_string() }
            }
            (_, 400..500) => TransportErrorKind::Config {
                reason: format!("the server refused the request: {self}"),
            },
            _ => TransportErrorKind::Protocol { reason: self.to_string() },
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (JetStream error {})", self.description, self.err_code)
    }
}

/// Why a connection could not be made. The text never holds an address, for that may hold a
/// password.
pub(crate) fn connect_error(error: &ConnectError) -> TransportErrorKind {
    let source = || {
        let source = std::error::Error::source(error);
        source.map_or_else(|| error.kind().to_string(), ToString::to_string)
    };
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => TransportErrorKind::Denied {
            reason: "the credentials are wrong, missing or expired".to_owned(),
        },
        ConnectErrorKind::Authentication => TransportErrorKind::Denied {
            reason: "the credentials can't answer the server's challenge".to_owned(),
        },
        ConnectErrorKind::ServerParse => TransportErrorKind::Config {
            reason: format!("the address can't be used: {}", source()),
        },
        ConnectErrorKind::Tls => {
            TransportErrorKind::Config { reason: format!("TLS failed: {}", source()) }
        }
        // A certificate that isn't trusted; the client has no kind for it.
        _ if is_invalid_data(error) => {
            TransportErrorKind::Config { reason: format!("TLS failed: {}", source()) }
        }
        _ => TransportErrorKind::Unavailable {
            reason: format!("connecting to the server failed: {}", source()),
        },
    }
}

fn is_invalid_data(error: &ConnectError) -> bool {
    let source = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    source.is_some_and(|e| e.kind() == io::ErrorKind::InvalidData)
}

/// The connection ended.
pub(crate) fn lost() -> TransportErrorKind {
    TransportErrorKind::Unavailable { reason: "the connection was lost".to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kind(json: &str) -> TransportErrorKind {
        serde_json::from_str::<ServerError>(json).unwrap().kind()
    }

    #[test]
    fn refusals_keep_their_meaning() {
        use TransportErrorKind as Kind;
        let of = |code: u16, err_code: u16| {
            kind(&format!(r#"{{"code":{code},"err_code":{err_code},"description":"why"}}"#))
        };
        assert_eq!(of(404, 10059), Kind::NotFound);
        assert_eq!(of(400, 10058), Kind::AlreadyExists);
        assert!(matches!(of(503, 10077), Kind::Full { reason } if reason.contains("why")));
        assert!(matches!(of(503, 10008), Kind::Unavailable { .. }));
        assert!(matches!(of(400, 10065), Kind::Config { reason } if reason.contains("10065")));
        assert!(matches!(of(500, 10051), Kind::Protocol { .. }));
    }
}
