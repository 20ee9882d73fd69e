//! Errors of connecting by URL.

use std::error::Error as StdError;

use url::Url;

use crate::transport::TransportError;

/// Why connecting to a URL failed.
///
/// The text never has the URL's user, its password, or the values of its options.
///
/// ```
/// use msgstream_core::registry::{ConnectError, Registry};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = Registry::new().connect("tape://bob:secret@host").await.unwrap_err();
/// assert!(matches!(error, ConnectError::UnknownScheme { .. }));
/// assert!(!error.to_string().contains("secret"));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text isn't a URL.
    #[error("the URL can't be parsed ({reason}): write SCHEME://ADDRESS ({})", schemes(known))]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
        /// The schemes that are known.
        known: Vec<String>,
        /// What the parser found, if there is one.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// No transport is registered for the scheme.
    #[error(
        "the scheme `{scheme}` is unknown{} ({}): use another one, or enable its cargo feature",
        did_you_mean(scheme, known),
        schemes(known)
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
        /// The schemes that are known.
        known: Vec<String>,
    },
    /// The scheme can't use the part of the URL before the options.
    #[error("the address of the `{scheme}` URL can't be used: {reason}")]
    InvalidAddress {
        /// The scheme.
        scheme: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
        /// What caused it, if that is known.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The scheme has no such option.
    #[error(
        "a `{scheme}` URL has no option `{option}`{}: {}",
        did_you_mean(option, known),
        options(known)
    )]
    UnknownOption {
        /// The scheme.
        scheme: String,
        /// The option's name.
        option: String,
        /// The options that the scheme has.
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
        /// What caused it, if that is known.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// The transport failed to connect.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl ConnectError {
    /// Returns the error of an address that the scheme can't use. The reason must not have a
    /// password.
    ///
    /// ```
    /// use msgstream_core::registry::{ConnectError, Url};
    /// let url = Url::parse("tape://drive").unwrap();
    /// assert_eq!(
    ///     ConnectError::address(&url, "there is no such drive").to_string(),
    ///     "the address of the `tape` URL can't be used: there is no such drive",
    /// );
    /// ```
    #[must_use]
    pub fn address(url: &Url, reason: impl Into<String>) -> Self {
        let scheme = url.scheme().to_owned();
        Self::InvalidAddress { scheme, reason: reason.into(), source: None }
    }

    /// Returns the error of an option with a wrong value. The reason must not have a password.
    ///
    /// ```
    /// use msgstream_core::registry::{ConnectError, Url};
    /// let url = Url::parse("tape://drive?speed=0").unwrap();
    /// assert_eq!(
    ///     ConnectError::option(&url, "speed", "it must be at least 1").to_string(),
    ///     "the option `speed` of the `tape` URL can't be used: it must be at least 1",
    /// );
    /// ```
    #[must_use]
    pub fn option(url: &Url, option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidOption {
            scheme: url.scheme().to_owned(),
            option: option.into(),
            reason: reason.into(),
            source: None,
        }
    }

    /// Sets the cause of a URL, an address or an option that can't be used. Other errors have none of
    /// their own, and stay as they are. The cause must not have a password.
    ///
    /// ```
    /// use std::error::Error;
    /// use msgstream_core::registry::{ConnectError, Url};
    /// let url = Url::parse("tape://drive?key=key.pem").unwrap();
    /// let cause = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    /// let error = ConnectError::option(&url, "key", "the file can't be read").because(cause);
    /// assert_eq!(error.source().unwrap().to_string(), "permission denied");
    /// ```
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        if let Self::InvalidUrl { source, .. }
        | Self::InvalidAddress { source, .. }
        | Self::InvalidOption { source, .. } = &mut self
        {
            *source = Some(cause.into());
        }
        self
    }
}

fn schemes(known: &[String]) -> String {
    match known {
        [] => "no scheme is compiled in".to_owned(),
        known => format!("the schemes compiled in are: {}", known.join(", ")),
    }
}

fn options(known: &[String]) -> String {
    match known {
        [] => "it has no options".to_owned(),
        known => format!("the options are: {}", known.join(", ")),
    }
}

/// Returns the known name that a wrong one was probably meant to be; `None` if none is like it.
///
/// ```
/// use msgstream_core::registry::nearest;
/// assert_eq!(nearest("bach", &["name", "batch"]), Some("batch"));
/// assert_eq!(nearest("colour", &["name", "batch"]), None);
/// ```
pub fn nearest<'a>(wrong: &str, known: &'a [impl AsRef<str>]) -> Option<&'a str> {
    let unlike = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let best = known.iter().map(AsRef::as_ref).min_by_key(|name| unlike(name))?;
    (unlike(best) <= best.len().div_ceil(3)).then_some(best)
}

fn did_you_mean(option: &str, known: &[String]) -> String {
    nearest(option, known).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}
