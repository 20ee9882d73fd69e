//! The index: which shelves have a word in their title. It is in a database, too, together with its place in the
//! stream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use msgstream::checkpoint::Checkpoint;
use msgstream::transport::Transport;
use msgstream::{Consumer, MsgPack};
use redb::{
    Database, MultimapTableDefinition, ReadableDatabase, ReadableTable as _, TableDefinition,
};

use crate::Result;
use crate::books::{Books, Change};

const WORDS: MultimapTableDefinition<&str, u64> = MultimapTableDefinition::new("words");
/// What is indexed, to find the words that go.
const TITLES: TableDefinition<u64, &str> = TableDefinition::new("titles");
const CHECKPOINT: TableDefinition<(), &[u8]> = TableDefinition::new("checkpoint");

pub(crate) struct Index(Database);

fn words(title: &str) -> impl Iterator<Item = String> {
    title.split_whitespace().map(str::to_lowercase)
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let index = Self(Database::create(path)?);
        let transaction = index.0.begin_write()?;
        transaction.open_multimap_table(WORDS)?;
        transaction.open_table(TITLES)?;
        transaction.open_table(CHECKPOINT)?;
        transaction.commit()?;
        Ok(index)
    }

    /// Follows the database up to its last transaction, and ends as in a crash after so many packs.
    pub(crate) async fn follow(
        &self,
        broker: Arc<dyn Transport>,
        channels: &[String],
        books: &Books,
        crash_after: usize,
    ) -> Result<()> {
        let packs = Consumer::builder(broker).channels(channels.iter().cloned());
        let mut packs = packs.resume(self.checkpoint()?).open().await?;
        let last = books.changes()?.last().map_or(0, |change| change.transaction);
        for _ in 0..crash_after {
            let Some(pack) = packs.next_pack().await? else { return Ok(()) };
            // The disk is waited for: other tasks of this thread go elsewhere meanwhile.
            tokio::task::block_in_place(|| self.apply(&pack))?;
            assert_eq!(self.titles()?, books.after(pack.end_ts.0)?, "after {}", pack.end_ts);
            if pack.end_ts.0 == last {
                return Ok(());
            }
        }
        Err(format!("crashed after {crash_after} transactions").into())
    }

    /// Applies a transaction of the database, and notes in the same one of its own that it did.
    fn apply(&self, pack: &MsgPack) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut index = transaction.open_multimap_table(WORDS)?;
            let mut titles = transaction.open_table(TITLES)?;
            for change in pack.decode::<Change>() {
                let Change { shelf, title, .. } = change?.value;
                let old = titles.remove(shelf)?.map(|title| title.value().to_owned());
                for word in old.iter().flat_map(|title| words(title)) {
                    index.remove(&*word, shelf)?;
                }
                for title in title.iter() {
                    titles.insert(shelf, &**title)?;
                    for word in words(title) {
                        index.insert(&*word, shelf)?;
                    }
                }
            }
            let json = serde_json::to_vec(&pack.end)?;
            transaction.open_table(CHECKPOINT)?.insert((), &*json)?;
        }
        Ok(transaction.commit()?)
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let table = self.0.begin_read()?.open_table(CHECKPOINT)?;
        let json = table.get(())?;
        Ok(json.map(|json| serde_json::from_slice(json.value())).transpose()?)
    }

    fn titles(&self) -> Result<BTreeMap<u64, String>> {
        let table = self.0.begin_read()?.open_table(TITLES)?;
        let rows = table.iter()?;
        let rows =
            rows.map(|row| row.map(|(shelf, title)| (shelf.value(), title.value().to_owned())));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the titles that have a word.
    pub(crate) fn search(&self, word: &str) -> Result<BTreeSet<String>> {
        let transaction = self.0.begin_read()?;
        let (index, titles) =
            (transaction.open_multimap_table(WORDS)?, transaction.open_table(TITLES)?);
        let mut found = BTreeSet::new();
        for shelf in index.get(word)? {
            found.extend(titles.get(shelf?.value())?.map(|title| title.value().to_owned()));
        }
        Ok(found)
    }
}
