//! Refusals of JetStream.

use std::fmt;

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use serde::Deserialize;

/// A refusal, with its code in the server's list of errors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ServerError {
    code: u16,
    #[serde(default)]
    pub(crate) err_code: u16,
    #[serde(default)]
    description: String,
}

/// What a refusal means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    NotFound,
    AlreadyExists,
    /// Something must be deleted or expire, or a limit be raised.
    Full,
    /// It passes by itself.
    Temporary,
    /// Somebody must change the server or the request; the text says what.
    Config(&'static str),
}

/// The refusals whose status doesn't say what they mean, with their names in the server's list. There
/// each restart and each change of leader is a 500 or 503, and so are faults that stay.
pub(crate) const MEANINGS: &[(u16, &str, Meaning)] = {
    use Meaning::{AlreadyExists, Config, Full, NotFound, Temporary};
    &[
        (10002, "AccountResourcesExceeded", Full),
        // Some servers of the cluster didn't answer the one that was asked.
        (10004, "ClusterIncomplete", Temporary),
        // The server that was asked is being stopped or started: its part in the cluster isn't there.
        (10006, "ClusterNotActive", Temporary),
        // The server has not yet heard that the stream is one of its own.
        (10007, "ClusterNotAssigned", Temporary),
        // No leader is elected.
        (10008, "ClusterNotAvail", Temporary),
        // The leader was another one when the request came to be carried out.
        (10009, "ClusterNotLeader", Temporary),
        (10010, "ClusterRequired", Config("use a cluster")),
        // The group or the store of a consumer failed, and the next one gets others.
        (10012, "ConsumerCreate", Temporary),
        // It was there: its server went away, or it was idle for too long. A reader makes another.
        (10014, "ConsumerNotFound", Temporary),
        // Also where too few servers are there to place something on.
        (10023, "InsufficientResources", Full),
        (10026, "MaximumConsumersLimit", Full),
        (10027, "MaximumStreamsLimit", Full),
        (10028, "MemoryResourcesExceeded", Full),
        // Accounts come from a resolver, which may be away.
        (10035, "NoAccount", Temporary),
        (
            10036,
            "ClusterUnSupportFeature",
            Config("use a single server, because clusters don't support it"),
        ),
        (10039, "NotEnabledForAccount", Config("enable JetStream for the account")),
        // A group of servers was dissolved or is stopping.
        (10041, "RaftGeneral", Temporary),
        (10047, "StorageResourcesExceeded", Full),
        // A server couldn't take over the stream that was assigned to it; it is assigned again.
        (10048, "StreamAssignment", Temporary),
        (10052, "StreamInvalidConfig", Config("change the options of the stream")),
        (10058, "StreamNameExist", AlreadyExists),
        (10059, "StreamNotFound", NotFound),
        (10074, "StreamReplicasNotSupported", Config("use a cluster, or leave out `replicas`")),
        // No servers were found to move something to.
        (10075, "PeerRemap", Temporary),
        // JetStream starts after the server has begun to answer.
        (10076, "NotEnabled", Temporary),
        (10077, "StreamStoreFailed", Full),
        // The stream is being closed: the next answer says whether it is gone.
        (10096, "StreamInvalid", Temporary),
        (10104, "ConsumerStoreFailed", Temporary),
        // Its servers are down, or too old for it while they are replaced one by one.
        (10118, "StreamOffline", Temporary),
        (10119, "ConsumerOffline", Temporary),
        // The leader has not yet caught up with what was written before.
        (10163, "StreamExpectedLastSeqPerSubjectNotReady", Temporary),
        (10194, "StreamOfflineReason", Temporary),
        (10195, "ConsumerOfflineReason", Temporary),
    ]
};

impl ServerError {
    pub(crate) const NO_MESSAGE: u16 = 10037;
    pub(crate) const STREAM_NOT_FOUND: u16 = 10059;
    pub(crate) const WRONG_LAST_SEQUENCE: u16 = 10071;

    fn known(&self) -> Option<(&'static str, Meaning)> {
        let known = MEANINGS.iter().find(|(code, ..)| *code == self.err_code);
        known.map(|(_, name, meaning)| (*name, *meaning))
    }

    /// Returns what it means to the caller.
    fn kind(&self) -> TransportErrorKind {
        match (self.known(), self.code) {
            (Some((_, Meaning::NotFound)), _) => TransportErrorKind::NotFound,
            (Some((_, Meaning::AlreadyExists)), _) => TransportErrorKind::AlreadyExists,
            (Some((_, Meaning::Full)), _) => {
                let reason = "raise the limit, delete something, or wait for retention";
                TransportErrorKind::Full { reason: reason.to_owned() }
            }
            (Some((_, Meaning::Config(what))), _) => TransportErrorKind::Config {
                reason: format!("the server refused the request: {what}"),
            },
            (Some((_, Meaning::Temporary)), _) | (None, 503) => {
                let reason = "the server can't do what was requested now".to_owned();
                TransportErrorKind::Unavailable { reason }
            }
            (None, 400..500) => TransportErrorKind::Config {
                reason: "the server refused the request; its error says what to change".to_owned(),
            },
            (None, _) => TransportErrorKind::Protocol { reason: "the server failed".to_owned() },
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl std::error::Error for ServerError {}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { err_code, description, .. } = self;
        match self.known() {
            Some((name, _)) => write!(f, "{description} (JetStream error {err_code}, {name})"),
            None => write!(f, "{description} (JetStream error {err_code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(code: u16, err_code: u16) -> TransportErrorKind {
        let json = format!(r#"{{"code":{code},"err_code":{err_code},"description":"why"}}"#);
        serde_json::from_str::<ServerError>(&json).unwrap().kind()
    }

    #[test]
    fn refusals_keep_their_meaning() {
        use TransportErrorKind as Kind;
        assert_eq!(of(404, 10059), Kind::NotFound);
        assert_eq!(of(400, 10058), Kind::AlreadyExists);
        assert!(matches!(of(503, 10077), Kind::Full { .. }));
        assert!(matches!(of(400, 10065), Kind::Config { .. }));
        assert!(matches!(of(500, 10051), Kind::Protocol { .. }));
        assert!(matches!(of(503, 19_999), Kind::Unavailable { .. }));
    }

    #[test]
    fn what_a_rolling_restart_answers_is_temporary() {
        for err_code in [10004, 10006, 10007, 10009, 10012, 10041, 10118, 10119, 10194, 10195] {
            assert!(of(500, err_code).is_temporary(), "{err_code}");
        }
        assert!(of(404, 10014).is_temporary());
        assert!(of(503, 10008).is_temporary());
    }

    #[test]
    fn what_somebody_has_to_change_is_final_and_says_what() {
        for (code, err_code, what) in
            [(500, 10074, "cluster"), (503, 10036, "cluster"), (503, 10039, "account")]
        {
            let kind = of(code, err_code);
            assert!(!kind.is_temporary() && kind.to_string().contains(what), "{kind}");
        }
    }

    #[test]
    fn each_code_is_in_the_table_once() {
        assert!(MEANINGS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
