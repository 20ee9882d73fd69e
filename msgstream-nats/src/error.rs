//! Errors of a connection in the words of the contract.

use std::io;

use async_nats::{ConnectError, ConnectErrorKind};
use msgstream_core::transport::TransportErrorKind;

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

/// The connection ended, and this is what the server said last.
pub(crate) fn lost_because(words: &str) -> TransportErrorKind {
    TransportErrorKind::Unavailable {
        reason: format!("the connection was lost, and the server said before: {words}"),
    }
}
