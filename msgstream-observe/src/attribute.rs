//! The attributes of metrics and spans.

use msgstream_core::transport::TransportErrorKind as Kind;

pub(crate) const SYSTEM: &str = "messaging.system";
pub(crate) const DESTINATION: &str = "messaging.destination.name";
pub(crate) const SUBSCRIPTION: &str = "messaging.destination.subscription.name";
pub(crate) const OPERATION: &str = "messaging.operation.name";
pub(crate) const OPERATION_TYPE: &str = "messaging.operation.type";
pub(crate) const MESSAGE_COUNT: &str = "messaging.batch.message_count";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const CAUGHT_UP: &str = "msgstream.read.caught_up";
pub(crate) const CONSUMER: &str = "msgstream.consumer.name";
pub(crate) const STATE: &str = "msgstream.channel.state";
pub(crate) const SESSION: &str = "msgstream.session.producer";

/// Returns the value of `error.type` for a failure.
pub(crate) const fn error_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::NotFound => "not_found",
        Kind::AlreadyExists => "already_exists",
        Kind::InvalidName { .. } => "invalid_name",
        Kind::Unsupported { .. } => "unsupported",
        Kind::TooLarge { .. } => "too_large",
        Kind::InvalidHeader { .. } => "invalid_header",
        Kind::PositionBeyondEnd { .. } => "position_beyond_end",
        Kind::PositionTrimmed { .. } => "position_trimmed",
        Kind::WrongIncarnation { .. } => "wrong_incarnation",
        Kind::Poisoned => "poisoned",
        Kind::Closed => "closed",
        Kind::Unavailable { .. } => "unavailable",
        Kind::TimedOut { .. } => "timed_out",
        Kind::Full { .. } => "full",
        Kind::Denied { .. } => "denied",
        Kind::InUse { .. } => "in_use",
        Kind::Config { .. } => "config",
        Kind::Damaged { .. } => "damaged",
        Kind::Protocol { .. } => "protocol",
        // What the conventions have for anything else.
        _ => "_OTHER",
    }
}
