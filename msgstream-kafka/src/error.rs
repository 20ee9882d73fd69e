//! Errors of the client and the brokers, as errors of a transport.

use std::fmt;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Returns what an error of the client library means, with that error as its cause.
pub(crate) fn failed(error: &KafkaError, timeout: Duration) -> Failure {
    let kind = match error {
        // The only one that may hold a secret of the URL, so it isn't kept.
        KafkaError::ClientConfig(..) => {
            let reason = "the client doesn't accept a property: check the URL's options".to_owned();
            return TransportErrorKind::Config { reason }.into();
        }
        KafkaError::ClientCreation(reason) => {
            TransportErrorKind::Config { reason: format!("the client can't be created: {reason}") }
        }
        KafkaError::Canceled => TransportErrorKind::Closed,
        KafkaError::AdminOp(code) => kind_of(*code, timeout),
        other => match other.rdkafka_error_code() {
            Some(code) => kind_of(code, timeout),
            None => TransportErrorKind::Unavailable { reason: other.to_string() },
        },
    };
    Failure::new(kind, error.clone())
}

/// Why fetching from a topic failed, in the client's words.
#[derive(Clone, Debug)]
pub(crate) struct FetchError {
    pub(crate) code: Code,
    /// It says more than the code.
    pub(crate) text: String,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for FetchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.code)
    }
}

impl FetchError {
    /// Returns whether the offset is gone, or never was.
    pub(crate) fn is_out_of_range(&self) -> bool {
        matches!(self.code, Code::AutoOffsetReset | Code::OffsetOutOfRange)
    }

    /// Returns the offset from which on other records replaced those of the log, as
    /// after the election of a leader that had missed some. The client has no code for it.
    pub(crate) fn truncated_at(&self) -> Option<u64> {
        // "LogTruncation (TEXT)": the client library puts its own name before what librdkafka says.
        let truncation = Code::LogTruncation.to_string();
        let words =
            truncation.split_once(" (").map_or("", |(_, words)| words.trim_end_matches(')'));
        let is_truncation =
            self.code == Code::AutoOffsetReset && !words.is_empty() && self.text.contains(words);
        let end = self.text.split_once("broker end offset is ").map_or("", |(_, after)| after);
        let end = end.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        // If it names no end, none of the log's records is left.
        is_truncation.then(|| end.parse().unwrap_or_default())
    }

    /// Returns what it means, with the error itself as the cause.
    pub(crate) fn failure(self, timeout: Duration) -> Failure {
        Failure::new(self.kind(timeout), self)
    }

    fn kind(&self, timeout: Duration) -> TransportErrorKind {
        match self.code {
            Code::NotImplemented => {
                TransportErrorKind::Config { reason: missing_codec(&self.text) }
            }
            Code::BadMessage => TransportErrorKind::Protocol {
                reason: format!("the broker's copy of the records is damaged: {}", self.text),
            },
            code => kind_of(code, timeout),
        }
    }
}

/// Returns what to do if the client lacks the codec of the records.
fn missing_codec(text: &str) -> String {
    // As the attributes of a batch number them.
    const CODECS: [(&str, &str); 4] =
        [("0x1", "gzip"), ("0x2", "snappy"), ("0x3", "lz4"), ("0x4", "zstd")];
    let codec = CODECS.iter().find(|(number, _)| text.contains(&format!("codec {number})")));
    let codec = codec.map_or("a codec", |(_, name)| name);
    format!(
        "the records are compressed with {codec}, and the linked librdkafka was built without it ({text}): use the cargo feature `kafka`, which builds one with every codec, without `kafka-dynamic`"
    )
}

/// Returns what an error code means, with the code as its cause.
pub(crate) fn of_code(code: Code, timeout: Duration) -> Failure {
    Failure::new(kind_of(code, timeout), code)
}

fn kind_of(code: Code, timeout: Duration) -> TransportErrorKind {
    let reason = code.to_string();
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            TransportErrorKind::NotFound
        }
        Code::TopicAlreadyExists => TransportErrorKind::AlreadyExists,
        Code::InvalidTopic => TransportErrorKind::InvalidName {
            reason: "the broker refuses it; two names that differ only in `.` and `_` can't exist side by side"
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
            reason: "the client's queue is full; wait for `ready` before `submit`".to_owned(),
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
                    "the subscription's consumer group has members ({reason}): use another name"
                ),
            }
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::Underflow => {
            TransportErrorKind::Protocol { reason }
        }
        // Having too few brokers for a topic's replicas, as after a restart, is temporary, too.
        _ => TransportErrorKind::Unavailable { reason },
    }
}

