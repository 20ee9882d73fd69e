//! Two consumers, failing stores, crashes: what a committer makes of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::pin::pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::{insert, mem};
use msgstream_core::checkpoint::{
    CheckpointStore, FileStore, Generation, MemoryStore, StoreError, Stored,
};
use msgstream_core::consume::{CommitCounts, Committer};
use msgstream_core::message::{TimeTickMsg, TsMsg};
use msgstream_core::record::Position;
use msgstream_core::transport::{Start, Transport};
use msgstream_core::{
    Checkpoint, ConsumerConfig, Error, MsgPack, TickSource, Timestamp, TtMsgStream,
};
use tokio::sync::Barrier;

const CHANNELS: [&str; 2] = ["a", "b"];
const PACKS: u64 = 4;

/// What a store does to the next save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It fails, and isn't stored.
    Fails,
    /// It fails, and is stored.
    FailsStored,
    /// It has no answer, and isn't stored.
    Hangs,
    /// It has no answer, and is stored.
    HangsStored,
    /// It has no answer, and comes to the store just before the next one.
    IsLate,
}

/// Refuses every save, as if somebody else had saved: found is what was expected, or another one.
#[derive(Debug)]
struct Refusing {
    inner: MemoryStore,
    own: bool,
    saves: Mutex<usize>,
}

#[async_trait]
impl CheckpointStore for Refusing {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        self.inner.load().await
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        *self.saves.lock().unwrap() += 1;
        if self.own && expected.is_none() {
            return self.inner.save(expected, new).await;
        }
        let found = if self.own { expected } else { Some(Generation::claim(expected)) };
        Err(StoreError::Conflict { expected, found })
    }
}

fn refusing(own: bool) -> Arc<Refusing> {
    Arc::new(Refusing { inner: MemoryStore::default(), own, saves: Mutex::default() })
}

const TROUBLES: [Trouble; 5] =
    [Trouble::Fails, Trouble::FailsStored, Trouble::Hangs, Trouble::HangsStored, Trouble::IsLate];

#[derive(Debug, Default)]
struct Troubled {
    inner: MemoryStore,
    next: Mutex<Option<Trouble>>,
    late: Mutex<Option<(Option<Generation>, Stored)>>,
    /// The next loads wait here, each at one.
    meet: Mutex<Vec<Arc<Barrier>>>,
}

impl Troubled {
    fn with(trouble: Trouble) -> Arc<Self> {
        Arc::new(Self { next: Mutex::new(Some(trouble)), ..Self::default() })
    }

    fn make(&self, trouble: Trouble) {
        *self.next.lock().unwrap() = Some(trouble);
    }
}

#[async_trait]
impl CheckpointStore for Troubled {
    async fn load(&self) -> Result<Option<Stored>, StoreError> {
        let found = self.inner.load().await;
        let meet = self.meet.lock().unwrap().pop();
        if let Some(meet) = meet {
            meet.wait().await;
        }
        found
    }

    async fn save(&self, expected: Option<Generation>, new: &Stored) -> Result<(), StoreError> {
        let late = self.late.lock().unwrap().take();
        if let Some((expected, new)) = late {
            // Nobody hears its answer.
            drop(self.inner.save(expected, &new).await);
        }
        let trouble = self.next.lock().unwrap().take();
        let Some(trouble) = trouble else { return self.inner.save(expected, new).await };
        if matches!(trouble, Trouble::FailsStored | Trouble::HangsStored)
            && let Err(conflict) = self.inner.save(expected, new).await
        {
            self.make(trouble);
            return Err(conflict);
        }
        if trouble == Trouble::IsLate {
            *self.late.lock().unwrap() = Some((expected, new.clone()));
        }
        if matches!(trouble, Trouble::Fails | Trouble::FailsStored) {
            return Err(StoreError::Other("the test says so".into()));
        }
        std::future::pending().await
    }
}

