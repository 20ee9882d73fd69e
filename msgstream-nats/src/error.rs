//! Errors of a connection, as errors of a transport.

use std::error::Error as _;
use std::io;

use async_nats::{ConnectError, ConnectErrorKind};
use msgstream_core::adapter::Failure;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind;

/// Why a connection to any of these servers could not be made. Neither the text nor the cause holds a credential: addresses
/// are made without them.
pub(crate) fn connect_error(error: ConnectError, servers: &[Host]) -> Failure {
    let kind = match error.kind() {
        ConnectErrorKind::AuthorizationViolation => TransportErrorKind::Denied {
            reason: "the credentials are wrong, missing or expired, so use others".to_owned(),
        },
        ConnectErrorKind::Authentication => TransportErrorKind::Denied {
            reason:
                "the credentials can't answer the server's challenge, so use others, of this server"
                    .to_owned(),
        },
        ConnectErrorKind::ServerParse => TransportErrorKind::Config {
            reason: "the server's address can't be used: check the URL".to_owned(),
        },
        // The client has no kind for a certificate that isn't trusted.
        kind if kind == ConnectErrorKind::Tls || is_invalid_data(&error) => {
            TransportErrorKind::Config { reason: tls_failed(&error) }
        }
        _ => unreachable(servers),
    };
    Failure::new(kind, error)
}

/// No server could be reached.
pub(crate) fn unreachable(servers: &[Host]) -> TransportErrorKind {
    let servers: Vec<_> = servers.iter().map(|host| format!("`{host}`")).collect();
    let reason = format!("connecting to {} failed", servers.join(", "));
    TransportErrorKind::Unavailable { reason }
}

fn is_invalid_data(error: &ConnectError) -> bool {
    let source = error.source().and_then(|e| e.downcast_ref::<io::Error>());
    source.is_some_and(|e| e.kind() == io::ErrorKind::InvalidData)
}

fn tls_failed(error: &ConnectError) -> String {
    // The cause says which certificate, and what to do depends on that.
    let cause = error.source().map_or_else(|| error.kind().to_string(), ToString::to_string);
    format!("TLS failed: {cause}; check the certificates and the options `ca`, `cert` and `key`")
}

/// The connection ended.
pub(crate) fn lost() -> TransportErrorKind {
    TransportErrorKind::Unavailable { reason: "the connection was lost".to_owned() }
}

/// The connection ended, as an error of the client library shows.
pub(crate) fn lost_by(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(lost(), error)
}

/// The connection ended, and this is what the server said last.
pub(crate) fn lost_because(words: &str) -> TransportErrorKind {
    TransportErrorKind::Unavailable {
        reason: format!("the connection was lost after the server reported: {words}"),
    }
}

/// The server sent something that can't be parsed.
pub(crate) fn unreadable_answer(error: serde_json::Error) -> Failure {
    let reason = "the server's JSON has another form than expected".to_owned();
    Failure::new(TransportErrorKind::Protocol { reason }, error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::registry::{Url, hosts};

    use super::*;

    fn has<E: std::error::Error + 'static>(failure: Failure) -> bool {
        let error = failure.during("connect");
        let mut next = error.source();
        while let Some(cause) = next {
            if cause.is::<E>() {
                return true;
            }
            next = cause.source();
        }
        false
    }

    #[test]
    fn errors_keep_their_cause() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let connect = || ConnectError::with_source(ConnectErrorKind::Io, refused());
        assert!(has::<ConnectError>(connect_error(connect(), &[])));
        assert!(has::<io::Error>(connect_error(connect(), &[])));
        assert!(has::<io::Error>(lost_by(refused())));
        let json = serde_json::from_slice::<u64>(b"{").map_err(unreadable_answer);
        assert!(json.is_err_and(has::<serde_json::Error>));
    }

    #[test]
    fn the_servers_are_named_and_the_cause_is_not_repeated() {
        let error = ConnectError::with_source(ConnectErrorKind::Io, io::Error::other("no route"));
        let url = Url::parse("nats://bob:secret@a").unwrap();
        let failure = connect_error(error, &hosts(&url, "[::1]:7", 4222).unwrap());
        assert!(!failure.kind.to_string().contains("no route"));
        let told = failure.to_string();
        assert!(told.contains("connecting to `a:4222`, `[::1]:7` failed"), "{told}");
        assert!(told.ends_with(": IO error: no route") && !told.contains("secret"), "{told}");
    }
}
