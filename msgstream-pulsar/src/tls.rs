//! Whom to trust.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::sync::Arc;

use msgstream_core::transport::TransportErrorKind as Kind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// The configuration of encrypted connections: the authorities in a PEM file, else the machine's.
///
/// The provider is named here: the process's default one may be missing, or there may be two.
pub(crate) fn config(ca: Option<&str>) -> Result<ClientConfig, Kind> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let wrong = |error: &dyn std::fmt::Display| Kind::Config {
                reason: format!("the authorities in `{path}` can't be used: {error}"),
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
                let certificate = certificate.map_err(|e| wrong(&e))?;
                roots.add(certificate).map_err(|e| wrong(&e))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Kind::Config { reason: format!("TLS can't be used: {e}") })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What to tell where an error says that a certificate isn't trusted: time doesn't help then.
pub(crate) fn distrust(place: impl Display, error: &(dyn Error + 'static)) -> Option<Kind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            let reason = format!(
                "the certificate of {place} isn't trusted: {why}; the option `ca` names a file with the authorities to trust"
            );
            return Some(Kind::Config { reason });
        }
        // What an I/O error holds is not its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}
