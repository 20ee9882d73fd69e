//! The rows of several CSV files, in order.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use msgstream::Timestamp;

use crate::error::{Error, Result};
use crate::input::{Fields, Table, open};
use crate::row::Place;
use crate::time::TimeFormat;

/// What to read, and which columns matter.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) time_column: String,
    pub(crate) time_format: TimeFormat,
    pub(crate) key_column: String,
}

impl Input {
    /// A place, in words.
    pub(crate) fn name(&self, place: Place) -> String {
        let file = self.files.get(place.file()).map(|path| path.display().to_string());
        format!("`{}` line {}", file.unwrap_or_default(), place.line())
    }
}

/// Reads the rows of all files, one after the other.
pub(crate) struct Rows {
    input: Input,
    progress: ProgressBar,
    /// The number of the file that is open, or comes next.
    file: usize,
    open: Option<OpenFile>,
}

/// A row, or what could have been one.
pub(crate) enum RowOrBad<'a> {
    Row(ParsedRow<'a>),
    Bad(BadRow<'a>),
}

/// A row whose time and key could be read.
pub(crate) struct ParsedRow<'a> {
    pub(crate) place: Place,
    pub(crate) ts: Timestamp,
    pub(crate) key: &'a str,
    pub(crate) columns: &'a [String],
    pub(crate) fields: Fields<'a>,
}

/// A row that can't be used.
pub(crate) struct BadRow<'a> {
    pub(crate) file: &'a Path,
    pub(crate) line: u64,
    pub(crate) reason: String,
    pub(crate) raw: &'a [u8],
}

impl Rows {
    /// Checks that all files are there and have the columns. The bar is moved by the bytes read.
    pub(crate) fn new(input: Input, progress: ProgressBar) -> Result<Self> {
        let mut files = input.files.iter();
        // The first one stays open: where there is but one, it may be a pipe.
        let open = files.next().map(|path| OpenFile::new(path, &input, &progress)).transpose()?;
        for path in files {
            OpenFile::new(path, &input, &ProgressBar::hidden())?;
        }
        Ok(Self { input, progress, file: 0, open })
    }

    /// The next row; `None` after the last one of the last file.
    pub(crate) fn next(&mut self) -> Result<Option<RowOrBad<'_>>> {
        while !self.advance()? {
            if self.file == self.input.files.len() {
                return Ok(None);
            }
        }
        // What was advanced is open, in the file of this number.
        let (Some(open), Some(path)) = (&self.open, self.input.files.get(self.file)) else {
            return Ok(None);
        };
        let line = open.table.records.line();
        let place = Place::new(self.file, line).ok_or(Error::TooLong { path: path.clone() })?;
        Ok(Some(match open.parse(&self.input.time_format) {
            Ok((ts, key, fields)) => {
                RowOrBad::Row(ParsedRow { place, ts, key, columns: &open.table.columns, fields })
            }
            Err(reason) => {
                RowOrBad::Bad(BadRow { file: path, line, reason, raw: open.table.records.raw() })
            }
        }))
    }

    /// Goes to the next row of the file that is open; `false` where there is none, and then the
    /// next file's turn has come.
    fn advance(&mut self) -> Result<bool> {
        let Some(path) = self.input.files.get(self.file) else { return Ok(false) };
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(OpenFile::new(path, &self.input, &self.progress)?),
        };
        let there = open
            .table
            .records
            .advance()
            .map_err(|e| Error::Read { path: path.clone(), source: e })?;
        if !there {
            self.open = None;
            self.file += 1;
        }
        Ok(there)
    }
}

/// A file whose header was read.
struct OpenFile {
    table: Table,
    time: usize,
    key: usize,
}

impl OpenFile {
    fn new(path: &Path, input: &Input, progress: &ProgressBar) -> Result<Self> {
        let table = Table::new(open(path, progress)?, path)?;
        let (time, key) = (table.index(&input.time_column)?, table.index(&input.key_column)?);
        Ok(Self { table, time, key })
    }

    fn parse(&self, format: &TimeFormat) -> Result<(Timestamp, &str, Fields<'_>), String> {
        let fields = self.table.fields()?;
        // Each column has a field.
        let [time, key] = [self.time, self.key].map(|index| fields.get(index).unwrap_or_default());
        Ok((format.parse(time)?, key, fields))
    }
}
