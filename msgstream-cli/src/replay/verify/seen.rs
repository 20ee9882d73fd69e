//! What was consumed, as hashes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use msgstream::Timestamp;
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, Visitor};

use crate::error::{Error, Result};
use crate::replay::line::Line;

/// The interval of a pack.
pub(crate) type Interval = (Option<Timestamp>, Timestamp);

/// What a run handed out, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Intervals; neighbours differ.
    pub(super) intervals: Vec<Interval>,
    pub(super) rows: Vec<SeenRow>,
    pub(super) channels: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// A row that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenRow {
    /// A hash of all columns, names and values.
    pub(super) hash: u64,
    pub(super) ts: Timestamp,
    pub(super) late: bool,
    /// Indexes into the lists of intervals and channels.
    pub(super) interval: u32,
    pub(super) channel: u32,
}

impl Seen {
    /// Takes note of a pack, which may be empty.
    pub(crate) fn interval(&mut self, begin: Option<Timestamp>, end: Timestamp) {
        if self.intervals.last() != Some(&(begin, end)) {
            self.intervals.push((begin, end));
        }
    }

    /// Takes note of a row.
    pub(crate) fn line(&mut self, line: &Line<'_>) -> serde_json::Result<()> {
        self.interval(line.begin.map(|begin| begin.0), line.end.0);
        let hash = hash_json(line.row.get())?;
        let channel = self.channel(line.channel);
        let interval = (self.intervals.len() - 1) as u32;
        self.rows.push(SeenRow { hash, ts: line.ts.0, late: line.late, interval, channel });
        Ok(())
    }

    fn channel(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.channels.len() as u32;
        let name: Arc<str> = name.into();
        self.channels.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// Reads what a run wrote.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let error = |source| Error::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path)
            .map_err(|e| Error::Open { path: path.to_owned(), source: e })?;
        Self::read_lines(std::io::BufReader::new(file)).map_err(error)
    }

    pub(super) fn read_lines(mut from: impl BufRead) -> std::io::Result<Self> {
        let mut seen = Self::default();
        let mut text = Vec::new();
        while from.read_until(b'\n', &mut text)? > 0 {
            seen.line(&serde_json::from_slice(&text)?)?;
            text.clear();
        }
        Ok(seen)
    }
}

/// The hash of a row, from the names of its columns and their values.
pub(super) fn hash_row<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    columns.for_each(|column| column.hash(&mut hasher));
    hasher.finish()
}

/// The same hash, from a JSON object.
fn hash_json(row: &str) -> serde_json::Result<u64> {
    let mut hasher = DefaultHasher::new();
    serde_json::Deserializer::from_str(row).deserialize_map(HashColumns(&mut hasher))?;
    Ok(hasher.finish())
}

struct HashColumns<'a>(&'a mut DefaultHasher);

impl<'de> Visitor<'de> for HashColumns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut columns: A) -> Result<(), A::Error> {
        while columns.next_key_seed(HashText(self.0))?.is_some() {
            columns.next_value_seed(HashText(self.0))?;
        }
        Ok(())
    }
}

struct HashText<'a>(&'a mut DefaultHasher);

impl<'de> DeserializeSeed<'de> for HashText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for HashText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        text.hash(self.0);
        Ok(())
    }
}
