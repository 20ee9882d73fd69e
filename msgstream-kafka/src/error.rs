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

/// Why nothing more comes out of a topic's queue, in the client's words.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// It says more than the code.
    pub(crate) text: String,
}

impl Failure {
    /// Whether the place is gone, or never was.
    pub(crate) fn is_out_of_range(&self) -> bool {
        matches!(self.code, Code::AutoOffsetReset | Code::OffsetOutOfRange)
    }

    /// Where the log ended before other records took the place of those that were there, as after the
    /// election of a leader that had missed some. The client has no code for it.
    pub(crate) fn truncated_at(&self) -> Option<u64> {
        // "LogTruncation (TEXT)": the client library puts its own name before what librdkafka says.
        let truncation = Code::LogTruncation.to_string();
        let words =
            truncation.split_once(" (").map_or("", |(_, words)| words.trim_end_matches(')'));
        let is_truncation =
            self.code == Code::AutoOffsetReset && !words.is_empty() && self.text.contains(words);
        let end = self.text.split_once("broker end offset is ").map_or("", |(_, after)| after);
        let end = end.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        // None of the log's records is left where it tells none.
        is_truncation.then(|| end.parse().unwrap_or_default())
    }

    pub(crate) fn kind(&self, timeout: Duration) -> TransportErrorKind {
        match self.code {
            Code::NotImplemented => {
                TransportErrorKind::Config { reason: missing_codec(&self.text) }
            }
            Code::BadMessage => TransportErrorKind::Protocol {
                reason: format!("the broker's copy of the records is damaged: {}", self.text),
            },
            code => of_code(code, timeout),
        }
    }
}

/// What to do where the client has no codec for what it got.
fn missing_codec(text: &str) -> String {
    // As the attributes of a batch number them.
    const CODECS: [(&str, &str); 4] =
        [("0x1", "gzip"), ("0x2", "snappy"), ("0x3", "lz4"), ("0x4", "zstd")];
    let codec = CODECS.iter().find(|(number, _)| text.contains(&format!("codec {number})")));
    let codec = codec.map_or("a codec", |(_, name)| name);
    format!(
        "the records are compressed with {codec}, which the librdkafka that is linked here was built without: the cargo feature `kafka` brings one with every codec, `kafka-dynamic` takes the system's ({text})"
    )
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
        | Code::InvalidRecord
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
    fn what_the_broker_refuses_for_good_is_final() {
        for code in [Code::InvalidRecord, Code::InvalidTimestamp, Code::MessageSizeTooLarge] {
            let kind = of_code(code, Duration::ZERO);
            assert!(matches!(kind, Kind::Config { .. }), "{code}: {kind}");
        }
    }

    // In librdkafka's words, as a broker made it say them.
    #[test]
    fn a_cut_log_is_told_from_one_that_was_trimmed() {
        let failure = |text: &str| Failure { code: Code::AutoOffsetReset, text: text.to_owned() };
        for (text, end) in [
            (
                "Partition log truncation detected at offset 20 (leader epoch 3): broker end offset is 12 (offset leader epoch 1). Reset to INVALID.: Local: Partition log truncation detected (broker 2)",
                12,
            ),
            (
                "No epoch found less or equal to offset 20 (leader epoch 3): broker end offset is -1 (offset leader epoch -1). Reset using configured policy.: Local: Partition log truncation detected (broker 2)",
                0,
            ),
        ] {
            assert_eq!(failure(text).truncated_at(), Some(end), "{text}");
        }
        let trimmed = failure(
            "fetch failed due to requested offset not available on the broker: Broker: Offset out of range (broker 1)",
        );
        assert!(trimmed.is_out_of_range());
        assert_eq!(trimmed.truncated_at(), None);
    }

    #[test]
    fn a_codec_that_is_missing_is_named_and_final() {
        let text =
            "Decompression (codec 0x4) of message at 0 of 58 bytes failed: Local: Not implemented";
        let failure = Failure { code: Code::NotImplemented, text: text.to_owned() };
        let Kind::Config { reason } = failure.kind(Duration::ZERO) else {
            return assert_eq!(failure.kind(Duration::ZERO), Kind::NotFound);
        };
        assert!(reason.contains("zstd") && reason.contains("`kafka`"), "{reason}");
    }

    #[test]
    fn damaged_records_are_final() {
        let text = "MessageSet at offset 7 CRC32C check failed".to_owned();
        let kind = Failure { code: Code::BadMessage, text }.kind(Duration::ZERO);
        assert!(matches!(&kind, Kind::Protocol { reason } if reason.contains("CRC")), "{kind}");
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
