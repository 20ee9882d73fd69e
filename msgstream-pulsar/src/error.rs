//! Errors of brokers and of the admin interface, as errors of a transport.

use std::fmt;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;
use pulsar::proto::ServerError as Code;

/// A refusal in the binary protocol.
pub(crate) fn refusal(code: i32, message: &str) -> Failure {
    let Ok(code) = Code::try_from(code) else {
        let reason = format!("the broker reports the unknown error {code}: {message}");
        return Kind::Protocol { reason }.into();
    };
    let reason = match message {
        "" => code.as_str_name().to_owned(),
        message => format!("{}: {message}", code.as_str_name()),
    };
    let kind = match code {
        Code::AuthenticationError | Code::AuthorizationError => Kind::Denied { reason },
        Code::TopicNotFound => Kind::NotFound,
        Code::InvalidTopicName => Kind::InvalidName { reason },
        Code::ProducerBlockedQuotaExceededError | Code::ProducerBlockedQuotaExceededException => {
            let what = "raise the namespace's quota, or let its subscriptions catch up";
            Kind::Full { reason: format!("{reason}; {what}") }
        }
        Code::ServiceNotReady
        | Code::MetadataError
        | Code::PersistenceError
        | Code::TooManyRequests
        | Code::ConsumerBusy
        | Code::ProducerBusy
        | Code::ConsumerAssignError
        | Code::UnknownError => Kind::Unavailable { reason },
        Code::NotAllowedError
        | Code::TopicTerminatedError
        | Code::IncompatibleSchema
        | Code::ProducerFenced
        | Code::UnsupportedVersionError => Kind::Config { reason },
        _ => Kind::Protocol { reason },
    };
    kind.into()
}

/// Texts of the admin interface about temporary failures, although the status doesn't say so: the
/// topic moves; a cursor can't be stored because the bookies aren't there yet; another client moves it.
const PASSING: [&str; 3] = ["find owner", "unable to persist", "Subscription Busy"];

/// A refusal of the admin interface: the status of its answer, and the reason in it.
pub(crate) fn status(status: u16, reason: &str) -> Failure {
    let reason = format!("the admin interface answered with status {status}: {reason}");
    let kind = match status {
        401 | 403 => Kind::Denied { reason },
        404 => Kind::NotFound,
        408 | 429 | 500..=599 => Kind::Unavailable { reason },
        412 if PASSING.iter().any(|part| reason.contains(part)) => Kind::Unavailable { reason },
        405 | 409 | 412 | 422 => Kind::Config { reason },
        _ => Kind::Protocol { reason },
    };
    kind.into()
}

/// Nobody answers, and why.
pub(crate) fn unreachable(what: impl fmt::Display) -> Failure {
    Kind::Unavailable { reason: what.to_string() }.into()
}

/// The same, with the error that caused it.
pub(crate) fn unreachable_by(
    what: impl fmt::Display,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Failure {
    Failure::new(Kind::Unavailable { reason: what.to_string() }, error)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream_core::adapter::cause;
    use rustls::pki_types::pem;

    use super::*;
    use crate::config::Token;
    use crate::tls;

    #[test]
    fn refusals_have_a_kind() {
        assert_eq!(refusal(Code::TopicNotFound as i32, "x").kind, Kind::NotFound);
        assert!(matches!(refusal(Code::AuthenticationError as i32, "").kind, Kind::Denied { .. }));
        assert!(refusal(Code::ServiceNotReady as i32, "later").is_temporary());
        assert!(matches!(refusal(9_999, "x").kind, Kind::Protocol { .. }));
        assert!(matches!(status(401, "").kind, Kind::Denied { .. }));
        assert!(status(412, "Can't find owner for topic x").is_temporary());
        let bookies_away = "Unable to find position for position specified: unable to persist readPosition for cursor reset 219:405";
        assert!(status(412, bookies_away).is_temporary());
        assert!(status(503, "").is_temporary() && !status(412, "").is_temporary());
    }

    /// Returns whether a cause of the type is kept, and isn't repeated.
    pub(crate) fn keeps<E: std::error::Error + 'static>(failure: Failure) -> bool {
        let error = failure.during("connect");
        cause::<E>(&error).is_some_and(|kept| !error.to_string().contains(&kept.to_string()))
    }

    #[test]
    fn errors_keep_their_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let file = Token::File("/no/such/file".to_owned());
        for (what, kept) in [
            ("unreachable", keeps::<std::io::Error>(unreachable_by("connecting failed", refused))),
            ("token", keeps::<std::io::Error>(file.read().err().unwrap())),
            ("authorities", keeps::<pem::Error>(tls::config(Some("/no/such/file")).err().unwrap())),
        ] {
            assert!(kept, "{what}");
        }
    }

    #[test]
    fn what_isnt_trusted_stays_the_cause() {
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let failure = tls::distrust("the broker at a", &std::io::Error::other(error)).unwrap();
        assert!(keeps::<rustls::Error>(failure));
    }
}
