//! The page "A stream has stopped" shows what the programs print. `UPDATE_DOCS=1` writes it anew.
//!
//! Each of its `console` blocks is a command with its output. Before each of them something happens to
//! the stream, and the command that the page names is run. The `text` block is the screen of `top`.

use std::fs;

use msgstream::Producer;
use msgstream::message::TimeSyncMsg;

use crate::kit::terminal::screen_of;
use crate::kit::world::{World, message, tick};
use crate::kit::{msgstream, texts};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stream-has-stopped.md");
const FOLDER: &str = "/var/lib/shop";
const BLOCK: &str = "```console\n$ msgstream ";
const SCREEN: &str = "```text\n";
const FENCE: &str = "```\n";

/// A shop with two channels and a consumer. The second channel's producer stopped 15 minutes ago.
async fn shop() -> World {
    let world = World::new("", &[]).await;
    let channels = ["orders-0", "orders-1"];
    let builder = Producer::builder(world.broker.clone()).channels(channels).create_missing();
    let mut producer = builder.open().await.unwrap();
    for (ago, channel) in [(905, 0), (904, 1), (903, 0), (902, 1)] {
        let order = TimeSyncMsg::new(world.ago(ago)).with_hash_keys([channel]);
        producer.send(order).await.unwrap();
    }
    producer.tick(world.ago(900)).await.unwrap();
    producer.close().await.unwrap();
    world.commit_one(&channels).await;
    world.write("orders-0", vec![tick(world.ago(0))]).await;
    world
}

/// What happens before each command of the page.
async fn happens(world: &World, step: usize) {
    match step {
        // Its producer starts again, at first with a wrong clock.
        1 => {
            let wrong = tick(world.ahead(86_400));
            let log = vec![wrong, message(world.ago(5)), tick(world.ago(0))];
            world.write("orders-1", log).await;
        }
        // The producers write to the new channel.
        3 => {
            for channel in ["orders-0", "orders-1.repaired"] {
                world.write(channel, vec![tick(world.ago(0).next())]).await;
            }
        }
        // The consumer reads the new channel.
        4 => {
            for _pack in 0..2 {
                world.commit_one(&["orders-0", "orders-1.repaired"]).await;
            }
        }
        _ => {}
    }
}

/// Runs a command of the page.
fn output(world: &World, command: &str) -> String {
    let folder = world.folder.path().display().to_string();
    let args: Vec<_> = command.split(' ').map(|arg| arg.replace(FOLDER, &folder)).collect();
    let output = msgstream(args.iter().map(String::as_str)).output().unwrap();
    let (out, err) = texts(&output);
    (out + &err).replace(&folder, FOLDER)
}

/// Returns the screen of `top` once it has read both channels.
fn screen(world: &World) -> String {
    let folder = world.folder.path().display().to_string();
    let top = ["top", &format!("file://{folder}/log"), "orders-0", "orders-1"];
    let text = screen_of(msgstream(top), 9, |text| {
        let wanted = ["frontier", "blocking", "ahead", "quit"];
        wanted.iter().all(|word| text.contains(word)) && !text.contains("no tick")
    });
    let lines = text.lines().map(|line| line.trim_end().replace(&folder, FOLDER) + "\n");
    lines.collect()
}

/// Replaces what differs from run to run: times, durations, and the numbers of the screen.
fn normalised(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (page, screen) = text.split_once(SCREEN).unwrap();
    let (screen, rest) = screen.split_once(FENCE).unwrap();
    // Numbers and their units are others each time.
    let letters = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 2;
    let screen: Vec<_> = screen.split_whitespace().filter(letters).collect();
    let screen = screen.join(" ");
    let text = [page, &screen, rest].concat();
    for word in text.split([' ', '\n']) {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let general = if humantime::parse_rfc3339(bare).is_ok() {
            word.replace(bare, "TIME")
        } else if humantime::parse_duration(bare).is_ok_and(|_| bare != "0") {
            word.replace(bare, "SPAN")
        } else {
            word.to_owned()
        };
        // A duration may have more than one word.
        match (words.last_mut(), general.strip_prefix("SPAN")) {
            (Some(last), Some(rest)) if last.ends_with("SPAN") => *last += rest,
            _ => words.push(general),
        }
    }
    words
}

#[tokio::test]
async fn the_page_shows_what_the_programs_print() {
    let page = fs::read_to_string(PAGE).unwrap();
    let world = shop().await;
    let mut parts = page.split(BLOCK);
    let mut new = parts.next().unwrap().to_owned();
    for (step, part) in parts.enumerate() {
        happens(&world, step).await;
        let (command, rest) = part.split_once('\n').unwrap();
        let (_, after) = rest.split_once(FENCE).unwrap();
        let output = output(&world, command);
        new += &format!("{BLOCK}{command}\n{output}{FENCE}");
        match after.split_once(SCREEN) {
            Some((before, rest)) => {
                let (_, after) = rest.split_once(FENCE).unwrap();
                new += &[before, SCREEN, &screen(&world), FENCE, after].concat();
            }
            None => new += after,
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, &new).unwrap();
    }
    let (page, new) = (normalised(&fs::read_to_string(PAGE).unwrap()), normalised(&new));
    let same = page.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let what = "run this test with UPDATE_DOCS=1, and look at the page; it differs from here on";
    assert!(page == new, "{what}:\n{}\n{}", page[same..].join(" "), new[same..].join(" "));
}
