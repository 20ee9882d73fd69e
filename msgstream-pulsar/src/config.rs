//! The configuration, from a URL, the environment or a program.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::registry::{ConnectError, Host, Url, hosts, parse_options};
use msgstream_core::transport::TransportErrorKind;
use serde::Deserialize;

const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;

/// The configuration of a [`PulsarTransport`](crate::PulsarTransport).
///
/// ```
/// use msgstream_core::registry::Url;
/// use msgstream_pulsar::PulsarConfig;
/// let url = Url::parse("pulsar://localhost/public/default?token=secret").unwrap();
/// let config = PulsarConfig::from_url(&url)?;
/// assert!(!format!("{config:?}").contains("secret"));
///
/// use std::time::Duration;
/// let patient = config.with_timeout(Duration::from_secs(60)).with_window_bytes(1 << 20);
/// # let _ = patient;
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PulsarConfig {
    /// The brokers that are asked for others; one is enough.
    pub(crate) services: Vec<Address>,
    /// Where the admin interface is, without paths; any one will do.
    pub(crate) admin: Vec<Url>,
    pub(crate) tenant: String,
    pub(crate) namespace: String,
    pub(crate) token: Option<Token>,
    /// A PEM file with those to trust, instead of the machine's own.
    pub(crate) ca: Option<String>,
    /// The name of the brokers' listener at whose addresses they are reached.
    pub(crate) listener: Option<String>,
    /// The longest wait for an answer.
    pub(crate) timeout: Duration,
    /// What a writer has in flight, in bytes.
    pub(crate) window_bytes: usize,
    /// What a reader holds in advance, in bytes.
    pub(crate) prefetch_bytes: usize,
}

/// A host, and whether the connection to it is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) host: Host,
    pub(crate) tls: bool,
}

impl Address {
    /// The addresses in a URL of the scheme `pulsar` or `pulsar+ssl`, and those after the first.
    pub(crate) fn all(url: &Url, more: &str) -> Result<Vec<Self>, ConnectError> {
        let (tls, port) = match url.scheme() {
            "pulsar" => (false, 6650),
            "pulsar+ssl" => (true, 6651),
            _ => {
                let reason = "the scheme is neither pulsar nor pulsar+ssl";
                return Err(ConnectError::address(url, reason));
            }
        };
        let hosts = hosts(url, more, port)?;
        Ok(hosts.into_iter().map(|host| Self { host, tls }).collect())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

/// A token, or the file that has it. Never shown, not in `Debug` either.
#[derive(Clone)]
pub(crate) enum Token {
    Text(Arc<str>),
    /// Read for every use: tokens expire, and others take their place.
    File(String),
}

impl Token {
    pub(crate) fn read(&self) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(text.to_string()),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => {
                    let reason = format!("the token's file `{path}` can't be read");
                    Err(Failure::new(TransportErrorKind::Config { reason }, error))
                }
            },
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Token(..)",
            Self::File(_) => "Token(file)",
        })
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UrlOptions {
    servers: String,
    admin: Option<String>,
    token: Option<String>,
    token_file: Option<String>,
    ca: Option<String>,
    listener: Option<String>,
    timeout_ms: u64,
    window_bytes: usize,
    prefetch_bytes: usize,
}

impl Default for UrlOptions {
    fn default() -> Self {
        Self {
            servers: String::new(),
            admin: None,
            token: None,
            token_file: None,
            ca: None,
            listener: None,
            timeout_ms: 30_000,
            window_bytes: 8 << 20,
            prefetch_bytes: 8 << 20,
        }
    }
}

