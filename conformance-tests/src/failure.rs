//! Why a scenario failed.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use msgstream_core::transport::TransportError;

/// What a scenario returns: nothing if the transport keeps the contract, else what it broke.
pub type Verdict = Result<(), Failure>;

/// What a transport did that the contract forbids, and the line of the scenario that saw it.
#[derive(Debug)]
pub struct Failure {
    what: String,
    at: &'static Location<'static>,
}

impl Failure {
    /// Returns a failure, with the place of this call in it.
    #[track_caller]
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), at: Location::caller() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.at)
    }
}

impl Error for Failure {}

/// An error that the scenario didn't expect, with all its causes.
impl From<TransportError> for Failure {
    #[track_caller]
    fn from(error: TransportError) -> Self {
        Self::unexpected(&error)
    }
}

/// An error of a stream that the scenario didn't expect, with all its causes.
impl From<msgstream_core::Error> for Failure {
    #[track_caller]
    fn from(error: msgstream_core::Error) -> Self {
        Self::unexpected(&error)
    }
}

impl Failure {
    #[track_caller]
    fn unexpected(error: &dyn Error) -> Self {
        let mut what = format!("unexpected error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            what += &format!(": {error}");
            cause = error.source();
        }
        Self::new(what)
    }
}

/// Ends the scenario with a [`Failure`](crate::Failure) if a condition doesn't hold.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Failure::new(format!($($message)+)));
        }
    };
}

/// Ends the scenario with a [`Failure`](crate::Failure) where two values differ.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => if left != right {
                let message = format!($($message)+);
                return Err($crate::Failure::new(format!(
                    "{message}: got {left:?}, not {right:?}"
                )));
            },
        }
    };
}

/// Ends the scenario with a [`Failure`](crate::Failure) if a result isn't an error of a kind.
macro_rules! ensure_refused {
    ($result:expr, $kind:pat, $($message:tt)+) => {
        let wrong = match $result {
            Err(error) if matches!(error.kind(), $kind) => None,
            Err(error) => Some(error.to_string()),
            Ok(_) => Some("success".to_owned()),
        };
        if let Some(wrong) = wrong {
            let message = format!($($message)+);
            let expected = stringify!($kind);
            return Err($crate::Failure::new(format!("{message}: got {wrong}, not {expected}")));
        }
    };
}
