//! TLS.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use msgstream_core::adapter::{Failure, cause};
use msgstream_core::transport::TransportErrorKind as Kind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Returns the configuration of TLS, with the authorities in a PEM file or else the machine's own.
///
/// The provider is named here: the process's default one may be missing, or there may be two.
pub(crate) fn config(ca: Option<&str>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let wrong = || Kind::Config {
                reason: format!("the authorities in the file `{path}` can't be used"),
            };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| Failure::new(wrong(), error))?
            {
                let certificate = certificate.map_err(|error| Failure::new(wrong(), error))?;
                roots.add(certificate).map_err(|error| Failure::new(wrong(), error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Failure::new(Kind::Config { reason: "TLS can't be set up".to_owned() }, error)
        })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Returns the failure if an error says that a certificate isn't trusted, which isn't temporary.
pub(crate) fn distrust(place: impl Display, error: &(dyn Error + 'static)) -> Option<Failure> {
    let distrust = cause::<rustls::Error>(error)?;
    matches!(distrust, rustls::Error::InvalidCertificate(_)).then(|| {
        let reason = format!(
            "the certificate of {place} isn't trusted: name a file with its authorities in the option `ca`"
        );
        Failure::new(Kind::Config { reason }, distrust.clone())
    })
}
