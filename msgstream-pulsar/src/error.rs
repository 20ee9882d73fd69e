//! What the broker's refusals mean.

use msgstream_core::transport::TransportErrorKind as Kind;
use pulsar::proto::ServerError as Code;

/// A refusal in the binary protocol.
pub(crate) fn refusal(code: i32, message: &str) -> Kind {
    let Ok(code) = Code::try_from(code) else {
        return Kind::Protocol {
            reason: format!("an error of the unknown number {code}: {message}"),
        };
    };
    let reason = match message {
        "" => code.as_str_name().to_owned(),
        message => format!("{}: {message}", code.as_str_name()),
    };
    match code {
        Code::AuthenticationError | Code::AuthorizationError => Kind::Denied { reason },
        Code::TopicNotFound => Kind::NotFound,
        Code::InvalidTopicName => Kind::InvalidName { reason },
        Code::ProducerBlockedQuotaExceededError | Code::ProducerBlockedQuotaExceededException => {
            Kind::Full { reason }
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
    }
}

/// In what the admin interface says where the status doesn't tell that it passes: the topic moves;
/// a cursor can't be stored, for the bookies aren't there yet; somebody else moves it.
const PASSING: [&str; 3] = ["find owner", "unable to persist", "Subscription Busy"];

/// A refusal of the admin interface: the status of its answer, and the reason in it.
pub(crate) fn status(status: u16, reason: &str) -> Kind {
    let reason = format!("the admin interface answers {status}: {reason}");
    match status {
        401 | 403 => Kind::Denied { reason },
        404 => Kind::NotFound,
        408 | 429 | 500..=599 => Kind::Unavailable { reason },
        412 if PASSING.iter().any(|part| reason.contains(part)) => Kind::Unavailable { reason },
        405 | 409 | 412 | 422 => Kind::Config { reason },
        _ => Kind::Protocol { reason },
    }
}

/// No answer to be had, and why.
pub(crate) fn unreachable(what: impl std::fmt::Display) -> Kind {
    Kind::Unavailable { reason: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_a_kind() {
        assert_eq!(refusal(Code::TopicNotFound as i32, "x"), Kind::NotFound);
        assert!(matches!(refusal(Code::AuthenticationError as i32, ""), Kind::Denied { .. }));
        assert!(refusal(Code::ServiceNotReady as i32, "later").is_temporary());
        assert!(matches!(refusal(9_999, "x"), Kind::Protocol { .. }));
        assert!(matches!(status(401, ""), Kind::Denied { .. }));
        assert!(status(412, "Can't find owner for topic x").is_temporary());
        let bookies_away = "Unable to find position for position specified: unable to persist readPosition for cursor reset 219:405";
        assert!(status(412, bookies_away).is_temporary());
        assert!(status(503, "").is_temporary() && !status(412, "").is_temporary());
    }
}
