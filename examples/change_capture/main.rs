//! Change capture: a search index that follows a database, transaction by transaction.
//!
//! `cargo run --example change_capture [URL]`
//!
//! The database writes what it changes to a log of its own. One program copies that log into channels, another
//! one reads them and keeps an index. Both crash again and again here, and after every pack the index is what
//! the database was after that transaction: never half of one, never one twice.

mod books;
mod capture;
mod index;

use std::time::{SystemTime, UNIX_EPOCH};

use books::{Books, Change};
use capture::capture;
use index::Index;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TITLES: [&str; 8] = [
    "The Left Hand of Darkness",
    "A Wizard of Earthsea",
    "The Dispossessed",
    "The Word for World Is Forest",
    "The Lathe of Heaven",
    "The Tombs of Atuan",
    "The Farthest Shore",
    "Always Coming Home",
];
const TRANSACTIONS: u64 = 60;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url = std::env::args().nth(1);
    let url = url.unwrap_or(format!("file://{}", folder.path().join("log").display()));
    // With a broker, channels of an earlier run may be there.
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let channels = [0, 1].map(|n| format!("books-{run}-{n}"));

    let books = Books::create(&folder.path().join("books.redb"))?;
    for n in 1..=TRANSACTIONS {
        books.write(&transaction(n))?;
    }

    // It crashes later each time, until it gets through.
    for crash_after in (7..).step_by(13) {
        let broker = msgstream::connect(&url).await?;
        match capture(broker, &channels, &books, crash_after).await {
            Ok(()) => break,
            Err(error) => println!("capture: {error}"),
        }
    }

    let path = folder.path().join("index.redb");
    for crash_after in (5..).step_by(20) {
        let index = Index::open(&path)?;
        let broker = msgstream::connect(&url).await?;
        match index.follow(broker, &channels, &books, crash_after).await {
            Ok(()) => break,
            Err(error) => println!("index: {error}"),
        }
    }

    for word in ["the", "of", "home"] {
        println!("{word}: {:?}", Index::open(&path)?.search(word)?);
    }
    Ok(())
}

/// What a transaction changes: it moves a title from one shelf to another, and clears a third.
fn transaction(n: u64) -> Vec<Change> {
    let title = |n: u64| Some(TITLES[n as usize % TITLES.len()].to_owned());
    let (from, to, cleared) = (n % 10, (n * 7 + 3) % 10, (n * 3 + 1) % 10);
    let changes = [(from, title(n * 5)), (to, title(n)), (cleared, None)];
    changes.map(|(shelf, title)| Change { transaction: n, shelf, title }).into()
}
