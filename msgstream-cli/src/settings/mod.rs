//! Settings of the whole program: brokers by name, and options of their URLs, from the environment and a
//! file.

mod file;
mod url;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use msgstream::transport::Transport;

pub(crate) use self::file::SettingsError;
use self::file::SettingsFile;
use crate::error::{Error, Result};

/// Set once, before a command runs.
static SETTINGS: OnceLock<SettingsFile> = OnceLock::new();

/// Reads the settings file that is named, or else the user's own if there is one.
pub(crate) fn load(named: Option<&Path>) -> Result<()> {
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
/// have come from the environment, and else from the file.
pub(crate) async fn connect(broker: &str) -> Result<Arc<dyn Transport>> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let none = SettingsFile::default();
    let url = url::complete(broker, SETTINGS.get().unwrap_or(&none), &environment)?;
    msgstream::connect(&url).await.map_err(Error::from)
}
