//! The settings file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use msgstream::registry::ConnectError;
use toml::{Table, Value};

use super::schemes::{self, UnknownScheme};
use crate::error::{Error, Result, did_you_mean};

/// What a settings file holds.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    /// URLs of brokers, by the names that stand for them.
    pub(super) brokers: BTreeMap<String, String>,
    /// Options of URLs, by scheme.
    pub(super) options: BTreeMap<String, BTreeMap<String, String>>,
}

const TABLES: [&str; 2] = ["brokers", "options"];

/// What is wrong in a settings file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the file can't be read")]
    Read(#[source] io::Error),
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),
    #[error("there is no setting `{key}`{}: the settings are {}", did_you_mean(key, &TABLES), TABLES.join(", "))]
    Unknown { key: String },
    #[error("`{key}` must be {wanted}")]
    Kind { key: String, wanted: &'static str },
    #[error("there is no setting `options.{}`", .0.scheme())]
    Scheme(#[source] UnknownScheme),
    #[error(transparent)]
    Option(#[from] ConnectError),
}

impl SettingsFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(SettingsError::Read);
        let read = text.and_then(|text| Self::parse(&text));
        read.map_err(|source| Error::Settings { path: path.to_owned(), source })
    }

    pub(super) fn parse(text: &str) -> Result<Self, SettingsError> {
        let all: Table = text.parse()?;
        if let Some(key) = all.keys().find(|key| !TABLES.contains(&key.as_str())) {
            return Err(SettingsError::Unknown { key: key.clone() });
        }
        let mut this = Self::default();
        for (name, url) in table(&all, "brokers")? {
            let key = || format!("brokers.{name}");
            let Value::String(url) = url else {
                return Err(SettingsError::Kind { key: key(), wanted: "a URL in quotes" });
            };
            this.brokers.insert(name.clone(), url.clone());
        }
        let options = table(&all, "options")?;
        for scheme in options.keys() {
            schemes::feature(scheme).map_err(SettingsError::Scheme)?;
            let given = table(&options, scheme)?;
            let text = |(name, value): (String, Value)| Some((name, plain(value)?));
            let read: Option<BTreeMap<_, _>> = given.into_iter().map(text).collect();
            let wanted = "a table of texts, numbers and booleans";
            let kind = || SettingsError::Kind { key: format!("options.{scheme}"), wanted };
            let read = read.ok_or_else(kind)?;
            schemes::check_options(scheme, read.clone())?;
            this.options.insert(scheme.clone(), read);
        }
        Ok(this)
    }
}

/// Returns a table in a table, which is empty if it isn't there.
fn table(all: &Table, key: &str) -> Result<Table, SettingsError> {
    match all.get(key) {
        None => Ok(Table::new()),
        Some(Value::Table(table)) => Ok(table.clone()),
        Some(_) => Err(SettingsError::Kind { key: key.to_owned(), wanted: "a table" }),
    }
}

/// Returns a value as a URL has it.
fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_isnt_known_is_refused_with_what_is_near() {
        let wrong = |text| SettingsFile::parse(text).unwrap_err().to_string();
        let unknown = "there is no setting `broker` (did you mean `brokers`?): the settings are brokers, options";
        assert_eq!(wrong("broker.a = 'mem://'"), unknown);
        assert_eq!(wrong("brokers.a = 7"), "`brokers.a` must be a URL in quotes");
        assert_eq!(wrong("brokers = 7"), "`brokers` must be a table");
        let plain = "`options.file` must be a table of texts, numbers and booleans";
        assert_eq!(wrong("options.file.sync = ['commit']"), plain);
        assert!(wrong("brokers").contains("line 1"), "{}", wrong("brokers"));
        assert_eq!(wrong("options.fiel.sync = 'os'"), "there is no setting `options.fiel`");
        let option = "a `file` URL has no option `snyc` (did you mean `sync`?)";
        assert!(wrong("options.file.snyc = 'os'").starts_with(option));
    }
}
