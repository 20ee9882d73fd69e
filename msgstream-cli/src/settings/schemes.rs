//! The schemes of URLs, and the options that each has.

use form_urlencoded::Serializer;
use msgstream::registry::{ConnectError, Url, nearest};

use crate::error::did_you_mean;

/// The schemes of all transports, also of those that aren't compiled in, and the cargo feature of each.
const SCHEMES: [(&str, &str); 7] = [
    ("file", "file"),
    ("kafka", "kafka"),
    ("mem", "mem"),
    ("nats", "nats"),
    ("pulsar", "pulsar"),
    ("pulsar+ssl", "pulsar"),
    ("tls", "nats-tls"),
];

/// What is written before the scheme of a transport for a layer around it.
const LAYERS: [&str; 3] = ["virtual+chunks+", "virtual+", "chunks+"];

/// Reads a URL without connecting.
type Read = fn(&Url) -> Result<(), ConnectError>;

/// How the transports that are compiled in read a URL.
const COMPILED_IN: &[(&str, Read)] = &[
    #[cfg(feature = "file")]
    ("file", |url| msgstream::backends::file::FileConfig::from_url(url).map(drop)),
    #[cfg(feature = "kafka")]
    ("kafka", |url| msgstream::backends::kafka::KafkaConfig::from_url(url).map(drop)),
    #[cfg(feature = "mem")]
    ("mem", |url| msgstream::backends::mem::MemConfig::from_url(url).map(drop)),
    #[cfg(feature = "nats")]
    ("nats", |url| msgstream::backends::nats::NatsConfig::from_url(url).map(drop)),
    #[cfg(feature = "nats-tls")]
    ("tls", |url| msgstream::backends::nats::NatsConfig::from_url(url).map(drop)),
    #[cfg(feature = "pulsar")]
    ("pulsar", |url| msgstream::backends::pulsar::PulsarConfig::from_url(url).map(drop)),
    #[cfg(feature = "pulsar")]
    ("pulsar+ssl", |url| msgstream::backends::pulsar::PulsarConfig::from_url(url).map(drop)),
];

/// A scheme that no transport has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scheme `{scheme}`{}: the schemes are {}", did_you_mean(scheme, &names()), names().join(", "))]
pub(crate) struct UnknownScheme {
    scheme: String,
}

impl UnknownScheme {
    pub(super) fn scheme(&self) -> &str {
        &self.scheme
    }
}

fn names() -> [&'static str; SCHEMES.len()] {
    SCHEMES.map(|(name, _)| name)
}

/// Returns the scheme of the transport that a scheme names, perhaps in a layer.
pub(super) fn of_transport(scheme: &str) -> &str {
    LAYERS.iter().find_map(|layer| scheme.strip_prefix(layer)).unwrap_or(scheme)
}

/// Returns the cargo feature of a scheme.
pub(super) fn feature(scheme: &str) -> Result<&'static str, UnknownScheme> {
    let found = SCHEMES.iter().find(|(name, _)| *name == of_transport(scheme));
    let unknown = || UnknownScheme { scheme: scheme.to_owned() };
    found.map(|(_, feature)| *feature).ok_or_else(unknown)
}

/// Returns the variable of the environment with the options of a scheme.
pub(super) fn variable(scheme: &str) -> String {
    format!("MSGSTREAM_{}_OPTIONS", scheme.replace(['+', '-'], "_").to_uppercase())
}

/// Returns the scheme whose options a variable has, `None` if it is no variable with options.
///
/// # Errors
/// Fails with the variable that was probably meant, if there is one, where no scheme has this one.
pub(super) fn of_variable(name: &str) -> Option<Result<String, Option<String>>> {
    let middle = name.strip_prefix("MSGSTREAM_")?.strip_suffix("_OPTIONS")?.to_lowercase();
    let in_layer = |scheme: &str| LAYERS.map(|layer| format!("{layer}{scheme}"));
    let mut all =
        names().into_iter().flat_map(|name| std::iter::once(name.to_owned()).chain(in_layer(name)));
    Some(all.find(|scheme| variable(scheme) == name).ok_or_else(|| {
        let meant =
            nearest(&middle, &names().map(|scheme| scheme.replace(['+', '-'], "_")))?.to_owned();
        Some(variable(&meant))
    }))
}

/// Fails if a transport that is compiled in doesn't have one of these options. The address and the values
/// are looked at when they are used, and so are all options of a transport in a layer.
pub(super) fn check_options(
    scheme: &str,
    options: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConnectError> {
    let read = COMPILED_IN.iter().find(|(name, _)| *name == scheme);
    let Some((_, read)) = read else { return Ok(()) };
    let options = Serializer::new(String::new()).extend_pairs(options).finish();
    let Ok(url) = Url::parse(&format!("{scheme}://localhost/?{options}")) else { return Ok(()) };
    match read(&url) {
        Err(error @ ConnectError::UnknownOption { .. }) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_that_is_compiled_in_is_known() {
        for scheme in msgstream::registry().schemes() {
            assert!(feature(scheme).is_ok(), "{scheme}");
        }
    }

    #[test]
    fn a_variable_belongs_to_a_scheme() {
        assert_eq!(of_variable("MSGSTREAM_FILE_OPTIONS"), Some(Ok("file".to_owned())));
        assert_eq!(of_variable("MSGSTREAM_PULSAR_SSL_OPTIONS"), Some(Ok("pulsar+ssl".to_owned())));
        let virtual_kafka = Some(Ok("virtual+kafka".to_owned()));
        assert_eq!(of_variable("MSGSTREAM_VIRTUAL_KAFKA_OPTIONS"), virtual_kafka);
        assert_eq!([feature("virtual+tls"), feature("kafka")], [Ok("nats-tls"), Ok("kafka")]);
        assert_eq!(feature("virtual+chunks+kafka"), feature("chunks+kafka"));
        let meant = Some("MSGSTREAM_FILE_OPTIONS".to_owned());
        assert_eq!(of_variable("MSGSTREAM_FIEL_OPTIONS"), Some(Err(meant)));
        assert_eq!(of_variable("MSGSTREAM_ELSEWHERE_OPTIONS"), Some(Err(None)));
        assert_eq!(of_variable("MSGSTREAM_CONFIG"), None);
        assert_eq!(of_variable("OTHER_FILE_OPTIONS"), None);
    }
}
