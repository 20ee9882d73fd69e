//! `msgstream repair-ticks`, from the outside.

use msgstream::message::TimeSyncMsg;
use msgstream::produce::SessionConfig;
use msgstream::record::{Position, Record};
use msgstream::transport::{Limit, Start, TransportExt as _};
use msgstream::{Consumer, Error, MsgPack, Producer};

use crate::kit::run;
use crate::kit::world::{World, message, tick};

async fn records(world: &World, channel: &str) -> Vec<Record> {
    let mut reader = world.broker.reader(channel, Start::Earliest).await.unwrap();
    reader.read(Limit::default()).await.unwrap().records
}

fn times(pack: &MsgPack) -> Vec<u64> {
    pack.msgs.iter().map(|message| message.end_ts().0).collect()
}

#[tokio::test]
async fn a_stream_goes_on_exactly_where_a_wrong_tick_stopped_it() {
    let world = World::new("", &["a"]).await;
    let order = |ago| TimeSyncMsg::new(world.ago(ago)).with_hash_keys([0]);
    let open = async |channel: &str| {
        // It writes on behind its wrong tick.
        let builder = Producer::builder(world.broker.clone()).channels([channel]).allow_late();
        builder.session(SessionConfig::new("shop-1")).open().await
    };
    let mut producer = open("a").await.unwrap();
    for ago in [9, 7] {
        producer.send(order(ago)).await.unwrap();
    }
    producer.tick(world.ago(8)).await.unwrap();
    let consumer = Consumer::builder(world.broker.clone()).channels(["a"]);
    let bound = std::time::Duration::from_secs(60);
    let mut packs = consumer.max_tick_ahead(bound).open().await.unwrap();
    let first = packs.next_pack().await.unwrap().unwrap();
    assert_eq!(times(&first), [world.ago(9).0]);
    producer.tick(world.ahead(86_400)).await.unwrap();
    producer.send(order(6)).await.unwrap();
    producer.tick(world.ago(5)).await.unwrap();
    producer.close().await.unwrap();
    assert!(matches!(packs.next_pack().await, Err(Error::TickTooFar { .. })));

    let (_, told) = run(&["repair-ticks", &world.url, "a", "--yes"], 0);
    for part in ["of `a` is wrong", "- to `a`, its end", "the new channel `a.repaired`", "copied"] {
        assert!(told.contains(part), "{told}");
    }

    // The consumer reads the new channel from its checkpoint, and misses and repeats nothing.
    let consumer = Consumer::builder(world.broker.clone()).channels(["a.repaired"]);
    let mut packs = consumer.resume(first.end).max_tick_ahead(bound).open().await.unwrap();
    let second = packs.next_pack().await.unwrap().unwrap();
    assert_eq!(times(&second), [world.ago(7).0, world.ago(6).0]);
    assert_eq!(second.end_ts, world.ago(5));
    assert!(second.msgs.iter().all(|message| !message.is_late()));

    // The producer goes on there with its numbers, and not in the old channel.
    assert!(matches!(open("a").await, Err(Error::Ended { .. })));
    let mut producer = open("a.repaired").await.unwrap();
    assert_eq!(producer.opened().last["a.repaired"], 3);
    producer.send(order(3)).await.unwrap();
    producer.tick(world.ago(2)).await.unwrap();
    assert_eq!(times(&packs.next_pack().await.unwrap().unwrap()), [world.ago(3).0]);
    world.finds(&["a.repaired"], &[], 0);
}

#[tokio::test]
async fn records_are_copied_as_they_are() {
    let world = World::new("", &["a"]).await;
    let log =
        vec![message(world.ago(9)), tick(world.ago(8)), message(world.ago(8)), tick(world.ago(7))];
    let many = (0..3_000).map(|_| message(world.ago(3)));
    let mut writer = world.broker.writer("a").await.unwrap();
    writer.submit(log.into_iter().chain(many).collect()).await;
    // Only an operator can know that this one is wrong.
    let args = ["repair-ticks", &world.url, "a", "--tick", "1", "--into", "b", "--yes"];
    let (_, told) = run(&args, 0);
    assert!(told.contains("the other 3003 records of `a`"), "{told}");
    let (mut old, new) = (records(&world, "a").await, records(&world, "b").await);
    old.remove(1);
    let same = |old: &Record, new: &Record| {
        (&old.meta, &old.extra, &old.payload) == (&new.meta, &new.extra, &new.payload)
    };
    assert!(old.iter().zip(&new).all(|(old, new)| same(old, new)));
    assert!(!new.is_empty());
    world.finds(&["b"], &[], 0);
    // Its late message is of no interest any more.
    world.finds(&["a"], &[], 0);
    assert_eq!(world.broker.describe("b").await.unwrap().end, Position::new(3_003));
}

#[tokio::test]
async fn nothing_is_written_without_consent_or_reason() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(9))]).await;
    let (_, told) = run(&["repair-ticks", &world.url, "a"], 0);
    assert!(told.contains("nothing to do"), "{told}");
    let (_, told) = run(&["repair-ticks", &world.url, "a", "--tick", "7", "--yes"], 1);
    assert!(told.contains("no tick at 7"), "{told}");

    world.write("a", vec![tick(world.ahead(86_400))]).await;
    // Its stdin is no terminal.
    let (_, told) = run(&["repair-ticks", &world.url, "a"], 2);
    assert!(told.contains("this will be written") && told.contains("add --yes"), "{told}");
    assert_eq!(world.broker.list("").await.unwrap(), ["a"]);
    assert_eq!(world.broker.describe("a").await.unwrap().end, Position::new(2));

    let (_, told) = run(&["repair-ticks", &world.url, "a", "--into", "a", "--yes"], 2);
    assert!(told.contains("another channel"), "{told}");
}

