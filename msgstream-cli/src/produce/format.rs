//! The formats of rows: CSV, JSON lines, and plain lines.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::path::Path;

use indicatif::ProgressBar;
use msgstream::Timestamp;
use serde_json::value::RawValue;

use super::args::Format;
use crate::error::{Error, Result};
use crate::input::{Table, open, stdin};
use crate::row::Row;
use crate::time::TimeFormat;

/// The columns that decide a row's time and its channel.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) time: Option<String>,
    pub(super) time_format: TimeFormat,
    pub(super) key: Option<String>,
}

/// A row, with what its columns say.
pub(super) struct Parsed {
    pub(super) ts: Option<Timestamp>,
    pub(super) key: Option<String>,
    pub(super) row: Row,
}

/// What a row has in the columns for time and key, as text.
type Texts<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

/// A file that is open.
pub(super) enum Source {
    Csv { table: Box<Table>, time: Option<usize>, key: Option<usize> },
    Ndjson(Lines),
    Lines(Lines),
}

impl Source {
    /// Opens a file, or stdin if the path is `-`. What a CSV file must have is checked.
    pub(super) fn open(
        path: &Path,
        format: Option<Format>,
        columns: &Columns,
        progress: &ProgressBar,
    ) -> Result<Self> {
        let (reader, path) = match path == Path::new("-") {
            true => (stdin(progress)?, Path::new("stdin")),
            false => (open(path, progress)?, path),
        };
        let lines = Lines { reader, line: 0, text: Vec::new() };
        match format.unwrap_or_else(|| by_name(path)) {
            Format::Csv => {
                let table = Box::new(Table::new(lines.reader, path)?);
                let index = |column: &Option<String>| {
                    column.as_deref().map(|column| table.index(column)).transpose()
                };
                let (time, key) = (index(&columns.time)?, index(&columns.key)?);
                Ok(Self::Csv { table, time, key })
            }
            Format::Ndjson => Ok(Self::Ndjson(lines)),
            Format::Lines => {
                let unknown = |column: &&String| *column != "line";
                match columns.time.iter().chain(&columns.key).find(unknown) {
                    None => Ok(Self::Lines(lines)),
                    Some(column) => Err(Error::NoColumn {
                        path: path.to_owned(),
                        column: column.clone(),
                        columns: vec!["line".to_owned()],
                    }),
                }
            }
        }
    }

    /// Goes to the next row. Returns whether there is one.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        match self {
            Self::Csv { table, .. } => table.records.advance(),
            Self::Lines(lines) => lines.advance(),
            Self::Ndjson(lines) => loop {
                if !lines.advance()? {
                    return Ok(false);
                }
                if !lines.text.trim_ascii().is_empty() {
                    return Ok(true);
                }
            },
        }
    }

    /// Returns the line that the row begins on, from 1.
    pub(super) const fn line(&self) -> u64 {
        match self {
            Self::Csv { table, .. } => table.records.line(),
            Self::Ndjson(lines) | Self::Lines(lines) => lines.line,
        }
    }

    /// Returns the row, or why it can't be used.
    pub(super) fn parse(&self, columns: &Columns) -> Result<Parsed, String> {
        let (row, (time, key)) = match self {
            Self::Csv { table, time, key } => {
                let fields = table.fields()?;
                let row = Row::new(&table.columns, fields).map_err(|e| e.to_string())?;
                let text = |index: &Option<usize>| Some(Cow::Borrowed(fields.get((*index)?)?));
                (row, (text(time), text(key)))
            }
            Self::Ndjson(lines) => json(lines.utf8()?, columns)?,
            Self::Lines(lines) => {
                let line = lines.utf8()?;
                let row = Row::of(&HashMap::from([("line", line)])).map_err(|e| e.to_string())?;
                // The only column.
                let text = |column: &Option<String>| column.as_ref().map(|_| Cow::Borrowed(line));
                (row, (text(&columns.time), text(&columns.key)))
            }
        };
        let ts = time.map(|time| columns.time_format.parse(&time)).transpose()?;
        Ok(Parsed { ts, key: key.map(Cow::into_owned), row })
    }
}

/// Reads a JSON value, and what it has in the columns.
fn json<'a>(line: &'a str, columns: &Columns) -> Result<(Row, Texts<'a>), String> {
    let no_json = |error: serde_json::Error| format!("it is not JSON: {error}");
    let row: Box<RawValue> = serde_json::from_str(line).map_err(no_json)?;
    if columns.time.is_none() && columns.key.is_none() {
        return Ok((Row(row), (None, None)));
    }
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(line)
        .map_err(|_| "it is no JSON object, so it has no columns".to_owned())?;
    let text = |column: &Option<String>| {
        let Some(column) = column else { return Ok(None) };
        let value = members.get(&**column);
        let value = value.ok_or_else(|| format!("it has no member `{column}`"))?.get();
        // Numbers are taken as they are written.
        Ok::<_, String>(Some(serde_json::from_str(value).map_or(value.into(), Cow::Owned)))
    };
    Ok((Row(row), (text(&columns.time)?, text(&columns.key)?)))
}

fn by_name(path: &Path) -> Format {
    let plain = match path.extension() {
        Some(packed) if packed == "gz" => path.with_extension(""),
        _ => path.to_owned(),
    };
    match plain.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Format::Csv,
        Some("ndjson" | "jsonl") => Format::Ndjson,
        _ => Format::Lines,
    }
}

/// The lines of a file.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    line: u64,
    /// The line that was read last, without its end.
    text: Vec<u8>,
}

impl Lines {
    fn advance(&mut self) -> io::Result<bool> {
        self.text.clear();
        if self.reader.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(false);
        }
        self.text.pop_if(|end| *end == b'\n');
        self.text.pop_if(|end| *end == b'\r');
        self.line += 1;
        Ok(true)
    }

    fn utf8(&self) -> Result<&str, String> {
        str::from_utf8(&self.text).map_err(|_| "it isn't UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_format() {
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("a.csv.gz", Format::Csv),
            ("a.jsonl", Format::Ndjson),
            ("b.ndjson.gz", Format::Ndjson),
            ("a.log", Format::Lines),
            ("csv", Format::Lines),
            ("stdin", Format::Lines),
        ] {
            assert_eq!(by_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn members_of_an_object_are_columns_whatever_their_type() {
        let columns = Columns {
            time: Some("at".to_owned()),
            time_format: TimeFormat::Unix,
            key: Some("k\"".to_owned()),
        };
        let (row, (time, key)) = json(r#"{"k\"": "\u00e9", "at": 17 }"#, &columns).unwrap();
        assert_eq!(row.0.get(), r#"{"k\"": "\u00e9", "at": 17 }"#);
        assert_eq!((time.as_deref(), key.as_deref()), (Some("17"), Some("é")));
        for wrong in ["[1]", "{\"at\":1}", "{", ""] {
            assert!(json(wrong, &columns).is_err(), "{wrong}");
        }
    }
}
