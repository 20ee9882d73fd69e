//! Errors of a connection, as errors of a transport.

use std::io;

use async_nats::{ConnectError, ConnectErrorKind};
use msgstream_core::adapter::{Failure, cause};
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
            TransportErrorKind::Config {
                reason: "TLS failed: check the certificates and the options `ca`, `cert` and `key`"
                    .to_owned(),
            }
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
    cause::<io::Error>(error).is_some_and(|e| e.kind() == io::ErrorKind::InvalidData)
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

    use std::error::Error as _;
    use std::time::Duration;

    use msgstream_core::registry::{Url, hosts};

    use super::*;
    use crate::NatsConfig;
    use crate::admin::ApiError;
    use crate::credentials::Credentials;
    use crate::refusal::{MEANINGS, ServerError};
    use crate::risks::jetstream;

    /// Returns whether a cause of the type is kept, and isn't repeated.
    fn keeps<E: std::error::Error + 'static>(failure: Failure) -> bool {
        let error = failure.during("connect");
        cause::<E>(&error).is_some_and(|kept| !error.to_string().contains(&kept.to_string()))
    }

    #[test]
    fn every_way_not_to_connect_stays_the_cause() {
        use ConnectErrorKind as Why;
        let all = [
            Why::ServerParse,
            Why::Dns,
            Why::Authentication,
            Why::AuthorizationViolation,
            Why::TimedOut,
            Why::Tls,
            Why::Io,
            Why::MaxReconnects,
        ];
        for (at, why) in all.into_iter().enumerate() {
            // One that is added doesn't compile until it is above.
            let place = match why {
                Why::ServerParse => 0,
                Why::Dns => 1,
                Why::Authentication => 2,
                Why::AuthorizationViolation => 3,
                Why::TimedOut => 4,
                Why::Tls => 5,
                Why::Io => 6,
                Why::MaxReconnects => 7,
            };
            assert_eq!(place, at);
            for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::InvalidData] {
                let error = || ConnectError::with_source(why, io::Error::new(kind, "no route"));
                assert!(keeps::<ConnectError>(connect_error(error(), &[])), "{why}");
                assert!(keeps::<io::Error>(connect_error(error(), &[])), "{why}");
            }
        }
    }

    #[test]
    fn errors_keep_their_cause() {
        let no_json = || serde_json::from_slice::<u64>(b"{").unwrap_err();
        let refusal = |code: u16, err_code: u16| {
            let json = format!(r#"{{"code":{code},"err_code":{err_code},"description":"why"}}"#);
            serde_json::from_str::<ServerError>(&json).unwrap()
        };
        let mut rows = vec![
            ("lost", keeps::<io::Error>(lost_by(io::Error::other("reset")))),
            ("JSON", keeps::<serde_json::Error>(unreadable_answer(no_json()))),
        ];
        for (code, err_code) in [(400, 1), (404, 1), (500, 1), (503, 1)] {
            rows.push(("refusal", keeps::<ServerError>(refusal(code, err_code).into())));
        }
        for &(err_code, name, _) in MEANINGS {
            rows.push((name, keeps::<ServerError>(refusal(500, err_code).into())));
        }
        for error in [
            ApiError::Refused(refusal(500, 10_008)),
            ApiError::NoAnswer(unreadable_answer(no_json())),
            ApiError::NobodyListens("$JS.API.INFO".to_owned()),
        ] {
            rows.push(match &error {
                ApiError::Refused(_) => ("refused", keeps::<ServerError>(error.into())),
                ApiError::NoAnswer(_) => ("no answer", keeps::<serde_json::Error>(error.into())),
                // Nothing caused it.
                ApiError::NobodyListens(_) => ("nobody", Failure::from(error).source().is_none()),
            });
        }
        for (what, kept) in rows {
            assert!(kept, "{what}");
        }
    }

    #[tokio::test]
    async fn what_a_file_or_a_port_refused_stays_the_cause() {
        for credentials in [Credentials::File, Credentials::NkeyFile] {
            let failure = credentials("/no/such/file".to_owned()).load().await.err().unwrap();
            assert!(keeps::<io::Error>(failure));
        }
        for option in ["creds", "nkey"] {
            let url = Url::parse(&format!("nats://h?{option}=/no/such/file")).unwrap();
            let error = NatsConfig::from_url(&url).unwrap_err();
            let kept = cause::<io::Error>(&error).unwrap();
            assert!(!error.to_string().contains(&kept.to_string()), "{error}");
        }
        // Nothing listens there.
        let monitor = jetstream("http://127.0.0.1:1", Duration::from_secs(9)).await;
        assert!(keeps::<ureq::Error>(monitor.err().unwrap()));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_is_wrong_with_a_certificate_stays_the_cause() {
        use async_nats::rustls::pki_types::pem;

        let file = || "/no/such/file".to_owned();
        for (ca, certificate) in [(Some(file()), None), (None, Some((file(), file())))] {
            let mut tls = crate::tls::Tls::default();
            (tls.ca, tls.certificate) = (ca, certificate);
            let failure = tls.apply(async_nats::ConnectOptions::new()).err().unwrap();
            assert!(keeps::<pem::Error>(failure));
        }
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
