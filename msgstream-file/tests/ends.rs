//! Writers whose handle is closed, or whose runtime ends, at any moment.
#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;

use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use msgstream_core::record::{Meta, Position, Record};
use msgstream_core::transport::{
    Fate, Outcome, Receipt, Transport, TransportErrorKind as Kind, TransportExt, Unstored,
};
use tokio::runtime::{Builder, Runtime};

use crate::kit::{open, read, record, write};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Returns the outcome, if it is there.
fn now(receipt: Receipt) -> Option<Outcome> {
    match pin!(receipt).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

#[test]
fn what_is_submitted_while_the_handle_is_closed_is_stored_by_then_or_refused() {
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let (mut stored, mut refused) = (0, 0);
    for round in 0..60 {
        let (files, mut writer) = runtime.block_on(async {
            let files = open(folder.path()).await;
            files.create_if_missing("orders").await.unwrap();
            let writer = files.writer("orders").await.unwrap();
            (files, writer)
        });
        // It takes a moment to encode them.
        let records: Vec<_> =
            (0..64).map(|_| Record::new(Meta::default(), vec![7; 32 << 10])).collect();
        let begin = Barrier::new(2);
        let receipt = thread::scope(|scope| {
            let submitting = scope.spawn(|| {
                begin.wait();
                writer.submit(records)
            });
            begin.wait();
            thread::sleep(Duration::from_micros(round * 50));
            runtime.block_on(files.close()).unwrap();
            submitting.join().unwrap()
        });
        match now(receipt).expect("the handle is closed, and a receipt is pending").rest {
            None => stored += 1,
            Some(Unstored { fate, error, .. }) => {
                assert_eq!((fate, error.kind()), (Fate::NotStored, &Kind::Closed));
                refused += 1;
            }
        }
    }
    let end =
        runtime.block_on(async { open(folder.path()).await.describe("orders").await.unwrap().end });
    assert_eq!(end, Position::new(stored * 64), "{refused} were refused");
}

#[test]
fn a_writer_whose_runtime_has_ended_says_so_and_leaves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (runtime(), runtime());
    let files = first.block_on(open(folder.path()));
    let mut orphan = first.block_on(async {
        files.create("orders").await.unwrap();
        files.writer("orders").await.unwrap()
    });
    let mut writer = second.block_on(files.writer("orders")).unwrap();
    first.shutdown_background();

    // A thread that is still there for the disk may store it.
    let rest = second.block_on(orphan.submit(vec![record(0)])).rest;
    if let Some(rest) = &rest {
        assert_eq!(rest.fate, Fate::NotStored);
        assert!(matches!(rest.error.kind(), Kind::Unavailable { .. }), "{}", rest.error);
    }
    second.block_on(async {
        let ready = orphan.ready().await.map_err(|error| error.kind().clone());
        assert_eq!(ready, if rest.is_none() { Ok(()) } else { Err(Kind::Poisoned) });
        orphan.close().await.unwrap();
        // It shares the channel's queue.
        assert!(writer.submit(vec![record(1)]).await.rest.is_none());
        write(&files, "orders", [2]).await;
        let first = if rest.is_none() { 0 } else { 1 };
        assert_eq!(read(&files, "orders").await, [0, 1, 2][first..]);
        files.close().await.unwrap();
    });
}

#[test]
fn a_runtime_that_ends_settles_what_is_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    let second = runtime();
    let mut next = 0;
    for _ in 0..50 {
        let first = runtime();
        let files = first.block_on(open(folder.path()));
        let mut writer = first.block_on(async {
            files.create_if_missing("orders").await.unwrap();
            files.writer("orders").await.unwrap()
        });
        let receipts: Vec<_> = (next..next + 40).map(|n| writer.submit(vec![record(n)])).collect();
        next += 40;
        first.shutdown_background();
        second.block_on(async {
            let mut gone = false;
            for receipt in receipts {
                let unstored = receipt.await.rest;
                assert!(!gone || unstored.is_some(), "one is stored behind one that isn't");
                gone = unstored.is_some();
            }
            writer.close().await.unwrap();
            files.close().await.unwrap();
        });
    }
    // What isn't known to be stored may be there, once and in its place.
    let left = second.block_on(async { read(&open(folder.path()).await, "orders").await });
    assert!(left.is_sorted_by(|a, b| a < b), "{left:?}");
}
