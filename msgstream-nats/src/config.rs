//! The configuration, from a URL, the environment or a program.

use std::time::Duration;

use msgstream_core::registry::{ConnectError, Host, Url, hosts, parse_options, user};
use serde::Deserialize;

use crate::created::{Compression, Created, Discard, Storage};
use crate::credentials::Credentials;
use crate::tls::Tls;

/// The port of a URL that names none.
const PORT: u16 = 4222;

/// The configuration of a [`NatsTransport`](crate::NatsTransport).
///
/// ```
/// use msgstream_core::registry::Url;
/// use msgstream_nats::NatsConfig;
/// let url = Url::parse("nats://alice:secret@localhost/shop-?replicas=3").unwrap();
/// let config = NatsConfig::from_url(&url)?;
/// assert!(!format!("{config:?}").contains("secret"));
///
/// use std::time::Duration;
/// let patient = config.with_timeout(Duration::from_secs(30)).with_window_bytes(1 << 20);
/// # let _ = patient;
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// They are tried in no order.
    pub(crate) servers: Vec<Host>,
    /// The beginning of the streams' names.
    pub(crate) prefix: String,
    pub(crate) credentials: Credentials,
    pub(crate) tls: Tls,
    pub(crate) options: Options,
}

/// The options of the URL that are neither addresses nor secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The longest wait for an answer.
    pub(crate) timeout: Duration,
    /// What a writer has in flight, in bytes.
    pub(crate) window_bytes: usize,
    /// What a reader requests in advance, in bytes.
    pub(crate) prefetch_bytes: usize,
    pub(crate) created: Created,
    /// What the subjects of JetStream's requests begin with.
    pub(crate) api: String,
    /// The address of a server's monitoring port.
    pub(crate) monitor: Option<String>,
}

/// The options as the URL has them.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UrlOptions {
    servers: String,
    creds: Option<String>,
    nkey: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    timeout_ms: u64,
    window_bytes: usize,
    prefetch_bytes: usize,
    tls_first: bool,
    domain: Option<String>,
    pub(crate) storage: Storage,
    pub(crate) replicas: usize,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_age_ms: u64,
    pub(crate) discard: Discard,
    pub(crate) compression: Compression,
    pub(crate) duplicate_window_ms: Option<u64>,
    pub(crate) cluster: Option<String>,
    pub(crate) tags: Option<String>,
    monitor: Option<String>,
}

impl Default for UrlOptions {
    fn default() -> Self {
        Self {
            servers: String::new(),
            creds: None,
            nkey: None,
            ca: None,
            cert: None,
            key: None,
            timeout_ms: 5_000,
            window_bytes: 16 << 20,
            prefetch_bytes: 4 << 20,
            tls_first: false,
            domain: None,
            storage: Storage::default(),
            replicas: 1,
            max_bytes: None,
            max_age_ms: 0,
            discard: Discard::default(),
            compression: Compression::default(),
            duplicate_window_ms: None,
            cluster: None,
            tags: None,
            monitor: None,
        }
    }
}

