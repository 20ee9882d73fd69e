//! Errors of the client and the brokers, as errors of a transport.

use std::fmt;
use std::time::Duration;

use msgstream_core::adapter::{Failure, cause};
use msgstream_core::transport::TransportErrorKind;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Why access was denied, if nobody knows which right is missing.
const REFUSED: &str = "the broker refused the request";
/// Why there is no answer, if the cause says all that is known.
const FAILED: &str = "the request failed";

/// Returns what an error of the client library means, with that error as its cause.
pub(crate) fn failed(error: &KafkaError, timeout: Duration) -> Failure {
    let kind = match error {
        // The only one that may hold a secret of the URL, so it isn't kept.
        KafkaError::ClientConfig(..) => {
            let reason = "the client doesn't accept a property: check the URL's options".to_owned();
            return TransportErrorKind::Config { reason }.into();
        }
        KafkaError::ClientCreation(_) => TransportErrorKind::Config {
            reason: "the client can't be created: check the URL's options".to_owned(),
        },
        KafkaError::Canceled => TransportErrorKind::Closed,
        other => match code_in(other) {
            Some(code) => kind_of(code, timeout),
            None => TransportErrorKind::Unavailable { reason: FAILED.to_owned() },
        },
    };
    Failure::new(kind, error.clone())
}

fn code_in(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Returns the code of the error that caused a failure.
pub(crate) fn code_of(failure: &Failure) -> Option<Code> {
    cause(failure).and_then(code_in).or_else(|| cause(failure).copied())
}

/// Returns whether a topic wasn't created because too few brokers are up.
pub(crate) fn is_too_few_brokers(failure: &Failure) -> bool {
    code_of(failure) == Some(Code::InvalidReplicationFactor)
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
                reason: "the broker's copy of the records is damaged".to_owned(),
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
        "the records are compressed with {codec}, and the linked librdkafka was built without it: use the cargo feature `kafka`, which builds one with every codec, without `kafka-dynamic`"
    )
}

/// Returns what an error code means, with the code as its cause.
pub(crate) fn of_code(code: Code, timeout: Duration) -> Failure {
    Failure::new(kind_of(code, timeout), code)
}

fn kind_of(code: Code, timeout: Duration) -> TransportErrorKind {
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
        | Code::SecurityDisabled => refused(),
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
        | Code::MessageBatchTooLarge => TransportErrorKind::Config {
            reason: format!("{REFUSED}; its error says what to change"),
        },
        Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress => {
            TransportErrorKind::Config {
                reason: "the subscription's consumer group has members: use another name"
                    .to_owned(),
            }
        }
        Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::Underflow => {
            TransportErrorKind::Protocol { reason: "a message is damaged".to_owned() }
        }
        // As after a restart, or while a busy node is thought to be away.
        Code::InvalidReplicationFactor => TransportErrorKind::Unavailable {
            reason: "fewer brokers are up than a new topic has replicas: start them, or lower the option `replicas` or the brokers' `default.replication.factor`"
                .to_owned(),
        },
        _ => TransportErrorKind::Unavailable { reason: FAILED.to_owned() },
    }
}

fn refused() -> TransportErrorKind {
    TransportErrorKind::Denied { reason: REFUSED.to_owned() }
}

/// Returns the failure of a client that may not use its group.
pub(crate) fn of_group(code: Code) -> Failure {
    Failure::new(refused(), code)
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
            if reason == REFUSED
                && code_of(&failure).is_some_and(|code| RIGHTS.contains(&code)) =>
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
    fn too_few_brokers_for_a_topic_are_temporary() {
        let failure = of_code(Code::InvalidReplicationFactor, Duration::ZERO);
        assert!(failure.is_temporary() && is_too_few_brokers(&failure), "{failure}");
        assert!(!is_too_few_brokers(&of_code(Code::AllBrokersDown, Duration::ZERO)));
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
        assert!(matches!(&kind, Kind::Protocol { .. }), "{kind}");
    }

    #[test]
    fn a_missing_right_is_named() {
        let denied = of_code(Code::TopicAuthorizationFailed, Duration::ZERO);
        let text = needs(denied, "Read", "topic `a`").kind.to_string();
        assert!(text.contains("the right Read on topic `a`"), "{text}");
        let by_admin = KafkaError::AdminOp(Code::GroupAuthorizationFailed);
        let by_admin = needs(failed(&by_admin, Duration::ZERO), "Read", "group `g`");
        assert!(by_admin.kind.to_string().contains("the right Read on group `g`"));
        // The first one to know says which.
        assert_eq!(needs(by_admin.clone(), "Read", "topic `a`"), by_admin);
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

    /// Returns whether a cause of the type is kept, and isn't repeated.
    fn keeps<E: std::error::Error + 'static>(failure: Failure) -> bool {
        let error = failure.during("read");
        cause::<E>(&error).is_some_and(|kept| !error.to_string().contains(&kept.to_string()))
    }

    #[test]
    fn every_error_of_the_library_stays_the_cause() {
        let (code, text) = (Code::AllBrokersDown, || "why".to_owned());
        let errors = [
            KafkaError::AdminOpCreation(text()),
            KafkaError::AdminOp(code),
            KafkaError::Canceled,
            KafkaError::ClientCreation(text()),
            KafkaError::ConsumerCommit(code),
            KafkaError::ConsumerQueueClose(code),
            KafkaError::Flush(code),
            KafkaError::Global(code),
            KafkaError::GroupListFetch(code),
            KafkaError::MessageConsumption(code),
            KafkaError::MessageConsumptionFatal(code),
            KafkaError::MessageProduction(code),
            KafkaError::MetadataFetch(code),
            KafkaError::NoMessageReceived,
            KafkaError::OffsetFetch(code),
            KafkaError::PartitionEOF(0),
            KafkaError::PauseResume(text()),
            KafkaError::Rebalance(code),
            KafkaError::Seek(text()),
            KafkaError::SetPartitionOffset(code),
            KafkaError::StoreOffset(code),
            KafkaError::Subscription(text()),
        ];
        for error in errors {
            assert!(keeps::<KafkaError>(failed(&error, Duration::ZERO)), "{error}");
        }
    }

    #[test]
    fn every_code_stays_the_cause() {
        let second = Duration::from_secs(1);
        // All that librdkafka and brokers have, and codes of a newer version.
        let codes = (-250..200).map(rdkafka::types::RDKafkaRespErr::try_from);
        let codes: Vec<Code> = codes.filter_map(Result::ok).map(Code::from).collect();
        assert!(codes.len() > 100, "{}", codes.len());
        for code in codes {
            assert!(keeps::<Code>(of_code(code, second)), "{code}");
            assert!(keeps::<Code>(of_group(code)), "{code}");
            assert!(keeps::<Code>(of_connection(code, "handshake".to_owned())), "{code}");
            assert!(keeps::<Code>(needs(of_code(code, second), "Read", "topic `a`")), "{code}");
            let fetch =
                || FetchError { code, text: format!("fetching failed: {code}") }.failure(second);
            assert!(keeps::<FetchError>(fetch()) && keeps::<Code>(fetch()), "{code}");
        }
    }

    #[test]
    fn what_the_system_refused_stays_the_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::WouldBlock);
        assert!(keeps::<std::io::Error>(crate::prefetch::no_thread(refused)));
    }
}
