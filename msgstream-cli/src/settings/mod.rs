//! Settings of the whole program: brokers by name, and options of their URLs, from the environment and a
//! file.

mod file;
mod schemes;
mod url;

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use msgstream::registry::ConnectError;
use msgstream::transport::Transport;

pub(crate) use self::file::SettingsError;
use self::file::SettingsFile;
pub(crate) use self::schemes::UnknownScheme;
use crate::error::{Error, Result};

/// Set once, before a command runs.
static SETTINGS: OnceLock<SettingsFile> = OnceLock::new();

/// Reads the settings file that is named, or else the user's own if there is one, and checks the variables
/// of the environment with options.
pub(crate) fn load(named: Option<&Path>) -> Result<()> {
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
            url::check_variable(name, value)?;
        }
    }
    let found = named.map(Path::to_owned).or_else(|| users_own().filter(|path| path.exists()));
    if let Some(path) = found {
        // A second call would change nothing, and there is none.
        let _ = SETTINGS.set(SettingsFile::read(&path)?);
    }
    Ok(())
}

fn users_own() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".config")));
    Some(folder?.join("msgstream").join("config.toml"))
}

/// Connects to a broker by its URL, or by its name in the settings file. Options that the URL doesn't
/// have come from the environment, and else from the file. A log in files that isn't there is made.
pub(crate) async fn connect(broker: &str) -> Result<Arc<dyn Transport>> {
    open(broker, true).await
}

/// Connects to a broker as [`connect`] does, but for a log in files, which must be there: for commands
/// that have nothing to do where there is none.
pub(crate) async fn connect_existing(broker: &str) -> Result<Arc<dyn Transport>> {
    open(broker, false).await
}

async fn open(broker: &str, create: bool) -> Result<Arc<dyn Transport>> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let none = SettingsFile::default();
    let url = url::complete(broker, create, SETTINGS.get().unwrap_or(&none), &environment)?;
    msgstream::connect(&url).await.map_err(|error| match error {
        error if !create && is_missing(&url, &error) => {
            Error::NoLog { url: url.split('?').next().unwrap_or(&url).to_owned() }
        }
        ConnectError::UnknownScheme { scheme, .. } => match schemes::feature(&scheme) {
            Ok(feature) => Error::NotCompiledIn { scheme, feature },
            Err(unknown) => unknown.into(),
        },
        error => error.into(),
    })
}

/// Returns whether a URL couldn't be opened because the folder that it names isn't there.
fn is_missing(url: &str, error: &ConnectError) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(system) = cause.downcast_ref::<io::Error>() {
            let is_file = schemes::of_transport(scheme) == "file";
            return is_file && system.kind() == io::ErrorKind::NotFound;
        }
        source = cause.source();
    }
    false
}
