//! A CSV file whose first line names the columns.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::{Fields, Records};
use crate::error::{Error, Result};

/// A CSV file whose header was read.
pub(crate) struct Table {
    pub(crate) records: Records<Box<dyn BufRead + Send>>,
    pub(crate) columns: Vec<String>,
    path: PathBuf,
}

impl Table {
    /// Reads the header. The path is for errors.
    pub(crate) fn new(source: Box<dyn BufRead + Send>, path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let mut records = Records::new(source);
        match records.advance() {
            Ok(true) => {}
            Ok(false) => return Err(Error::NoHeader { path }),
            Err(source) => return Err(Error::Read { path, source }),
        }
        let Some(fields) = records.fields() else { return Err(Error::HeaderNotUtf8 { path }) };
        let columns: Vec<_> = fields.iter().map(str::to_owned).collect();
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].contains(column) {
                return Err(Error::ColumnTwice { path, column: column.clone() });
            }
        }
        Ok(Self { records, columns, path })
    }

    /// Returns the index of a column.
    pub(crate) fn index(&self, column: &str) -> Result<usize> {
        let found = self.columns.iter().position(|c| c == column);
        found.ok_or_else(|| Error::NoColumn {
            path: self.path.clone(),
            column: column.to_owned(),
            columns: self.columns.clone(),
        })
    }

    /// Returns the fields of the record that was read last, one for each column; or why there are
    /// none.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, String> {
        let fields = self.records.fields().ok_or("it isn't UTF-8")?;
        let wanted = self.columns.len();
        match fields.len() == wanted {
            true => Ok(fields),
            false => Err(format!("it has {} fields, and the header {wanted}", fields.len())),
        }
    }
}