impl NatsConfig {
    /// Reads a URL. If it has no credentials, they come from the environment: `NATS_USER` and
    /// `NATS_PASSWORD`, `NATS_TOKEN`, `NATS_NKEY` and `NATS_CREDS` (files), and for TLS `NATS_CA`,
    /// `NATS_CERT` and `NATS_KEY` (files).
    ///
    /// # Errors
    /// Fails with [`ConnectError`] if an address or option can't be used.
    pub fn from_url(url: &Url) -> Result<Self, ConnectError> {
        Self::from_url_and(url, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Sets how long a call waits for an answer.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Sets how much a writer has in flight before `ready` waits, in bytes. It always sends one batch.
    #[must_use]
    pub fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.options.window_bytes = bytes.max(1);
        self
    }

    /// Sets how much a reader requests in advance, in bytes. It is at least twice the server's
    /// `max_payload`.
    #[must_use]
    pub fn with_prefetch_bytes(mut self, bytes: usize) -> Self {
        self.options.prefetch_bytes = bytes.max(1);
        self
    }

    fn from_url_and(
        url: &Url,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        let read: UrlOptions = parse_options(url)?;
        let positive = |name: &str, value: u64| match value {
            0 => Err(ConnectError::option(url, name, "it must be greater than 0")),
            value => Ok(value),
        };
        positive("timeout_ms", read.timeout_ms)?;
        positive("window_bytes", read.window_bytes as u64)?;
        positive("prefetch_bytes", read.prefetch_bytes as u64)?;
        if read.monitor.as_ref().is_some_and(|monitor| !monitor.starts_with("http://")) {
            let reason = "it must be an address such as http://localhost:8222";
            return Err(ConnectError::option(url, "monitor", reason));
        }
        let tls = tls(url, &read, environment)?;
        Ok(Self {
            servers: hosts(url, &read.servers, PORT)?,
            prefix: prefix(url)?,
            credentials: credentials(url, &read, environment)?,
            tls,
            options: Options {
                timeout: Duration::from_millis(read.timeout_ms),
                window_bytes: read.window_bytes,
                prefetch_bytes: read.prefetch_bytes,
                created: Created::read(url, &read)?,
                api: api(url, read.domain.as_deref())?,
                monitor: read.monitor,
            },
        })
    }
}

/// Returns what the subjects of requests to a domain's JetStream begin with.
fn api(url: &Url, domain: Option<&str>) -> Result<String, ConnectError> {
    match domain {
        None => Ok("$JS.API".to_owned()),
        Some(domain)
            if !domain.is_empty()
                && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) =>
        {
            Ok(format!("$JS.{domain}.API"))
        }
        Some(_) => {
            let reason = "it is the name in the server's `jetstream { domain: … }`: letters A-Z and a-z, digits, `-` and `_`";
            Err(ConnectError::option(url, "domain", reason))
        }
    }
}

fn prefix(url: &Url) -> Result<String, ConnectError> {
    let prefix = url.path().strip_prefix('/').unwrap_or_default();
    if url.fragment().is_some()
        || prefix.len() > 64
        || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Err(ConnectError::address(
            url,
            "the path is the prefix of the streams' names: use up to 64 letters A-Z and a-z, digits, `-` and `_`",
        ));
    }
    Ok(prefix.to_owned())
}

