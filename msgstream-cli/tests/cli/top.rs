//! `msgstream top`, in a terminal.

use std::path::Path;

use msgstream::produce::SessionConfig;
use msgstream::{Producer, Timestamp};
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};

use crate::kit::terminal::{resize, screen_of};
use crate::kit::world::{World, tick};
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

#[tokio::test]
async fn home_channels_are_left_out_and_a_silence_is_told_by_the_clock() {
    let world = World::new("", &[]).await;
    let builder = Producer::builder(world.broker.clone()).channels(["h0", "h1"]).create_missing();
    let mut producer = builder.session(SessionConfig::new("hs")).open().await.unwrap();
    producer.tick(world.ago(900)).await.unwrap();
    world.write("h0", vec![tick(world.ago(0))]).await;
    let text = screen_of(msgstream(["top", &world.url]), 24, |text| {
        text.contains("the next pack waits for h1 (last tick 15.")
    });
    assert!(text.contains("2 channels") && !text.contains("hs.home"), "{text}");
    assert!(text.contains("15.0 m behind the clock"), "{text}");
    // Unless it is named.
    let named = msgstream(["top", &world.url, "h0", "hs.home"]);
    screen_of(named, 24, |text| text.contains("waits for hs.home (no tick so far)"));
}

#[test]
fn a_log_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let typo = folder.path().join("typo");
    let mut top = spawn_command(msgstream(["top", &url(&typo)]), Some(PATIENCE_MS)).unwrap();
    top.exp_string("there is no log").unwrap();
    top.exp_eof().unwrap();
    assert!(matches!(top.process().wait().unwrap(), WaitStatus::Exited(_, 3)));
    assert!(!typo.exists());
}

#[test]
fn without_a_terminal_it_points_to_what_does() {
    let (_, told) = run(&["top", "mem://"], 2);
    assert!(told.contains("msgstream doctor"), "{told}");
}
