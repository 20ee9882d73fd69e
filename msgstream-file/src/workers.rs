//! Threads for calls that wait for the disk.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::client::lock;

/// How many calls are at the disk at a time: so many threads, however many channels there are.
const AT_A_TIME: usize = 8;

/// How long a thread waits for the next call: longer than a handle whose readers wait lets pass between two
/// looks. If each call took a thread of its own from the runtime, that would often begin another before it
/// has the last one back.
const LINGER: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce() + Send>;

/// The calls of a handle that wait for a thread, and the threads of the runtime that make them, one
/// call after the other.
#[derive(Default)]
pub(crate) struct Workers {
    state: Mutex<State>,
    /// There is a call for one that waits.
    comes: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many threads there are, or are on their way.
    threads: usize,
    /// How many of them wait.
    idle: usize,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = lock(&self.state).threads;
        f.debug_struct("Workers").field("threads", &threads).finish_non_exhaustive()
    }
}

impl Workers {
    /// Runs work on a thread for it, and returns what it returns; `None` if the runtime ended before
    /// it began. It isn't begun if this is dropped before, and goes on if it has begun.
    ///
    /// # Panics
    /// Panics if the work does.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        let job = move || {
            if !sender.is_closed() {
                drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
            }
        };
        self.start(&Handle::current(), job);
        match receiver.await.ok()? {
            Ok(done) => Some(done),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Workers {
    /// Leaves work to a thread for it. It is dropped if the runtime ends before it begins.
    pub(crate) fn start(self: &Arc<Self>, runtime: &Handle, work: impl FnOnce() + Send + 'static) {
        let starts = {
            let mut state = lock(&self.state);
            state.jobs.push_back(Box::new(work));
            let starts = state.jobs.len() > state.idle && state.threads < AT_A_TIME;
            state.threads += usize::from(starts);
            starts
        };
        self.comes.notify_one();
        if starts {
            let worker = Worker { workers: Arc::clone(self), is_done: false };
            drop(runtime.spawn_blocking(|| worker.run()));
        }
    }
}

/// A thread, or one that is on its way.
struct Worker {
    workers: Arc<Workers>,
    is_done: bool,
}

impl Worker {
    fn run(mut self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    /// Returns the next call; `None` if this is none of the threads any more.
    fn next(&mut self) -> Option<Job> {
        let mut state = lock(&self.workers.state);
        let mut waited = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if waited {
                state.threads -= 1;
                self.is_done = true;
                return None;
            }
            state.idle += 1;
            let wait = self.workers.comes.wait_timeout(state, LINGER);
            (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            waited = true;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // Its runtime ended before it ran. If it was the only one, nobody makes the calls.
        let mut state = lock(&self.workers.state);
        state.threads -= 1;
        let left = match state.threads {
            0 => std::mem::take(&mut state.jobs),
            _ => VecDeque::new(),
        };
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn cancelled_calls_count_until_they_are_done_and_are_not_begun_after() {
        let workers = Arc::new(Workers::default());
        let (ends, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        for _ in 0..AT_A_TIME {
            let ended = Arc::clone(&ended);
            let (begins, begun) = mpsc::channel();
            let mut call = Box::pin(workers.run(move || {
                begins.send(()).unwrap();
                assert!(lock(&ended).recv().is_err());
            }));
            assert!(poll_once(call.as_mut()).is_pending());
            begun.recv().unwrap();
        }
        let (begins, begun) = mpsc::channel();
        assert!(poll_once(workers.run(move || begins.send(()))).is_pending());
        assert_eq!(lock(&workers.state).threads, AT_A_TIME);
        drop(ends);
        assert_eq!(workers.run(|| 7).await, Some(7));
        assert!(begun.recv().is_err(), "a call was begun that nobody waits for");
    }

    #[tokio::test]
    async fn a_panic_is_that_of_the_caller() {
        let workers = Arc::new(Workers::default());
        let own = Arc::clone(&workers);
        let call = tokio::spawn(async move { own.run(|| panic!("as planned")).await });
        assert!(call.await.is_err_and(|error| error.is_panic()));
        assert_eq!(workers.run(|| 7).await, Some(7));
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn work_that_a_runtime_never_began_is_given_up() {
        let workers = Arc::new(Workers::default());
        let ended = runtime();
        let handle = ended.handle().clone();
        ended.shutdown_background();
        {
            let _within = handle.enter();
            assert!(matches!(poll_once(workers.run(|| 7)), Poll::Ready(None)));
        }
        assert_eq!(runtime().block_on(workers.run(|| 7)), Some(7));
    }
}
