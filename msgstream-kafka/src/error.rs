//! Errors of the client and the brokers in the words of the contract.

use std::time::Duration;

use msgstream_core::transport::TransportErrorKind;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What an error of the client library means.
pub(crate) fn kind(error: &KafkaError, timeout: Duration) -> TransportErrorKind {
    match error {
        // The only one whose text may hold what a URL gave.
        KafkaError::ClientConfig(..) => TransportErrorKind::Config {
            reason: "a property can't be used; check the URL's options".to_owned(),
        },
        KafkaError::ClientCreation(reason) => {
            TransportErrorKind::Config { reason: format!("no client can be made: {reason}") }
        }
        KafkaError::Canceled => TransportErrorKind::Closed,
        KafkaError::AdminOp(code) => of_code(*code, timeout),
        other => match other.rdkafka_error_code() {
            Some(code) => of_code(code, timeout),
            None => TransportErrorKind::Unavailable { reason: other.to_string() },
        },
    }
}

/// What an error code means.
pub(crate) fn of_code(code: Code, timeout: Duration) -> TransportErrorKind {
    let reason = code.to_string();
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            TransportErrorKind::NotFound
        }
        Code::TopicAlreadyExists => TransportErrorKind::AlreadyExists,
        Code::InvalidTopic => TransportErrorKind::InvalidName {
            reason:
                "the broker refuses it; names that differ in `.` and `_` alone can't be together"
                    .to_owned(),
        },
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SecurityDisabled => TransportErrorKind::Denied { reason },
        Code::OperationTimedOut | Code::RequestTimedOut | Code::MessageTimedOut => {
            TransportErrorKind::TimedOut { after: timeout }
        }
        Code::QueueFull => TransportErrorKind::Full {
            reason: "the client's queue; wait for `ready` before `submit`".to_owned(),
        },
        Code::PolicyViolation
        | Code::InvalidConfig
        | Code::InvalidPartitions
        | Code::InvalidRequest
        | Code::TopicDeletionDisabled
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::UnsupportedCompressionType
        | Code::InvalidTimestamp
        | Code::OffsetMetadataTooLarge
        | Code::InvalidGroupId
        | Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge => {
            TransportErrorKind::Config { reason: format!("the broker refused it: {reason}") }
        }
        Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress => {
            TransportErrorKind::Config {
                reason: format!(
                    "the consumer group of the subscription has members ({reason}): use another name"
                ),
            }
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::Underflow => {
            TransportErrorKind::Protocol { reason }
        }
        // Too few brokers for the copies that a topic is to have, such as after a restart, pass too.
        _ => TransportErrorKind::Unavailable { reason },
    }
}

/// What it means that there is no connection, told in librdkafka's words.
pub(crate) fn of_connection(code: Code, reason: String) -> TransportErrorKind {
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            TransportErrorKind::Denied { reason }
        }
        _ if is_refused_certificate(&reason) => TransportErrorKind::Denied {
            reason: format!(
                "it wants a certificate of ours that it trusts, see `ssl.certificate.location`: {reason}"
            ),
        },
        Code::SSL if reason.contains("certificate") => TransportErrorKind::Config {
            reason: format!(
                "the broker's certificate isn't trusted, or is another host's, see `ssl.ca.location`: {reason}"
            ),
        },
        _ => TransportErrorKind::Unavailable { reason },
    }
}

/// Whether the broker ended the connection with an alert about our certificate, or the lack of one.
/// The names of alerts change from one OpenSSL to another; their numbers are in RFC 8446.
fn is_refused_certificate(reason: &str) -> bool {
    let after = reason.split_once("SSL alert number ").map(|(_, after)| after);
    let number = after.and_then(|after| after.split(|c: char| !c.is_ascii_digit()).next());
    let number = number.and_then(|digits| digits.parse::<u8>().ok());
    matches!(number, Some(41..=46 | 48 | 49 | 116))
}

/// Says which right is missing, where the broker said only that one is.
pub(crate) fn needs(kind: TransportErrorKind, right: &str, on: &str) -> TransportErrorKind {
    const RIGHTS: [Code; 3] = [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        // A producer is let in where it may write any topic.
        Code::ClusterAuthorizationFailed,
    ];
    match kind {
        TransportErrorKind::Denied { reason }
            if RIGHTS.iter().any(|code| reason == code.to_string()) =>
        {
            let reason = format!("{reason}; the user needs the right {right} on {on}");
            TransportErrorKind::Denied { reason }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TransportErrorKind as Kind;

    #[test]
    fn codes_keep_their_meaning() {
        let of = |code| of_code(code, Duration::from_secs(1));
        assert_eq!(of(Code::UnknownTopicOrPartition), Kind::NotFound);
        assert_eq!(of(Code::TopicAlreadyExists), Kind::AlreadyExists);
        assert!(matches!(of(Code::SaslAuthenticationFailed), Kind::Denied { .. }));
        assert!(matches!(of(Code::RequestTimedOut), Kind::TimedOut { .. }));
        assert!(matches!(of(Code::AllBrokersDown), Kind::Unavailable { .. }));
        assert!(matches!(of(Code::NotLeaderForPartition), Kind::Unavailable { .. }));
        assert!(matches!(of(Code::PolicyViolation), Kind::Config { .. }));
    }

    #[test]
    fn a_missing_right_is_named() {
        let denied = of_code(Code::TopicAuthorizationFailed, Duration::ZERO);
        let text = needs(denied, "Read", "topic `a`").to_string();
        assert!(text.contains("the right Read on topic `a`"), "{text}");
        let other = of_code(Code::SaslAuthenticationFailed, Duration::ZERO);
        assert_eq!(needs(other.clone(), "Read", "topic `a`"), other);
    }

    #[test]
    fn certificates_are_told_from_connections() {
        let refused = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 0ms in state APIVERSION_QUERY)";
        let untrusted = "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified";
        let version = "SSL handshake failed: error:0A00042E:SSL routines::tlsv1 alert protocol version: SSL alert number 70";
        let of = |code, reason: &str| of_connection(code, reason.to_owned());
        assert!(matches!(of(Code::BrokerTransportFailure, refused), Kind::Denied { .. }));
        assert!(matches!(of(Code::SSL, untrusted), Kind::Config { .. }));
        for reason in [version, "SSL handshake failed: Disconnected"] {
            assert!(matches!(of(Code::SSL, reason), Kind::Unavailable { .. }), "{reason}");
        }
    }

    #[test]
    fn what_a_url_gave_is_not_shown() {
        let refused =
            rdkafka::ClientConfig::new().set("sasl.secret", "hush").create_native_config();
        let shown = refused.err().map(|error| kind(&error, Duration::ZERO).to_string());
        assert!(shown.is_some_and(|text| !text.contains("hush")));
    }
}
