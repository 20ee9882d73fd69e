//! Why a URL doesn't lead to a transport.

use url::Url;

use crate::transport::TransportError;

/// Why a URL doesn't lead to a transport.
///
/// The text never holds the URL's user, password or option values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL isn't one.
    #[error("the URL can't be parsed ({reason}): write SCHEME://ADDRESS; {}", schemes(known))]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
        /// The schemes that are known.
        known: Vec<String>,
    },
    /// Nothing answers to the scheme.
    #[error(
        "the scheme `{scheme}` is unknown: {}; others need their cargo feature",
        schemes(known)
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
        /// The schemes that are known.
        known: Vec<String>,
    },
    /// The part before the options is not what the scheme needs.
    #[error("the address of the `{scheme}` URL can't be used: {reason}")]
    InvalidAddress {
        /// The scheme.
        scheme: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// The scheme has no such option.
    #[error("a `{scheme}` URL has no option `{option}`: {}", options(known))]
    UnknownOption {
        /// The scheme.
        scheme: String,
        /// The option's name.
        option: String,
        /// The options that there are.
        known: Vec<String>,
    },
    /// An option is given twice.
    #[error("the option `{option}` is given twice in the `{scheme}` URL: leave one out")]
    DuplicateOption {
        /// The scheme.
        scheme: String,
        /// The option's name.
        option: String,
    },
    /// An option's value is wrong or missing.
    #[error("the option `{option}` of the `{scheme}` URL can't be used: {reason}")]
    InvalidOption {
        /// The scheme.
        scheme: String,
        /// The option's name.
        option: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// The transport failed to connect.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl ConnectError {
    /// An address that the scheme can't use. The reason must not hold a password.
    #[must_use]
    pub fn address(url: &Url, reason: impl Into<String>) -> Self {
        Self::InvalidAddress { scheme: url.scheme().to_owned(), reason: reason.into() }
    }

    /// A value that the option can't have. The reason must not hold a password.
    #[must_use]
    pub fn option(url: &Url, option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidOption {
            scheme: url.scheme().to_owned(),
            option: option.into(),
            reason: reason.into(),
        }
    }
}

fn schemes(known: &[String]) -> String {
    match known {
        [] => "of the schemes, none is compiled in".to_owned(),
        known => format!("the schemes compiled in are: {}", known.join(", ")),
    }
}

fn options(known: &[String]) -> String {
    match known {
        [] => "it has no options".to_owned(),
        known => format!("the options are: {}", known.join(", ")),
    }
}
