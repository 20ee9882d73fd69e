//! Consumers that keep their place in a store, together with a state.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream_core::checkpoint::{CheckpointStore as _, MemoryStore};
use msgstream_core::consume::{ConsumerBuilder, Saved};
use msgstream_core::transport::Transport;
use msgstream_core::{Consumer, Error, Timestamp};

use crate::{apples, mem, producer, ripen};

type Counting = (Consumer<Saved<u64>>, u64);

fn builder(broker: &Arc<dyn Transport>) -> ConsumerBuilder {
    Consumer::builder(broker.clone()).channels(["a"]).subscription("count")
}

async fn open(broker: &Arc<dyn Transport>, store: &Arc<MemoryStore>) -> Counting {
    builder(broker).store(store.clone()).open_with(|| 0).await.unwrap()
}

#[tokio::test]
async fn each_message_counts_once_wherever_a_run_ends() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    ripen(&mut producer, 1, 1..=10).await;
    producer.end(Timestamp(11)).await.unwrap();
    for crash_in in 0..11 {
        let store = Arc::new(MemoryStore::default());
        broker.unsubscribe("a", "count").await.unwrap();
        let (mut packs, mut count) = open(&broker, &store).await;
        for pack in 0..=crash_in {
            let next = packs.next_pack().await.unwrap().unwrap();
            count += apples(&next).len() as u64;
            if pack < crash_in {
                packs.commit(&next, &count).await.unwrap();
            }
        }
        let (mut packs, mut count) = open(&broker, &store).await;
        assert_eq!(count, crash_in);
        while let Some(pack) = packs.next_pack().await.unwrap() {
            count += apples(&pack).len() as u64;
            packs.commit(&pack, &count).await.unwrap();
        }
        assert_eq!((count, packs.commit_counts().commits), (10, 11 - crash_in));
        let cursor = broker.subscription("a", "count").await.unwrap().acked().await.unwrap();
        let saved = store.load().await.unwrap().unwrap().checkpoint.unwrap();
        assert_eq!(cursor, Some(saved.channels["a"].resume));
    }
}

#[tokio::test]
async fn of_two_consumers_the_newer_one_commits() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    ripen(&mut producer, 1, 1..=2).await;
    let store = Arc::new(MemoryStore::default());
    let (mut old, _) = open(&broker, &store).await;
    let (mut new, _) = open(&broker, &store).await;
    let pack = old.next_pack().await.unwrap().unwrap();
    assert!(matches!(old.commit(&pack, &1).await, Err(Error::TakenOver { .. })));
    let pack = new.next_pack().await.unwrap().unwrap();
    new.commit(&pack, &1).await.unwrap();
}

#[tokio::test]
async fn a_state_of_another_type_is_refused_with_its_cause() {
    let broker = mem();
    let mut producer = producer(&broker, &["a"]).await;
    ripen(&mut producer, 1, 1..=1).await;
    let store = Arc::new(MemoryStore::default());
    let (mut packs, _) = open(&broker, &store).await;
    let pack = packs.next_pack().await.unwrap().unwrap();
    packs.commit(&pack, &1).await.unwrap();
    let other = builder(&broker).store(store.clone());
    let refused = other.open_with(BTreeMap::<String, u64>::new).await.unwrap_err();
    assert!(matches!(refused, Error::State { operation: "read", .. }), "{refused}");
    assert!(std::error::Error::source(&refused).is_some());

    let odd = builder(&broker).store(Arc::new(MemoryStore::default()));
    let (mut packs, _) = odd.open_with(BTreeMap::<Vec<u8>, u64>::new).await.unwrap();
    let pack = packs.next_pack().await.unwrap().unwrap();
    let refused = packs.commit(&pack, &BTreeMap::from([(vec![1], 2)])).await.unwrap_err();
    assert!(matches!(refused, Error::State { operation: "written", .. }), "{refused}");
}