fn credentials(
    url: &Url,
    read: &UrlOptions,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Credentials, ConnectError> {
    // A file that can't be read fails here, before anything waits for it.
    let file = |option: &str, credentials: Credentials| match credentials.read() {
        Ok(_) => Ok(credentials),
        Err(error) => {
            let reason =
                "the file can't be used: check its path, its permissions and what is in it";
            Err(ConnectError::option(url, option, reason).because(error))
        }
    };
    let mut given = Vec::new();
    given.extend(user(url)?.map(|(name, password)| match password {
        None => Credentials::Token(name),
        Some(password) => Credentials::User { name, password },
    }));
    if let Some(path) = &read.creds {
        given.push(file("creds", Credentials::File(path.clone()))?);
    }
    if let Some(path) = &read.nkey {
        given.push(file("nkey", Credentials::NkeyFile(path.clone()))?);
    }
    let from = if given.is_empty() { "in the environment" } else { "in the URL" };
    if given.is_empty() {
        if let Some(name) = environment("NATS_USER") {
            let password = environment("NATS_PASSWORD").unwrap_or_default();
            given.push(Credentials::User { name, password });
        }
        given.extend(environment("NATS_TOKEN").map(Credentials::Token));
        if let Some(path) = environment("NATS_CREDS") {
            given.push(file("creds", Credentials::File(path))?);
        }
        if let Some(path) = environment("NATS_NKEY") {
            given.push(file("nkey", Credentials::NkeyFile(path))?);
        }
    }
    if given.len() > 1 {
        let reason = format!("there are several kinds of credentials {from}: leave one");
        return Err(ConnectError::address(url, reason));
    }
    Ok(given.pop().unwrap_or_default())
}

fn tls(
    url: &Url,
    read: &UrlOptions,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Tls, ConnectError> {
    let required = url.scheme() == "tls";
    // Without TLS what the environment has for it is meant for another connection.
    let or_environment = |option: &Option<String>, name: &str| {
        option.clone().or_else(|| environment(name).filter(|_| required))
    };
    let certificate =
        match (or_environment(&read.cert, "NATS_CERT"), or_environment(&read.key, "NATS_KEY")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => {
                return Err(ConnectError::option(url, "cert", "it needs the option `key` too"));
            }
            (None, Some(_)) => {
                return Err(ConnectError::option(url, "key", "it needs the option `cert` too"));
            }
        };
    let mut tls = Tls::default();
    if read.tls_first && !required {
        return Err(ConnectError::option(url, "tls_first", "it needs a `tls://` URL"));
    }
    (tls.required, tls.first) = (required, read.tls_first);
    tls.ca = or_environment(&read.ca, "NATS_CA");
    tls.certificate = certificate;
    tls.check().map_err(|reason| ConnectError::address(url, reason))?;
    Ok(tls)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn config(url: &str) -> Result<NatsConfig, ConnectError> {
        NatsConfig::from_url_and(&Url::parse(url).unwrap(), &|_| None)
    }

    #[test]
    fn addresses_and_prefix_are_read() {
        let read = config("nats://h/shop-?servers=a,b:80,[::1]:7").unwrap();
        let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["h:4222", "a:4222", "b:80", "[::1]:7"]);
        assert_eq!(read.prefix, "shop-");
        assert_eq!(config("nats://h").unwrap().prefix, "");
    }

    #[test]
    fn what_can_t_be_used_is_refused() {
        for url in [
            "nats://",
            "nats://h/a/b",
            "nats://h/a.b",
            "nats://h/a%20b",
            "nats://h#f",
            "nats://h?servers=u:p@a",
            "nats://h?servers=a/b",
            "nats://h?window_bytes=0",
            "nats://h?timeout_ms=0",
            "nats://h?replicas=6",
            "nats://h?max_bytes=0",
            "nats://h?max_bytes=9223372036854775808",
            "nats://h?discard=some",
            "nats://h?monitor=h:8222",
            "nats://h?creds=/no/such/file",
            "nats://h?domain=a.b",
            "nats://h?domain=",
            "nats://h?tls_first=true",
            "nats://h?compression=zstd",
            "nats://h?duplicate_window_ms=0",
            "nats://h?tags=a,,b",
            "nats://h?cluster=",
        ] {
            assert!(config(url).is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_come_from_the_url_or_else_the_environment() {
        let read = |url: &str, names: &'static [&'static str]| {
            let url = Url::parse(url).unwrap();
            NatsConfig::from_url_and(&url, &|name| {
                names.contains(&name).then(|| "secret".to_owned())
            })
        };
        let shown = |url, names| format!("{:?}", read(url, names).unwrap().credentials);
        assert_eq!(shown("nats://h", &[]), "None");
        assert_eq!(shown("nats://alice:secret@h", &["NATS_TOKEN"]), "User(..)");
        assert_eq!(shown("nats://secret@h", &[]), "Token(..)");
        assert_eq!(shown("nats://h", &["NATS_USER", "NATS_PASSWORD"]), "User(..)");
        assert_eq!(shown("nats://h", &["NATS_TOKEN"]), "Token(..)");
        let error = read("nats://h", &["NATS_TOKEN", "NATS_USER"]).unwrap_err().to_string();
        assert!(error.contains("several") && !error.contains("secret"), "{error}");
        let escaped = read("nats://a%40b:p%3Aq@h", &[]).unwrap().credentials;
        let Credentials::User { name, password } = escaped else { panic!("{escaped:?}") };
        assert_eq!((&*name, &*password), ("a@b", "p:q"));
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_that_is_not_compiled_in_is_refused() {
        for url in ["tls://h", "nats://h?ca=/some/file"] {
            let error = config(url).unwrap_err().to_string();
            assert!(error.contains("nats-tls"), "{error}");
        }
    }
}