/// Two channels with one message each in every pack.
async fn log() -> Arc<dyn Transport> {
    let transport = mem(&CHANNELS).await;
    for (n, channel) in (0..).zip(CHANNELS) {
        let mut writer = transport.writer(channel).await.unwrap();
        let records = (1..=PACKS).flat_map(|pack| {
            let end = pack * 10;
            let typed: [&dyn TsMsg; 2] =
                [&insert(end - 5 + n, 0), &TimeTickMsg::new(Timestamp(end))];
            typed.map(|message| message.to_record())
        });
        assert!(writer.submit(records.collect()).await.rest.is_none());
    }
    transport
}

/// A stream that begins at a checkpoint, or at the first record.
async fn stream(
    transport: &Arc<dyn Transport>,
    subscription: Option<&str>,
    at: Option<&Checkpoint>,
) -> TtMsgStream {
    let mut stream = TtMsgStream::new(transport.clone(), ConsumerConfig::default()).unwrap();
    match at {
        Some(at) => stream.resume(subscription, at, |_| TickSource::Written).await.unwrap(),
        None => stream.create_consumers(subscription, &CHANNELS, Start::Earliest).await.unwrap(),
    }
    stream.start().unwrap();
    stream
}

async fn next(stream: &mut TtMsgStream) -> MsgPack {
    stream.consume().await.unwrap().unwrap()
}

async fn cursors(transport: &Arc<dyn Transport>) -> [Option<Position>; 2] {
    let mut cursors = [None; 2];
    for (cursor, channel) in cursors.iter_mut().zip(CHANNELS) {
        let subscription = transport.subscription(channel, "worker").await.unwrap();
        *cursor = subscription.acked().await.unwrap();
    }
    cursors
}

fn resumes(checkpoint: &Checkpoint) -> [Option<Position>; 2] {
    CHANNELS.map(|channel| Some(checkpoint.channels.get(channel).unwrap().resume))
}

fn counts(committer: &Committer) -> (u64, u64, u64) {
    let CommitCounts { commits, refused, resolved, .. } = committer.counts();
    (commits, refused, resolved)
}