impl PulsarConfig {
    /// Reads a URL. If it has no token, it comes from the environment: `PULSAR_TOKEN`, else
    /// `PULSAR_TOKEN_FILE`.
    ///
    /// # Errors
    /// Fails with [`ConnectError`] if an address or option can't be used.
    pub fn from_url(url: &Url) -> Result<Self, ConnectError> {
        Self::from_url_and(url, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Sets how long a call waits for an answer, and a record for its receipt. It is a day at most.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(Duration::from_millis(MAX_TIMEOUT_MS));
        self
    }

    /// Sets how much a writer has in flight before `ready` waits, in bytes. It always sends one batch.
    #[must_use]
    pub fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes.max(1);
        self
    }

    /// Sets how much a reader holds in advance, in bytes. It always holds one entry.
    #[must_use]
    pub fn with_prefetch_bytes(mut self, bytes: usize) -> Self {
        self.prefetch_bytes = bytes.max(1);
        self
    }

    fn from_url_and(
        url: &Url,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        let read: UrlOptions = parse_options(url)?;
        for (name, value) in [
            ("timeout_ms", read.timeout_ms),
            ("window_bytes", read.window_bytes as u64),
            ("prefetch_bytes", read.prefetch_bytes as u64),
        ] {
            if value == 0 {
                return Err(ConnectError::option(url, name, "it must be greater than 0"));
            }
        }
        if read.timeout_ms > MAX_TIMEOUT_MS {
            let reason = format!("it is at most {MAX_TIMEOUT_MS}, a day");
            return Err(ConnectError::option(url, "timeout_ms", reason));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            let reason = "it can't have a user, password or fragment: set a token in the option `token` or the variable PULSAR_TOKEN";
            return Err(ConnectError::address(url, reason));
        }
        let services = Address::all(url, &read.servers)?;
        let (tenant, namespace) = namespace(url)?;
        let token = match (read.token, read.token_file) {
            (Some(_), Some(_)) => {
                let reason = "the option `token` is set too: leave one out";
                return Err(ConnectError::option(url, "token_file", reason));
            }
            (Some(text), None) => Some(Token::Text(text.into())),
            (None, Some(path)) => Some(Token::File(path)),
            (None, None) => environment("PULSAR_TOKEN")
                .map(|text| Token::Text(text.into()))
                .or_else(|| environment("PULSAR_TOKEN_FILE").map(Token::File)),
        };
        Ok(Self {
            admin: admin(url, read.admin.as_deref(), &services)?,
            services,
            tenant,
            namespace,
            token,
            ca: read.ca,
            listener: read.listener,
            timeout: Duration::from_millis(read.timeout_ms),
            window_bytes: read.window_bytes,
            prefetch_bytes: read.prefetch_bytes,
        })
    }
}

/// The tenant and the namespace: `/TENANT/NAMESPACE`, or nothing for `public/default`.
fn namespace(url: &Url) -> Result<(String, String), ConnectError> {
    let names = |part: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-=:._".contains(&b);
        !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(letter)
    };
    let path = url.path().trim_start_matches('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split_once('/') {
        None if path.is_empty() => Ok(("public".to_owned(), "default".to_owned())),
        Some((tenant, namespace)) if names(tenant) && names(namespace) => {
            Ok((tenant.to_owned(), namespace.to_owned()))
        }
        _ => {
            let reason = "the path must be /TENANT/NAMESPACE, of letters, digits and `-=:._`";
            Err(ConnectError::address(url, reason))
        }
    }
}