/// Returns the failure for a lost or refused connection, with the reason in librdkafka's words.
pub(crate) fn of_connection(code: Code, reason: String) -> Failure {
    let kind = match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            TransportErrorKind::Denied { reason }
        }
        _ if is_refused_certificate(&reason) => TransportErrorKind::Denied {
            reason: format!(
                "it doesn't accept the client's certificate, or got none ({reason}): set `ssl.certificate.location` and `ssl.key.location`"
            ),
        },
        Code::SSL if reason.contains("certificate") => TransportErrorKind::Config {
            reason: format!(
                "the broker's certificate isn't trusted, or belongs to another host ({reason}): set `ssl.ca.location` to its authorities"
            ),
        },
        _ => TransportErrorKind::Unavailable { reason },
    };
    Failure::new(kind, code)
}

/// Returns whether the broker ended the connection with an alert about our certificate, or the lack of one.
/// The names of alerts change from one OpenSSL to another; their numbers are in RFC 8446.
fn is_refused_certificate(reason: &str) -> bool {
    let after = reason.split_once("SSL alert number ").map(|(_, after)| after);
    let number = after.and_then(|after| after.split(|c: char| !c.is_ascii_digit()).next());
    let number = number.and_then(|digits| digits.parse::<u8>().ok());
    matches!(number, Some(41..=46 | 48 | 49 | 116))
}

/// Names the missing right, if the broker only said that one is missing.
pub(crate) fn needs(failure: Failure, right: &str, on: &str) -> Failure {
    const RIGHTS: [Code; 3] = [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        // A producer is admitted if it may write to any topic.
        Code::ClusterAuthorizationFailed,
    ];
    match &failure.kind {
        TransportErrorKind::Denied { reason }
            if RIGHTS.iter().any(|code| *reason == code.to_string()) =>
        {
            let reason = format!("{reason}; grant the user the right {right} on {on}");
            failure.with_kind(TransportErrorKind::Denied { reason })
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TransportErrorKind as Kind;

    #[test]
    fn codes_keep_their_meaning() {
        let of = |code| of_code(code, Duration::from_secs(1)).kind;
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
            let kind = of_code(code, Duration::ZERO).kind;
            assert!(matches!(kind, Kind::Config { .. }), "{code}: {kind}");
        }
    }

    // In librdkafka's words, as a broker made it say them.
    #[test]
    fn a_cut_log_is_distinct_from_one_that_was_trimmed() {
        let failure =
            |text: &str| FetchError { code: Code::AutoOffsetReset, text: text.to_owned() };
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
        let failure = FetchError { code: Code::NotImplemented, text: text.to_owned() };
        let Kind::Config { reason } = failure.kind(Duration::ZERO) else {
            return assert_eq!(failure.kind(Duration::ZERO), Kind::NotFound);
        };
        assert!(reason.contains("zstd") && reason.contains("`kafka`"), "{reason}");
    }

    #[test]
    fn damaged_records_are_final() {
        let text = "MessageSet at offset 7 CRC32C check failed".to_owned();
        let kind = FetchError { code: Code::BadMessage, text }.kind(Duration::ZERO);
        assert!(matches!(&kind, Kind::Protocol { reason } if reason.contains("CRC")), "{kind}");
    }

    #[test]
    fn a_missing_right_is_named() {
        let denied = of_code(Code::TopicAuthorizationFailed, Duration::ZERO);
        let text = needs(denied, "Read", "topic `a`").kind.to_string();
        assert!(text.contains("the right Read on topic `a`"), "{text}");
        let other = of_code(Code::SaslAuthenticationFailed, Duration::ZERO);
        assert_eq!(needs(other.clone(), "Read", "topic `a`"), other);
    }

    #[test]
    fn certificates_are_distinct_from_connections() {
        let refused = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 0ms in state APIVERSION_QUERY)";
        let untrusted = "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified";
        let version = "SSL handshake failed: error:0A00042E:SSL routines::tlsv1 alert protocol version: SSL alert number 70";
        let of = |code, reason: &str| of_connection(code, reason.to_owned()).kind;
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
        let failure = refused.err().map(|error| failed(&error, Duration::ZERO));
        assert!(failure.is_some_and(|failure| !format!("{failure} {failure:?}").contains("hush")));
    }

    #[test]
    fn errors_keep_their_cause() {
        fn has<E: std::error::Error + 'static>(failure: Failure) -> bool {
            let error = failure.during("read");
            let mut next = std::error::Error::source(&error);
            while let Some(cause) = next {
                if cause.is::<E>() {
                    return true;
                }
                next = cause.source();
            }
            false
        }
        let time = Duration::ZERO;
        let library = KafkaError::MetadataFetch(Code::AllBrokersDown);
        assert!(has::<KafkaError>(failed(&library, time)));
        assert!(has::<Code>(failed(&library, time)));
        assert!(has::<Code>(of_code(Code::UnknownTopic, time)));
        let denied = of_code(Code::TopicAuthorizationFailed, time);
        assert!(has::<Code>(needs(denied, "Read", "topic `a`")));
        assert!(has::<Code>(of_connection(Code::SSL, "handshake".to_owned())));
        let fetch = FetchError { code: Code::BadMessage, text: "CRC".to_owned() };
        assert!(has::<FetchError>(fetch.clone().failure(time)) && has::<Code>(fetch.failure(time)));
    }
}
