//! The other process, and the pipes to it.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use tokio::sync::oneshot;

use crate::SERVED;
use crate::error::gone;
use crate::protocol::{Answer, Ask, Question, Reply};

type Then = Box<dyn FnOnce(Answer) + Send>;

/// A process of this program that serves a folder. It ends when this is dropped.
pub(crate) struct Link {
    child: Mutex<Child>,
    input: Mutex<Option<ChildStdin>>,
    waiting: Mutex<HashMap<u64, Then>>,
    next: AtomicU64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(crate) fn start(folder: &Path) -> io::Result<Arc<Self>> {
        let mut child = Command::new(env::current_exe()?)
            .env(SERVED, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        let link = Arc::new(Self {
            child: Mutex::new(child),
            input: Mutex::new(input),
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
        });
        let own = Arc::downgrade(&link);
        // A thread, so that answers don't depend on the runtime of any scenario.
        thread::spawn(move || {
            for reply in replies(output) {
                let Some(link) = own.upgrade() else { return };
                let then = lock(&link.waiting).remove(&reply.id);
                if let Some(then) = then {
                    then(reply.answer);
                }
            }
            if let Some(link) = own.upgrade() {
                link.end();
            }
        });
        Ok(link)
    }

    /// Returns a number that no question and no object had.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks, and calls a function with the answer, on another thread. Questions are asked in the order
    /// of these calls.
    pub(crate) fn ask(&self, object: u64, ask: Ask, then: impl FnOnce(Answer) + Send + 'static) {
        let id = self.number();
        lock(&self.waiting).insert(id, Box::new(then));
        if !self.tell(Question { id, object, ask }) {
            self.end();
        }
    }

    /// Asks, and returns the answer as soon as it is there.
    pub(crate) fn answer(&self, object: u64, ask: Ask) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.ask(object, ask, |answer| drop(sender.send(answer)));
        receiver
    }

    /// Asks, and blocks until the answer is there.
    pub(crate) fn answer_now(&self, object: u64, ask: Ask) -> Answer {
        let (sender, receiver) = mpsc::channel();
        self.ask(object, ask, move |answer| drop(sender.send(answer)));
        receiver.recv().unwrap_or_else(|error| Answer::Failed(gone(error)))
    }

    /// Says that nobody waits for the answer of an object, or uses it any more.
    pub(crate) fn leave(&self, object: u64, ask: Ask) {
        self.tell(Question { id: 0, object, ask });
    }

    fn tell(&self, question: Question) -> bool {
        let Ok(mut line) = serde_json::to_vec(&question) else { return false };
        line.push(b'\n');
        lock(&self.input).as_mut().is_some_and(|input| input.write_all(&line).is_ok())
    }

    /// Answers whoever waits: the process is gone.
    fn end(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        for then in waiting.into_values() {
            then(Answer::Failed(gone("the other process ended")));
        }
    }
}

fn replies(output: ChildStdout) -> impl Iterator<Item = Reply> {
    let lines = BufReader::new(output).lines();
    lines.map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok())
}

impl Drop for Link {
    fn drop(&mut self) {
        // It ends at the end of its input.
        drop(lock(&self.input).take());
        if let Err(error) = lock(&self.child).wait() {
            eprintln!("the other process wasn't waited for: {error}");
        }
    }
}
