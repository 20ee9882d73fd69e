//! Lines that are written to stdout or to a file.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};

/// Where lines go. They are kept back until [`flush`](Self::flush), or until they are many.
pub(crate) struct Lines {
    to: BufWriter<Box<dyn Write + Send>>,
    path: PathBuf,
}

/// Writes a value to stdout, as one line of JSON.
///
/// # Errors
/// Fails with [`Error::OutputClosed`] if whoever reads the lines went away.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let mut lines = Lines::stdout();
    lines.json(value)?;
    lines.flush()
}

impl Lines {
    /// Opens a file anew, or takes stdout if the path is `-`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        let file = File::create(path);
        let file = file.map_err(|e| Error::Write { path: path.to_owned(), source: e })?;
        Ok(Self::to(Box::new(file), path))
    }

    pub(crate) fn stdout() -> Self {
        Self::to(Box::new(io::stdout()), Path::new("stdout"))
    }

    /// Takes stdout, without styles where it is no terminal or colours aren't wanted.
    pub(crate) fn styled_stdout() -> Self {
        Self::to(Box::new(anstream::stdout()), Path::new("stdout"))
    }

    fn to(to: Box<dyn Write + Send>, path: &Path) -> Self {
        Self { to: BufWriter::with_capacity(64 << 10, to), path: path.to_owned() }
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    /// Fails with [`Error::OutputClosed`] if whoever reads the lines went away.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let written = serde_json::to_writer(&mut self.to, value).map_err(io::Error::from);
        let ended = written.and_then(|()| self.to.write_all(b"\n"));
        ended.map_err(|e| self.error(e))
    }

    /// Writes a line of text.
    ///
    /// # Errors
    /// Fails with [`Error::OutputClosed`] if whoever reads the lines went away.
    pub(crate) fn text(&mut self, line: impl Display) -> Result<()> {
        writeln!(self.to, "{line}").map_err(|e| self.error(e))
    }

    /// Writes out what was kept back.
    ///
    /// # Errors
    /// Fails with [`Error::OutputClosed`] if whoever reads the lines went away.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.to.flush().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::written(&self.path, source)
    }
}