#[tokio::test]
async fn a_repair_that_was_interrupted_is_repeated() {
    let world = World::new("", &["a"]).await;
    world
        .write("a", vec![message(world.ago(9)), tick(world.ahead(86_400)), tick(world.ago(8))])
        .await;
    run(&["repair-ticks", &world.url, "a", "--yes"], 0);
    world.broker.delete("a.repaired").await.unwrap();
    // The channel has ended; what comes after that is void.
    world.write("a", vec![message(world.ago(1))]).await;
    let (_, told) = run(&["repair-ticks", &world.url, "a", "--yes"], 0);
    assert!(told.contains("a producer still writes to `a`"), "{told}");
    assert!(!told.contains("- to `a`, its end"), "{told}");
    assert_eq!(records(&world, "a.repaired").await.len(), 2);
}

#[tokio::test]
async fn what_was_repaired_is_healthy() {
    let world = World::new("", &["a"]).await;
    let log = vec![tick(world.ago(9)), tick(world.ahead(86_400)), message(world.ago(8))];
    world.write("a", log).await;
    world.finds(&[], &[("tick-ahead", "a")], 1);
    let args = ["repair-ticks", &world.url, "a", "--into", "b", "--yes", "--json"];
    let (done, _) = run(&args, 0);
    let (again, _) = run(&args, 0);
    let [done, again] = [done, again].map(|line| line.parse::<serde_json::Value>().unwrap());
    assert_eq!((&done["result"], &done["new_channel"]), (&"repaired".into(), &"b".into()));
    assert_eq!((&done["records"], &again["result"]), (&2.into(), &"already_repaired".into()));
    world.write("b", vec![tick(world.ago(0))]).await;
    world.finds(&[], &[], 0);
    world.finds(&["a"], &[], 0);
    let (found, _) = run(&["doctor", &world.url], 0);
    assert!(found.contains("ended, repaired in `b`"), "{found}");
    let end = world.broker.describe("a").await.unwrap().end;
    for args in [&["--yes"][..], &["--into", "b", "--yes"]] {
        let (_, told) = run(&[&["repair-ticks", &world.url, "a"], args].concat(), 0);
        assert!(told.contains("`a` was repaired already") && told.contains("`b`"), "{told}");
    }
    assert_eq!(world.broker.describe("a").await.unwrap().end, end);
    assert_eq!(world.broker.list("").await.unwrap(), ["a", "b"]);

    // Without the copy it wasn't.
    world.broker.delete("b").await.unwrap();
    world.finds(&["a"], &[("tick-ahead", "a")], 1);
    run(&["repair-ticks", &world.url, "a", "--yes"], 0);
    world.finds(&["a"], &[], 0);
}

#[tokio::test]
async fn a_consumer_of_what_was_repaired_is_told_where_to_go_on() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(9))]).await;
    world.commit_one(&["a"]).await;
    world.write("a", vec![tick(world.ahead(86_400))]).await;
    run(&["repair-ticks", &world.url, "a", "--yes"], 0);
    let args = ["--checkpoint", &world.checkpoint()];
    let findings = world.finds(&args, &[("tick-ahead", "a")], 1);
    assert!(findings[0]["do"].as_str().unwrap().contains("name `a.repaired`"), "{findings:?}");
}

#[tokio::test]
async fn a_part_of_a_copy_is_no_repair() {
    let world = World::new("", &["a", "a.repaired"]).await;
    world.write("a", vec![tick(world.ago(9)), tick(world.ahead(86_400))]).await;
    let (_, told) = run(&["repair-ticks", &world.url, "a", "--yes"], 1);
    assert!(told.contains("channel `a.repaired` exists already"), "{told}");
    assert!(told.contains("destroy it") && told.contains("--into"), "{told}");
    world.finds(&["a"], &[("tick-ahead", "a")], 1);
}

#[tokio::test]
async fn nothing_is_written_if_the_new_channel_cant_be_made() {
    let world = World::new("", &["a"]).await;
    world.write("a", vec![tick(world.ago(9)), tick(world.ahead(86_400))]).await;
    let long = "b".repeat(256);
    let (_, told) = run(&["repair-ticks", &world.url, "a", "--into", &long, "--yes"], 1);
    assert!(told.contains("256 bytes"), "{told}");
    assert_eq!(world.broker.describe("a").await.unwrap().end, Position::new(2));
    run(&["repair-ticks", &world.url, "a", "--yes"], 0);
}

#[tokio::test]
async fn a_home_channel_is_refused() {
    let world = World::new("", &["a"]).await;
    let session = SessionConfig::new("shop-1").with_home("a");
    let builder = Producer::builder(world.broker.clone()).channels(["a"]).session(session);
    let mut producer = builder.open().await.unwrap();
    producer.tick(world.ahead(86_400)).await.unwrap();
    let (_, told) = run(&["repair-ticks", &world.url, "a", "--yes"], 1);
    assert!(told.contains("is the home channel of producer `shop-1`"), "{told}");
}
