//! Why a channel can't be used as it was asked for.

use std::error::Error as StdError;
use std::fmt;

use msgstream::service::ServiceError;
use msgstream::transport::{TransportError, TransportErrorKind};

use crate::error::Error;

/// What was to be done with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Copy,
    Create,
    Describe,
    Destroy,
    Show,
    Trim,
    Write,
}

impl Asked {
    pub(crate) const fn participle(self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Create => "created",
            Self::Describe => "described",
            Self::Destroy => "destroyed",
            Self::Show => "shown",
            Self::Trim => "trimmed",
            Self::Write => "written to",
        }
    }

    /// Returns what to do if the channel isn't there.
    const fn if_missing(self) -> &'static str {
        match self {
            Self::Copy => {
                "the source has no such channel; `msgstream channels list` names those that there are"
            }
            Self::Show => {
                "there is no such channel; `msgstream channels list` names those that there are, and --follow waits for it"
            }
            Self::Write => "there is no such channel; create it, or leave out --no-create",
            Self::Create | Self::Describe | Self::Destroy | Self::Trim => {
                "there is no such channel; `msgstream channels list` names those that there are"
            }
        }
    }

    /// Returns an error of one of these channels as that of what was asked for, instead of the call to
    /// the transport that failed.
    pub(crate) fn of(self, channels: &[String], error: Error) -> Error {
        let is_named = |error: &TransportError| {
            error.channel().is_some_and(|channel| channels.iter().any(|named| named == channel))
        };
        match error {
            Error::Transport(error)
            | Error::Service(ServiceError::Transport(error))
            | Error::Stream(msgstream::Error::Transport(error))
                if is_named(&error) =>
            {
                let channel = error.channel().unwrap_or_default().to_owned();
                Error::Channel { channel, asked: self, source: Reason { asked: self, error } }
            }
            error => error,
        }
    }
}

/// Why a call to a transport failed, without the name of the call.
#[derive(Debug)]
pub(crate) struct Reason {
    asked: Asked,
    pub(crate) error: TransportError,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.kind() {
            TransportErrorKind::NotFound => f.write_str(self.asked.if_missing()),
            TransportErrorKind::AlreadyExists => {
                f.write_str("it exists already; use it, or destroy it first")
            }
            kind => kind.fmt(f),
        }
    }
}

impl StdError for Reason {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        use TransportErrorKind::{AlreadyExists, NotFound};
        // How the transport found out helps nobody.
        let known = matches!(self.error.kind(), NotFound | AlreadyExists);
        if known { None } else { self.error.source() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::chain;

    #[test]
    fn an_error_says_what_was_asked_for() {
        let says = |asked: Asked, kind, named: &str| {
            let error = TransportError::new("describe", kind).on("orders");
            let error = error.because(io::Error::other("no such folder"));
            chain(&asked.of(&[named.to_owned()], error.into()))
        };
        let missing = "channel `orders` can't be destroyed: there is no such channel; `msgstream channels list` names those that there are";
        assert_eq!(says(Asked::Destroy, TransportErrorKind::NotFound, "orders"), missing);
        let away = || TransportErrorKind::Unavailable { reason: "it is away".to_owned() };
        let shown = format!("channel `orders` can't be shown: {}: no such folder", away());
        assert_eq!(says(Asked::Show, away(), "orders"), shown);
        let of_another = says(Asked::Show, away(), "sales");
        assert!(of_another.starts_with("describe of channel `orders` failed"), "{of_another}");
    }
}
