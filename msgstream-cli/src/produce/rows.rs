//! The rows of several files, in order. They are read on a thread of their own.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use tokio::sync::mpsc::Sender;

use super::args::{Format, ProduceArgs};
use super::format::{Columns, Parsed, Source};
use crate::error::{Error, Result};
use crate::row::Place;

/// What to read.
#[derive(Clone, Debug)]
pub(super) struct Input {
    files: Vec<PathBuf>,
    format: Option<Format>,
    columns: Columns,
}

impl Input {
    pub(super) fn new(args: &ProduceArgs) -> Result<Self> {
        let columns = Columns {
            time: args.time_column.clone(),
            time_format: args.time_format.clone(),
            key: args.key_column.clone(),
        };
        let input = Self { files: args.inputs.clone(), format: args.format, columns };
        input.check()?;
        Ok(input)
    }

    /// Opens all plain files once, so that what is missing stops the run before anything is written.
    fn check(&self) -> Result<()> {
        if self.files.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(Error::Usage("stdin is read once: give --input - once".to_owned()));
        }
        for path in self.files.iter().filter(|path| !is_stdin(path)) {
            let about = std::fs::metadata(path);
            let about = about.map_err(|e| Error::Open { path: path.clone(), source: e })?;
            if about.is_file() {
                Source::open(path, self.format, &self.columns, &ProgressBar::hidden())?;
            }
        }
        Ok(())
    }

    /// Returns the file and the line of a row, for errors.
    pub(super) fn at(&self, place: Place) -> (PathBuf, u64) {
        let path = self.files.get(place.file()).map_or(Path::new(""), |path| name(path));
        (path.to_owned(), place.line())
    }

    /// Sends all rows, until there are no more, one can't be used, or nobody takes them.
    pub(super) fn read(&self, progress: &ProgressBar, rows: &Sender<Result<InputRow>>) {
        for (file, path) in self.files.iter().enumerate() {
            let mut source = match Source::open(path, self.format, &self.columns, progress) {
                Ok(source) => source,
                // Nobody takes it where the run has stopped already.
                Err(error) => return drop(rows.blocking_send(Err(error))),
            };
            while let Some(row) = self.next(&mut source, file).transpose() {
                let bad = row.is_err();
                if rows.blocking_send(row).is_err() || bad {
                    return;
                }
            }
        }
    }

    fn next(&self, source: &mut Source, file: usize) -> Result<Option<InputRow>> {
        let path = || self.files.get(file).map_or(PathBuf::new(), |path| name(path).to_owned());
        if !source.advance().map_err(|e| Error::Read { path: path(), source: e })? {
            return Ok(None);
        }
        let line = source.line();
        let place = Place::new(file, line).ok_or_else(|| Error::TooLong { path: path() })?;
        match source.parse(&self.columns) {
            Ok(parsed) => Ok(Some(InputRow { place, parsed })),
            Err(reason) => Err(Error::BadInput { path: path(), line, reason }),
        }
    }
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> &Path {
    if is_stdin(path) { Path::new("stdin") } else { path }
}

/// A row, and where it stands.
pub(super) struct InputRow {
    pub(super) place: Place,
    pub(super) parsed: Parsed,
}