/// The admin interface, by default on the usual port of the same hosts. Several hosts are one URL, as
/// Pulsar's own clients have it.
fn admin(url: &Url, given: Option<&str>, services: &[Address]) -> Result<Vec<Url>, ConnectError> {
    let wrong = || {
        let reason = "it must be http://HOST:PORT or https://HOST:PORT, with commas between several hosts, as in http://HOST:PORT,HOST:PORT";
        ConnectError::option(url, "admin", reason)
    };
    let one = |scheme: &str, host: &str| {
        let admin = Url::parse(&format!("{scheme}://{host}")).ok()?;
        let bare = matches!(admin.scheme(), "http" | "https")
            && admin.username().is_empty()
            && admin.password().is_none()
            && matches!(admin.path(), "" | "/")
            && admin.query().is_none()
            && admin.fragment().is_none();
        bare.then_some(admin)
    };
    let all: Option<_> = match given.map(|given| given.split_once("://")) {
        Some(None) => None,
        Some(Some((scheme, hosts))) => hosts.split(',').map(|host| one(scheme, host)).collect(),
        None => services
            .iter()
            .map(|Address { host, tls }| {
                let (scheme, port) = if *tls { ("https", 8443) } else { ("http", 8080) };
                let mut host = host.clone();
                host.port = port;
                one(scheme, &host.to_string())
            })
            .collect(),
    };
    all.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(url: &str) -> Result<PulsarConfig, ConnectError> {
        PulsarConfig::from_url_and(&Url::parse(url).unwrap(), &|_| None)
    }

    fn shown(all: &[impl ToString]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_left_out_has_its_usual_value() {
        let plain = parse("pulsar://host").unwrap();
        assert_eq!(shown(&plain.services), ["host:6650"]);
        assert_eq!((&*plain.tenant, &*plain.namespace), ("public", "default"));
        assert_eq!(shown(&plain.admin), ["http://host:8080/"]);
        let tls = parse("pulsar+ssl://[::1]/a/b/?admin=https://other:1").unwrap();
        assert_eq!(
            (shown(&tls.services), tls.services[0].tls),
            (vec!["[::1]:6651".to_owned()], true)
        );
        assert_eq!((&*tls.tenant, &*tls.namespace), ("a", "b"));
        assert_eq!(shown(&tls.admin), ["https://other:1/"]);
    }

    #[test]
    fn several_hosts_are_read() {
        let plain = parse("pulsar://a?servers=b:7,[::1]").unwrap();
        assert_eq!(shown(&plain.services), ["a:6650", "b:7", "[::1]:6650"]);
        assert_eq!(shown(&plain.admin), ["http://a:8080/", "http://b:8080/", "http://[::1]:8080/"]);
        let tls = parse("pulsar+ssl://a?servers=b&admin=https://a:1,[::1]:2,c/").unwrap();
        assert_eq!(shown(&tls.services), ["a:6651", "b:6651"]);
        assert!(tls.services.iter().all(|service| service.tls));
        assert_eq!(shown(&tls.admin), ["https://a:1/", "https://[::1]:2/", "https://c/"]);
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_shown() {
        for url in [
            "pulsar://",
            "pulsar://u:secret@host",
            "pulsar://host/only-a-tenant",
            "pulsar://host/a/b/c",
            "pulsar://host/a/b?admin=secret",
            "pulsar://host/a/b?admin=http://u:secret@h",
            "pulsar://host/a/b?admin=http://h,u:secret@h",
            "pulsar://host/a/b?admin=http://h,",
            "pulsar://host/a/b?admin=http://h,http://h",
            "pulsar://host/a/b?admin=http://h/secret,h",
            "pulsar://host/a/b?servers=u:secret@h",
            "pulsar://host/a/b?token=secret&token_file=secret",
            "pulsar://host/a/b?prefetch_bytes=0",
            "pulsar://host/a/b?window_bytes=0",
            "pulsar://host/a/b?timeout_ms=0",
            "pulsar://host/a/b?timeout_ms=18446744073709551615",
        ] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_token_comes_from_the_url_or_from_the_environment() {
        let environment = |name: &str| (name == "PULSAR_TOKEN").then(|| "mine".to_owned());
        for (url, wanted) in [("pulsar://host?token=yours", "yours"), ("pulsar://host", "mine")] {
            let url = Url::parse(url).unwrap();
            let config = PulsarConfig::from_url_and(&url, &environment).unwrap();
            let shown = format!("{config:?}");
            assert!(!shown.contains(wanted), "{shown}");
            assert_eq!(config.token.unwrap().read().unwrap(), wanted);
        }
    }
}
