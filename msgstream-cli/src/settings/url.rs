//! A broker's URL, with the options that aren't written in it.

use form_urlencoded::{Serializer, parse};

use super::file::SettingsFile;
use super::schemes;
use crate::error::{Error, Result};

/// Returns the URL of a broker that is given by URL or by name, with the options of the environment and
/// of the file that it doesn't have itself. Whether a log in files that isn't there is made is
/// said by `create`, unless one of them says it.
pub(super) fn complete(
    broker: &str,
    create: bool,
    file: &SettingsFile,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String> {
    let url = match broker.contains("://") {
        true => broker,
        false => match file.brokers.get(broker) {
            Some(url) => url,
            None if !is_name(broker) => broker,
            None if file.brokers.is_empty() => {
                return Err(Error::NoUrl { name: broker.to_owned() });
            }
            None => {
                let known = file.brokers.keys().cloned().collect();
                return Err(Error::UnknownBroker { name: broker.to_owned(), known });
            }
        },
    };
    let Some((scheme, _)) = url.split_once("://") else { return Ok(url.to_owned()) };
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut options: Vec<(String, String)> = parse(query.as_bytes()).into_owned().collect();
    let in_environment = environment(&schemes::variable(scheme)).unwrap_or_default();
    let in_file = file.options.get(scheme).into_iter().flatten();
    // What other schemes have isn't made by connecting.
    let existing = (schemes::of_transport(scheme) == "file" && !create)
        .then(|| ("create".to_owned(), "false".to_owned()));
    let added = parse(in_environment.as_bytes())
        .into_owned()
        .chain(in_file.map(|(name, value)| (name.clone(), value.clone())))
        .chain(existing);
    for (name, value) in added {
        if !options.iter().any(|(given, _)| *given == name) {
            options.push((name, value));
        }
    }
    if options.is_empty() {
        return Ok(url.to_owned());
    }
    let query = Serializer::new(String::new()).extend_pairs(options).finish();
    Ok(format!("{address}?{query}"))
}

/// Returns whether a text can be shown: anything else may be a URL with a password.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// Fails if a variable of the environment should have options, and no scheme has it, or no such options.
pub(super) fn check_variable(name: &str, value: &str) -> Result<()> {
    let scheme = match schemes::of_variable(name) {
        None => return Ok(()),
        Some(Ok(scheme)) => scheme,
        Some(Err(meant)) => return Err(Error::UnknownVariable { name: name.to_owned(), meant }),
    };
    let checked = schemes::check_options(&scheme, parse(value.as_bytes()).into_owned());
    checked.map_err(|source| Error::Variable { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file() -> SettingsFile {
        let text = r#"
            [brokers]
            shop = "kafka://a:9092,b:9092/shop?timeout_ms=5"
            [options.kafka]
            timeout_ms = 7
            prefetch_bytes = 1024
        "#;
        SettingsFile::parse(text).unwrap()
    }

    #[test]
    fn the_url_comes_before_the_environment_and_that_before_the_file() {
        let environment = |name: &str| {
            (name == "MSGSTREAM_KAFKA_OPTIONS").then(|| "timeout_ms=6&window_bytes=9".to_owned())
        };
        let complete = |broker| complete(broker, true, &file(), &environment).unwrap();
        let all = "kafka://a:9092,b:9092/shop?timeout_ms=5&window_bytes=9&prefetch_bytes=1024";
        assert_eq!(complete("shop"), all);
        assert_eq!(
            complete("kafka://c"),
            "kafka://c?timeout_ms=6&window_bytes=9&prefetch_bytes=1024"
        );
        assert_eq!(complete("mem://"), "mem://");
    }

    #[test]
    fn a_broker_that_isnt_named_is_refused() {
        let error = complete("shp", true, &file(), &|_| None).unwrap_err();
        assert!(error.to_string().contains("did you mean `shop`?"), "{error}");
        let error = complete("shop", true, &SettingsFile::default(), &|_| None).unwrap_err();
        assert!(error.to_string().starts_with("`shop` is neither a URL"), "{error}");
        // What may have a password isn't shown: connecting says what is wrong with it.
        let url = "bob:secret@shop";
        assert_eq!(complete(url, true, &SettingsFile::default(), &|_| None).unwrap(), url);
        assert_eq!(complete(url, true, &file(), &|_| None).unwrap(), url);
    }

    #[test]
    fn a_log_in_files_is_made_only_if_it_may_be() {
        let complete = |broker, create| complete(broker, create, &file(), &|_| None).unwrap();
        assert_eq!(complete("file:///log", true), "file:///log");
        assert_eq!(complete("file:///log?sync=os", false), "file:///log?sync=os&create=false");
        assert_eq!(complete("file:///log?create=true", false), "file:///log?create=true");
        assert_eq!(complete("virtual+file:///log", false), "virtual+file:///log?create=false");
        assert_eq!(complete("mem://", false), "mem://");
    }
}