/// Runs a future until it waits, then drops it.
async fn cancelled<T>(future: impl Future<Output = T>) -> Option<T> {
    match futures::poll!(pin!(future)) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn what_was_committed_is_what_the_next_one_gets() {
    let (transport, store) = (log().await, Arc::new(MemoryStore::default()));
    let (mut first, stored) = Committer::open(store.clone()).await.unwrap();
    assert_eq!((stored.checkpoint, stored.state.len()), (None, 0));
    let mut consumer = stream(&transport, None, None).await;
    let pack = next(&mut consumer).await;
    consumer.commit(&mut first, &pack.end, "one").await.unwrap();
    assert_eq!(counts(&first), (1, 0, 0));

    let (second, stored) = Committer::open(store.clone()).await.unwrap();
    assert_eq!((stored.checkpoint, &*stored.state), (Some(pack.end), &b"one"[..]));
    assert_eq!(counts(&second), (0, 0, 0));
}

#[tokio::test]
async fn the_last_to_open_an_empty_store_has_it() {
    let (transport, store) = (log().await, Arc::new(MemoryStore::default()));
    let (mut first, _) = Committer::open(store.clone()).await.unwrap();
    let (mut second, _) = Committer::open(store.clone()).await.unwrap();
    let mut consumer = stream(&transport, None, None).await;
    let pack = next(&mut consumer).await;
    for _ in 0..2 {
        let refused = consumer.commit(&mut first, &pack.end, "first").await;
        assert!(matches!(refused, Err(Error::TakenOver { .. })), "{refused:?}");
    }
    assert_eq!(counts(&first), (0, 2, 0));
    assert_eq!(store.load().await.unwrap().unwrap().checkpoint, None);
    consumer.commit(&mut second, &pack.end, "second").await.unwrap();
    assert_eq!(&*store.load().await.unwrap().unwrap().state, b"second");
}

/// Both find nothing, and both begin; in the end only one can commit.
#[tokio::test]
async fn of_two_that_start_at_once_one_can_commit() {
    let transport = log().await;
    let barrier = Arc::new(Barrier::new(2));
    let meet = Mutex::new(vec![barrier.clone(), barrier]);
    let store = Arc::new(Troubled { meet, ..Troubled::default() });
    let (one, two) = futures::join!(Committer::open(store.clone()), Committer::open(store.clone()));
    let mut consumer = stream(&transport, None, None).await;
    let pack = next(&mut consumer).await;
    let mut won = 0;
    for (mut committer, _) in [one.unwrap(), two.unwrap()] {
        match consumer.commit(&mut committer, &pack.end, "").await {
            Ok(()) => won += 1,
            Err(Error::TakenOver { .. }) => assert_eq!(committer.counts().refused, 1),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_consumer_that_was_replaced_commits_and_acknowledges_nothing() {
    let (transport, store) = (log().await, Arc::new(MemoryStore::default()));
    let (mut zombie, _) = Committer::open(store.clone()).await.unwrap();
    let mut consumer = stream(&transport, Some("worker"), None).await;
    let first = next(&mut consumer).await;
    consumer.commit(&mut zombie, &first.end, "").await.unwrap();
    let (_second, _) = Committer::open(store.clone()).await.unwrap();
    let second = next(&mut consumer).await;
    let refused = consumer.commit(&mut zombie, &second.end, "").await;
    assert!(matches!(refused, Err(Error::TakenOver { .. })), "{refused:?}");
    assert_eq!(store.load().await.unwrap().unwrap().checkpoint.as_ref(), Some(&first.end));
    assert_eq!(cursors(&transport).await, resumes(&first.end));
}

/// A store that was emptied has a new beginning, in which old consumers have no part, even where
/// the numbers of the generations come again.
#[tokio::test]
async fn an_emptied_store_isnt_taken_for_the_old_one() {
    let (transport, folder) = (log().await, tempfile::tempdir().unwrap());
    let store = Arc::new(FileStore::new(folder.path().join("checkpoint")));
    let (mut zombie, old) = Committer::open(store.clone()).await.unwrap();
    std::fs::remove_file(store.path()).unwrap();
    let mut consumer = stream(&transport, None, None).await;
    let pack = next(&mut consumer).await;
    let refused = consumer.commit(&mut zombie, &pack.end, "").await;
    assert!(matches!(refused, Err(Error::TakenOver { found: None, .. })), "{refused:?}");
    let (mut second, new) = Committer::open(store.clone()).await.unwrap();
    assert_eq!(old.generation.number, new.generation.number);
    let refused = consumer.commit(&mut zombie, &pack.end, "").await;
    let Err(Error::TakenOver { held, found }) = refused else { panic!("{refused:?}") };
    assert_eq!((held, found), (old.generation, Some(new.generation)));
    consumer.commit(&mut second, &pack.end, "second").await.unwrap();
    assert_eq!(&*store.load().await.unwrap().unwrap().state, b"second");
}

/// Whatever became of a save, nothing is acknowledged before one is known to be durable, and the
/// next commit goes on from what the store has.
#[tokio::test]
async fn a_save_of_unknown_fate_is_found_out() {
    for trouble in TROUBLES {
        let (transport, store) = (log().await, Arc::new(Troubled::default()));
        let (mut committer, _) = Committer::open(store.clone()).await.unwrap();
        let mut consumer = stream(&transport, Some("worker"), None).await;
        let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
        store.make(trouble);
        let commit = cancelled(consumer.commit(&mut committer, &first.end, "first")).await;
        assert!(matches!(commit, None | Some(Err(Error::Store(StoreError::Other(_))))));
        assert_eq!(cursors(&transport).await, [None, None], "{trouble:?}");

        consumer.commit(&mut committer, &second.end, "second").await.unwrap();
        let resolved = !matches!(trouble, Trouble::Fails | Trouble::Hangs);
        assert_eq!(counts(&committer), (1, 0, u64::from(resolved)), "{trouble:?}");
        let stored = store.load().await.unwrap().unwrap();
        assert_eq!(stored.checkpoint.as_ref(), Some(&second.end), "{trouble:?}");
        assert_eq!(&*stored.state, b"second");
        assert_eq!(cursors(&transport).await, resumes(&second.end), "{trouble:?}");
        consumer.commit(&mut committer, &second.end, "again").await.unwrap();
    }
}

#[tokio::test]
async fn many_saves_of_unknown_fate_are_found_out() {
    let (transport, store) = (log().await, Arc::new(Troubled::default()));
    let (mut committer, _) = Committer::open(store.clone()).await.unwrap();
    let mut consumer = stream(&transport, Some("worker"), None).await;
    let pack = next(&mut consumer).await;
    for _ in 0..5 {
        for trouble in TROUBLES {
            store.make(trouble);
            let commit = cancelled(consumer.commit(&mut committer, &pack.end, "no")).await;
            assert!(!matches!(commit, Some(Ok(()))));
        }
    }
    assert_eq!(cursors(&transport).await, [None, None]);
    consumer.commit(&mut committer, &pack.end, "yes").await.unwrap();
    assert_eq!(&*store.load().await.unwrap().unwrap().state, b"yes");
}

#[tokio::test]
async fn one_that_was_replaced_learns_it_also_after_a_save_of_unknown_fate() {
    for trouble in TROUBLES {
        let (transport, store) = (log().await, Arc::new(Troubled::default()));
        let (mut zombie, _) = Committer::open(store.clone()).await.unwrap();
        let mut consumer = stream(&transport, Some("worker"), None).await;
        let pack = next(&mut consumer).await;
        store.make(trouble);
        drop(cancelled(consumer.commit(&mut zombie, &pack.end, "zombie")).await);
        let (_second, stored) = Committer::open(store.clone()).await.unwrap();
        let taken_effect = !matches!(trouble, Trouble::Fails | Trouble::Hangs);
        assert_eq!(stored.checkpoint.is_some(), taken_effect, "{trouble:?}");
        let refused = consumer.commit(&mut zombie, &pack.end, "zombie").await;
        assert!(matches!(refused, Err(Error::TakenOver { .. })), "{trouble:?}: {refused:?}");
        assert_eq!(store.load().await.unwrap(), Some(stored), "{trouble:?}");
        assert_eq!(cursors(&transport).await, [None, None], "{trouble:?}");
    }
}

/// Without an answer to its claim a consumer hasn't begun; the next one has the store.
#[tokio::test]
async fn a_claim_of_unknown_fate_can_be_made_again() {
    let transport = log().await;
    for trouble in TROUBLES {
        let store = Troubled::with(trouble);
        let open = cancelled(Committer::open(store.clone())).await;
        assert!(!matches!(open, Some(Ok(_))), "{trouble:?}");
        let (mut committer, _) = Committer::open(store.clone()).await.unwrap();
        let mut consumer = stream(&transport, None, None).await;
        let pack = next(&mut consumer).await;
        consumer.commit(&mut committer, &pack.end, "").await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_others_take_all_the_time_is_given_up() {
    let store = refusing(false);
    let refused = Committer::open(store.clone()).await;
    assert!(matches!(refused, Err(Error::Store(StoreError::Conflict { .. }))), "{refused:?}");
    assert_eq!(*store.saves.lock().unwrap(), 100);
}

#[tokio::test]
async fn a_store_that_refuses_what_it_has_is_not_asked_for_ever() {
    let (transport, store) = (log().await, refusing(true));
    let (mut committer, stored) = Committer::open(store.clone()).await.unwrap();
    let mut stream = stream(&transport, None, stored.checkpoint.as_ref()).await;
    let pack = next(&mut stream).await;
    let refused = stream.commit(&mut committer, &pack.end, "").await;
    assert!(matches!(refused, Err(Error::Store(StoreError::Conflict { .. }))), "{refused:?}");
    assert_eq!(*store.saves.lock().unwrap(), 2);
}

#[tokio::test]
async fn only_channels_with_a_subscription_are_acknowledged() {
    let (transport, store) = (log().await, Arc::new(MemoryStore::default()));
    let (mut committer, _) = Committer::open(store).await.unwrap();
    let mut consumer = TtMsgStream::new(transport.clone(), ConsumerConfig::default()).unwrap();
    consumer.create_consumers(None, &["a"], Start::Earliest).await.unwrap();
    consumer.create_consumers(Some("worker"), &["b"], Start::Earliest).await.unwrap();
    consumer.start().unwrap();
    let pack = next(&mut consumer).await;
    consumer.commit(&mut committer, &pack.end, "").await.unwrap();
    assert_eq!(cursors(&transport).await, [None, resumes(&pack.end)[1]]);
}

#[tokio::test]
async fn what_cant_be_acknowledged_is_saved() {
    let (transport, store) = (log().await, Arc::new(MemoryStore::default()));
    let (mut committer, _) = Committer::open(store.clone()).await.unwrap();
    let mut consumer = stream(&transport, Some("worker"), None).await;
    let pack = next(&mut consumer).await;
    transport.delete("a").await.unwrap();
    let failed = consumer.commit(&mut committer, &pack.end, "").await;
    assert!(matches!(failed, Err(Error::Transport(_))), "{failed:?}");
    assert_eq!(store.load().await.unwrap().unwrap().checkpoint, Some(pack.end));
    assert_eq!(counts(&committer), (1, 0, 0));
}

/// Where a consumer crashes in the loop.
#[derive(Clone, Copy, Debug)]
enum Crash {
    BeforeTheSave,
    InTheSave(Trouble),
    AfterTheCommit,
}

/// One life of a consumer that keeps the time of each message that it saw.
async fn live(
    transport: &Arc<dyn Transport>,
    store: &Arc<Troubled>,
    mut packs_left: usize,
    crash: Crash,
) -> Vec<u8> {
    let (mut committer, stored) = Committer::open(store.clone()).await.unwrap();
    let mut seen = stored.state.to_vec();
    let mut consumer = stream(transport, Some("worker"), stored.checkpoint.as_ref()).await;
    while seen.len() < 2 * PACKS as usize {
        let pack = next(&mut consumer).await;
        seen.extend(pack.msgs.iter().map(|message| message.end_ts().0 as u8));
        if packs_left == 0 {
            match crash {
                Crash::BeforeTheSave => {}
                Crash::InTheSave(trouble) => {
                    store.make(trouble);
                    let commit = consumer.commit(&mut committer, &pack.end, seen.clone());
                    assert!(!matches!(cancelled(commit).await, Some(Ok(()))));
                }
                Crash::AfterTheCommit => {
                    consumer.commit(&mut committer, &pack.end, seen.clone()).await.unwrap();
                }
            }
            return seen;
        }
        packs_left -= 1;
        consumer.commit(&mut committer, &pack.end, seen.clone()).await.unwrap();
    }
    seen
}

/// Two crashes, each at every place there is, one after the other.
#[tokio::test]
async fn wherever_a_consumer_crashes_each_message_counts_once() {
    let crashes: Vec<_> = [Crash::BeforeTheSave, Crash::AfterTheCommit]
        .into_iter()
        .chain(TROUBLES.map(Crash::InTheSave))
        .flat_map(|crash| (0..PACKS as usize).map(move |after| (after, crash)))
        .collect();
    let once: Vec<u8> = (1..=PACKS as u8).flat_map(|pack| [pack * 10 - 5, pack * 10 - 4]).collect();
    for first in &crashes {
        for second in &crashes {
            let (transport, store) = (log().await, Arc::new(Troubled::default()));
            live(&transport, &store, first.0, first.1).await;
            live(&transport, &store, second.0, second.1).await;
            let seen = live(&transport, &store, usize::MAX, Crash::BeforeTheSave).await;
            assert_eq!(seen, once, "{first:?}, then {second:?}");
        }
    }
}
