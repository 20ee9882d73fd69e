//! One connection to a broker, which writers and readers share.

mod dial;
mod tasks;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;
use pulsar::message::{Codec, Message};
use pulsar::proto::BaseCommand;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite};

use self::dial::dial;
use self::tasks::{Incoming, write_out};
use crate::config::{Address, Token};
use crate::error::{refusal, unreachable, unreachable_by};
use crate::frames;
use crate::framing::Framing;
use crate::in_flight::Producer;
use crate::prefetch::Inbox;

/// The greatest message of a broker that doesn't say.
const USUAL_MAX_MESSAGE: usize = 5 << 20;
/// Readers that attach at once: when a broker is back, all that it had come together.
const ATTACHING: usize = 16;

/// Locks, also after a panic elsewhere: no update here leaves a half-done state behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
type Read = FramedRead<ReadHalf<Box<dyn Io>>, Framing>;
type Write = FramedWrite<WriteHalf<Box<dyn Io>>, Codec>;

/// Where a connection leads, and as whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    /// The broker behind the address, if that is a proxy's.
    pub(crate) behind_proxy: Option<String>,
    pub(crate) token: Option<Token>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) timeout: Duration,
    /// How long all addresses of the host are tried.
    pub(crate) patience: Duration,
}

/// A connection. Dropping it ends its tasks.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    out: mpsc::UnboundedSender<Message>,
    /// The greatest message that the broker takes, in bytes.
    pub(crate) max_message: usize,
    timeout: Duration,
    attaching: Semaphore,
    tasks: [AbortHandle; 2],
}

/// What the tasks share with the handle.
struct Shared {
    state: Mutex<State>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Why it ended.
    ended: Option<Failure>,
    requests: HashMap<u64, oneshot::Sender<BaseCommand>>,
    producers: HashMap<u64, Arc<Producer>>,
    inboxes: HashMap<u64, Arc<Inbox>>,
}

/// A request whose answer is awaited. Dropping this forgets the request.
struct Asked<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.shared.state).requests.remove(&self.id);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and introduces itself.
    pub(crate) async fn open(target: &Target) -> Result<Arc<Self>, Failure> {
        let (mut read, mut write) = dial(target).await?;
        let token = target.token.as_ref().map(Token::read).transpose()?;
        let broken = |error| {
            let what = format_args!("greeting the broker at {} failed", target.address);
            unreachable_by(what, error)
        };
        let greeting = frames::connect(token, target.behind_proxy.clone());
        write.send(greeting).await.map_err(broken)?;
        let answer = read.next().await.transpose().map_err(|error| {
            let what = "doesn't answer in Pulsar's protocol";
            unreachable_by(format_args!("the broker at {} {what}", target.address), error)
        })?;
        let BaseCommand { connected, error, .. } = match answer {
            Some(answer) => answer.command,
            None => {
                let what = "closed the connection without an answer";
                return Err(unreachable(format_args!("the broker at {} {what}", target.address)));
            }
        };
        if let Some(error) = error {
            return Err(refusal(error.error, &error.message));
        }
        let connected = connected.ok_or_else(|| Kind::Protocol {
            reason: "the broker didn't answer the greeting with a greeting".to_owned(),
        })?;
        let max_message = connected.max_message_size.and_then(|size| usize::try_from(size).ok());

        let (out, outgoing) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { state: Mutex::default(), next_id: AtomicU64::new(1) });
        let incoming = Incoming {
            shared: Arc::clone(&shared),
            out: out.clone(),
            token: target.token.clone(),
            silence: target.timeout,
            broker: target.address.to_string(),
        };
        let tasks = [
            tokio::spawn(incoming.run(read)).abort_handle(),
            tokio::spawn(write_out(Arc::clone(&shared), outgoing, write)).abort_handle(),
        ];
        let max_message = max_message.unwrap_or(USUAL_MAX_MESSAGE);
        let (timeout, attaching) = (target.timeout, Semaphore::new(ATTACHING));
        Ok(Arc::new(Self { shared, out, max_message, timeout, attaching, tasks }))
    }

    /// Waits for a reader's turn to attach, which ends when it is dropped. Each broker has turns of its
    /// own, so that one that doesn't answer doesn't hold up others.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.attaching.acquire().await.ok()
    }

    pub(crate) fn is_alive(&self) -> bool {
        lock(&self.shared.state).ended.is_none()
    }

    /// A number that nothing else on this connection has.
    pub(crate) fn next_id(&self) -> u64 {
        self.shared.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends without waiting. If the connection has ended, its users get to know that in other ways.
    pub(crate) fn send(&self, frame: Message) {
        let _ = self.out.send(frame);
    }

    /// Sends a request, and waits for its answer.
    pub(crate) async fn request(
        &self,
        make: impl FnOnce(u64) -> Message,
    ) -> Result<BaseCommand, Failure> {
        let id = self.next_id();
        let (sender, answer) = oneshot::channel();
        {
            let mut state = lock(&self.shared.state);
            if let Some(failure) = &state.ended {
                return Err(failure.clone());
            }
            state.requests.insert(id, sender);
        }
        let _asked = Asked { shared: &self.shared, id };
        self.send(make(id));
        let after = self.timeout;
        match timeout(after, answer).await {
            Ok(Ok(BaseCommand { error: Some(error), .. })) => {
                Err(refusal(error.error, &error.message))
            }
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.ended()),
            Err(_) => Err(Kind::TimedOut { after }.into()),
        }
    }

    fn ended(&self) -> Failure {
        lock(&self.shared.state).ended.clone().unwrap_or_else(lost)
    }

    /// Makes the producer get what concerns it.
    pub(crate) fn add_producer(&self, id: u64, producer: &Arc<Producer>) -> Result<(), Failure> {
        let mut state = lock(&self.shared.state);
        if let Some(failure) = &state.ended {
            return Err(failure.clone());
        }
        state.producers.insert(id, Arc::clone(producer));
        Ok(())
    }

    /// Closes a producer after what it has sent. Receipts still arrive.
    pub(crate) fn close_producer(&self, id: u64) {
        self.send(frames::close_producer(self.next_id(), id));
    }

    /// Makes the inbox get what arrives for the consumer.
    pub(crate) fn add_inbox(&self, id: u64, inbox: &Arc<Inbox>) -> Result<(), Failure> {
        let mut state = lock(&self.shared.state);
        if let Some(failure) = &state.ended {
            return Err(failure.clone());
        }
        state.inboxes.insert(id, Arc::clone(inbox));
        Ok(())
    }

    /// Closes a consumer. What still arrives for it is dropped.
    pub(crate) fn close_consumer(&self, id: u64) {
        if lock(&self.shared.state).inboxes.remove(&id).is_some() {
            self.send(frames::close_consumer(self.next_id(), id));
        }
    }
}

impl Connection {
    /// Ends it, for everybody who has it.
    pub(crate) fn end(&self, why: Failure) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.shared.end(why);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end(lost());
    }
}

fn lost() -> Failure {
    unreachable("the connection to the broker was lost")
}
