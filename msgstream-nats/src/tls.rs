//! TLS, if it is compiled in.

use async_nats::ConnectOptions;
use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;

/// The authorities to trust instead of the machine's own, and the certificate to show. Paths of PEM
/// files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// The scheme is `tls`, so no connection is made without TLS.
    pub(crate) required: bool,
    /// The server doesn't greet before TLS.
    pub(crate) first: bool,
    pub(crate) ca: Option<String>,
    pub(crate) certificate: Option<(String, String)>,
    /// The machine's own authorities, read once because that takes as long as several connections.
    #[cfg(feature = "tls")]
    native: std::sync::Arc<std::sync::OnceLock<std::sync::Arc<async_nats::rustls::RootCertStore>>>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// Names the cryptography provider: the client library would take the process's default one, and
    /// panics if there is none or if two are compiled in.
    pub(crate) fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions, Failure> {
        use std::sync::Arc;

        use async_nats::rustls::crypto::ring;
        use async_nats::rustls::pki_types::pem::PemObject as _;
        use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
        use async_nats::rustls::{ClientConfig, RootCertStore};

        fn wrong(
            what: &str,
            path: &str,
            error: impl std::error::Error + Send + Sync + 'static,
        ) -> Failure {
            let reason = format!("the {what} in the file `{path}` can't be used");
            Failure::new(TransportErrorKind::Config { reason }, error)
        }
        let certificates = |what: &str, path: &str| {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            let read: Vec<CertificateDer<'static>> = read.map_err(|e| wrong(what, path, e))?;
            match read.is_empty() {
                true => {
                    let reason = format!("the file `{path}` has no certificate");
                    Err(Failure::from(TransportErrorKind::Config { reason }))
                }
                false => Ok(read),
            }
        };
        let roots = match &self.ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("authority", path)? {
                    roots.add(certificate).map_err(|e| wrong("authority", path, e))?;
                }
                Arc::new(roots)
            }
            None => Arc::clone(self.native.get_or_init(|| {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Arc::new(roots)
            })),
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                let reason = "TLS can't be set up".to_owned();
                Failure::new(TransportErrorKind::Config { reason }, error)
            })?
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("certificate", certificate)?;
                let der = PrivateKeyDer::from_pem_file(key).map_err(|e| wrong("key", key, e))?;
                config
                    .with_client_auth_cert(chain, der)
                    .map_err(|e| wrong("certificate", certificate, e))?
            }
        };
        let options = options.tls_client_config(config).require_tls(self.required);
        Ok(if self.first { options.tls_first() } else { options })
    }

    pub(crate) const fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

#[cfg(not(feature = "tls"))]
impl Tls {
    pub(crate) fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions, Failure> {
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.required || self.first || self.ca.is_some() || self.certificate.is_some() {
            return Err(MISSING);
        }
        Ok(())
    }
}

/// What to do if TLS is needed and isn't compiled in.
#[cfg(not(feature = "tls"))]
const MISSING: &str = "TLS isn't compiled in: enable the feature `tls` of `msgstream-nats`, which is `nats-tls` of `msgstream`";

/// Fails if a server demands TLS, before the client library sees it, which panics if it must encrypt
/// and can't.
#[cfg(not(feature = "tls"))]
pub(crate) async fn refuse_if_demanded(
    host: &msgstream_core::registry::Host,
) -> Result<(), Failure> {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
    use tokio::net::TcpStream;

    #[derive(serde::Deserialize)]
    struct Info {
        #[serde(default)]
        tls_required: bool,
    }
    /// Greetings have some hundred bytes.
    const LONGEST: u64 = 64 << 10;

    let failed = |error: std::io::Error| {
        Failure::new(crate::error::unreachable(std::slice::from_ref(host)), error)
    };
    let stream = TcpStream::connect((&*host.name, host.port)).await.map_err(failed)?;
    let mut greeting = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut greeting).await.map_err(failed)?;
    let wrong = || {
        TransportErrorKind::Protocol {
        reason: "the greeting isn't that of a NATS server; use a `tls://` URL if the server begins with TLS".to_owned(),
    }
    };
    match greeting.strip_prefix("INFO ").map(serde_json::from_str) {
        Some(Ok(Info { tls_required: true })) => Err(TransportErrorKind::Config {
            reason: format!("the server demands TLS, and {MISSING}"),
        }
        .into()),
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(Failure::new(wrong(), error)),
        // A server that is going away closes what it has just accepted.
        None if greeting.is_empty() => Err(TransportErrorKind::Unavailable {
            reason: "the server closed the connection before it sent its greeting".to_owned(),
        }
        .into()),
        None => Err(wrong().into()),
    }
}
