//! The database: books by shelf, and a log of what changed.

use std::collections::BTreeMap;
use std::path::Path;

use msgstream::message::{Event, Json};
use msgstream::{MsgType, Timestamp};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::Result;

const BOOKS: TableDefinition<u64, &str> = TableDefinition::new("books");
/// By number: a change as JSON. Changes of one transaction follow each other.
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");

/// Another title on a shelf, or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) transaction: u64,
    pub(crate) shelf: u64,
    pub(crate) title: Option<String>,
}

/// Transactions come one after the other, so their numbers are times: a tick after each of them makes one
/// pack of it.
impl Event for Change {
    const TYPE: MsgType = MsgType(70_002);
    type Codec = Json;
    fn timestamp(&self) -> Timestamp {
        Timestamp(self.transaction)
    }
    fn hash_key(&self) -> u32 {
        self.shelf as u32
    }
}

pub(crate) struct Books(Database);

impl Books {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self(Database::create(path)?))
    }

    /// Changes books, and notes in the same transaction what it changed.
    pub(crate) fn write(&self, changes: &[Change]) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut books = transaction.open_table(BOOKS)?;
            let mut log = transaction.open_table(LOG)?;
            for change in changes {
                match &change.title {
                    Some(title) => drop(books.insert(change.shelf, &**title)?),
                    None => drop(books.remove(change.shelf)?),
                }
                let next = log.last()?.map_or(0, |(number, _)| number.value() + 1);
                log.insert(next, &*serde_json::to_vec(change)?)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Returns the log.
    pub(crate) fn changes(&self) -> Result<Vec<Change>> {
        let log = self.0.begin_read()?.open_table(LOG)?;
        let rows = log.iter()?;
        rows.map(|row| Ok(serde_json::from_slice(row?.1.value())?)).collect()
    }

    /// Returns the books as they were after a transaction.
    pub(crate) fn after(&self, transaction: u64) -> Result<BTreeMap<u64, String>> {
        let mut books = BTreeMap::new();
        for change in self.changes()?.into_iter().filter(|c| c.transaction <= transaction) {
            match change.title {
                Some(title) => drop(books.insert(change.shelf, title)),
                None => drop(books.remove(&change.shelf)),
            }
        }
        Ok(books)
    }
}
