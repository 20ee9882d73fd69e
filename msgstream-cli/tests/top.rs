//! `msgstream top`, in a terminal.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod kit;

use std::path::Path;

use msgstream::{Producer, Timestamp};
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::kit::terminal::resize;
use crate::kit::{msgstream, run, url};

/// How long something may take that should be there at once.
const PATIENCE_MS: u64 = 60_000;

/// Makes two channels, of which one is behind the other.
async fn channels(folder: &Path) -> String {
    let url = url(folder);
    let broker = msgstream::connect(&url).await.unwrap();
    for (channel, tick) in [("orders-0", 9_000), ("orders-1", 4_000)] {
        let producer = Producer::builder(broker.clone()).channels([channel]).create_missing();
        let mut producer = producer.open().await.unwrap();
        producer.tick(Timestamp::from_unix_millis(tick).unwrap()).await.unwrap();
    }
    broker.close().await.unwrap();
    url
}

fn top(url: &str) -> PtySession {
    let top = spawn_command(msgstream(["top", url]), Some(PATIENCE_MS)).unwrap();
    resize(top.process(), 60, 20);
    top
}

/// Waits until the terminal is given back and the program ended well.
fn assert_ends_well(mut top: PtySession) {
    top.exp_string("\u{1b}[?1049l").unwrap();
    top.exp_eof().unwrap();
    let ended = top.process().wait().unwrap();
    assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
}

#[tokio::test]
async fn it_shows_what_blocks_fits_the_terminal_and_quits() {
    let folder = tempfile::tempdir().unwrap();
    let mut top = top(&channels(folder.path()).await);
    // The last one comes when the channel is read.
    for text in ["msgstream", "waits", "CHANNEL", "orders-", "ahead"] {
        top.exp_string(text).unwrap();
    }
    // There is room for one more column.
    resize(top.process(), 80, 24);
    for text in ["waits", "MINUTE", "orders-", "ahead", "quit"] {
        top.exp_string(text).unwrap();
    }
    top.send("?").unwrap();
    top.flush().unwrap();
    top.exp_string("scroll").unwrap();
    top.send("q").unwrap();
    top.flush().unwrap();
    assert_ends_well(top);
}

#[tokio::test]
async fn ctrl_c_gives_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut top = top(&channels(folder.path()).await);
    top.exp_string("orders-1").unwrap();
    top.send_control('c').unwrap();
    assert_ends_well(top);
}

#[test]
fn without_a_terminal_it_points_to_what_does() {
    let (_, told) = run(&["top", "mem://"], 2);
    assert!(told.contains("msgstream doctor"), "{told}");
}
