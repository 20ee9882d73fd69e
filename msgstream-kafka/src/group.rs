//! Consumer groups, of which only the committed offsets are used: they have no members.
//!
//! A client of librdkafka has one group. Each subscription's name is a group, so the cursors of one
//! name on many channels share a client and a thread, which sends all waiting commits as one request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::oneshot;

use crate::KafkaConfig;
use crate::error::{code_of, failed, needs};
use crate::events::{Events, lock};
use crate::lookup::named;
use crate::partition::Partition;
use crate::prefetch::no_thread;

/// What is committed with offset 0 in place of a cursor that was removed: a client can delete a
/// group, but not what it has of one partition.
pub(crate) const REMOVED: &str = "msgstream: unsubscribed";

/// How often the client's log and errors are polled.
const TICK: Duration = Duration::from_millis(50);

/// For how long, each time.
const EVENTS: Duration = Duration::from_millis(1);

/// How long the first call for cursors waits.
const LOOK: Duration = Duration::from_millis(200);

type Client = BaseConsumer<Events>;
type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// The groups that are in use, by name.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<String, Weak<Group>>>);

impl Groups {
    /// Returns the client of a group. It blocks briefly.
    pub(crate) fn open(&self, config: &KafkaConfig, name: &str) -> Result<Arc<Group>, Failure> {
        let mut groups = lock(&self.0);
        if let Some(group) = groups.get(name).and_then(Weak::upgrade) {
            return Ok(group);
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let group = Arc::new(Group::new(config, name)?);
        groups.insert(name.to_owned(), Arc::downgrade(&group));
        Ok(group)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

/// A group's client. Its thread has it, and ends with this.
#[derive(Debug)]
pub(crate) struct Group {
    name: String,
    requests: Sender<Request>,
    timeout: Duration,
}

enum Request {
    Commit { partition: Partition, cursor: Cursor, reply: Reply<()> },
    Committed { partition: Partition, reply: Reply<Option<u64>> },
}

#[derive(Clone, Copy)]
enum Cursor {
    At(u64),
    Removed,
}

impl Group {
    fn new(config: &KafkaConfig, name: &str) -> Result<Self, Failure> {
        let events = Events::new("cursors");
        let made: KafkaResult<Client> = config.cursors(name).create_with_context(events.clone());
        let timeout = config.timeout;
        let client = made.map_err(|error| failed(&error, timeout))?;
        let (requests, incoming) = channel();
        let worker = Worker { client, events, timeout };
        let spawned = thread::Builder::new()
            .name("kafka-group".to_owned())
            .spawn(move || worker.run(&incoming));
        spawned.map_err(no_thread)?;
        Ok(Self { name: name.to_owned(), requests, timeout })
    }

    /// Moves the cursor on a partition. `Ok` means that the broker stored it.
    pub(crate) async fn commit(&self, partition: &Partition, offset: u64) -> Result<(), Failure> {
        self.put(partition, Cursor::At(offset)).await
    }

    /// Removes the cursor on a partition.
    pub(crate) async fn remove(&self, partition: &Partition) -> Result<(), Failure> {
        self.put(partition, Cursor::Removed).await
    }

    async fn put(&self, partition: &Partition, cursor: Cursor) -> Result<(), Failure> {
        let commit = |partition, reply| Request::Commit { partition, cursor, reply };
        self.request(partition, commit).await
    }

    /// Returns where the cursor on a partition is.
    pub(crate) async fn committed(&self, partition: &Partition) -> Result<Option<u64>, Failure> {
        let committed = |partition, reply| Request::Committed { partition, reply };
        self.request(partition, committed).await
    }

    async fn request<T>(
        &self,
        partition: &Partition,
        request: impl FnOnce(Partition, Reply<T>) -> Request,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let ended = || TransportErrorKind::Unavailable {
            reason: "the client of the consumer group ended".to_owned(),
        };
        self.requests.send(request(partition.clone(), reply)).map_err(|_| ended())?;
        let answer = tokio::time::timeout(self.timeout, answer).await;
        let answer = answer.map_err(|_| TransportErrorKind::TimedOut { after: self.timeout })?;
        answer.map_err(|_| ended())?.map_err(|failure: Failure| {
            let of_group = code_of(&failure) == Some(Code::GroupAuthorizationFailed);
            let on =
                if of_group { format!("group `{}`", self.name) } else { named(&partition.topic) };
            needs(failure, "Read", &on)
        })
    }
}

struct Worker {
    client: Client,
    events: Events,
    timeout: Duration,
}

/// Where cursors go, and who waits for that.
type Moves = BTreeMap<Partition, (Cursor, Vec<Reply<()>>)>;

impl Worker {
    fn run(self, incoming: &Receiver<Request>) {
        loop {
            match incoming.recv_timeout(TICK) {
                Ok(first) => self.serve(std::iter::once(first).chain(incoming.try_iter())),
                Err(RecvTimeoutError::Timeout) => self.listen(EVENTS),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn serve(&self, requests: impl Iterator<Item = Request>) {
        let (mut moves, mut looks) = (Moves::new(), Vec::new());
        for request in requests {
            match request {
                // Whoever doesn't wait any more got an error already.
                Request::Commit { partition, cursor, reply } if !reply.is_closed() => {
                    // Of several moves of one cursor the last one counts.
                    let place = moves.entry(partition).or_insert((cursor, Vec::new()));
                    place.0 = cursor;
                    place.1.push(reply);
                }
                Request::Committed { partition, reply } if !reply.is_closed() => {
                    looks.push((partition, reply));
                }
                Request::Commit { .. } | Request::Committed { .. } => {}
            }
        }
        if !moves.is_empty() {
            self.commit(moves);
        }
        if !looks.is_empty() {
            let found = self.look(looks.iter().map(|(partition, _)| partition));
            for (partition, reply) in looks {
                let cursor = found.as_ref().map_err(Clone::clone);
                let cursor = cursor.and_then(|list| committed(list, &partition, self.timeout));
                // Nobody may be waiting any more.
                let _ = reply.send(cursor);
            }
        }
    }

    /// Commits. For several partitions the client reports one error, even if it concerns only some of
    /// them: then each is committed alone.
    fn commit(&self, moves: Moves) {
        let sent = self.send(moves.iter().map(|(partition, (cursor, _))| (partition, *cursor)));
        let apart = moves.len() > 1 && sent.as_ref().is_err_and(|failure| !failure.is_temporary());
        for (partition, (cursor, replies)) in moves {
            let result = match apart {
                true => self.send(std::iter::once((&partition, cursor))),
                false => sent.clone(),
            };
            for reply in replies {
                // Nobody may be waiting any more.
                let _ = reply.send(result.clone());
            }
        }
    }

    fn send<'a>(
        &self,
        cursors: impl Iterator<Item = (&'a Partition, Cursor)>,
    ) -> Result<(), Failure> {
        let list = || {
            let mut list = TopicPartitionList::new();
            for (Partition { topic, number }, cursor) in cursors {
                let mut element = list.add_partition(topic, *number);
                element.set_offset(cursor.offset())?;
                if matches!(cursor, Cursor::Removed) {
                    element.set_metadata(REMOVED);
                }
            }
            Ok(list)
        };
        let list: KafkaResult<_> = list();
        self.persist(|_| self.client.commit(list.as_ref().map_err(Clone::clone)?, CommitMode::Sync))
    }

    fn look<'a>(
        &self,
        partitions: impl Iterator<Item = &'a Partition>,
    ) -> Result<TopicPartitionList, Failure> {
        let mut list = TopicPartitionList::new();
        for Partition { topic, number } in partitions.collect::<BTreeSet<_>>() {
            list.add_partition(topic, *number);
        }
        self.persist(|wait| self.client.committed_offsets(list.clone(), wait))
    }

    /// Handles what the client reports by itself: its log, and that the group may not be used, which
    /// the call that waits for the group's coordinator doesn't get.
    fn listen(&self, limit: Duration) {
        if let Some(Err(error)) = self.client.poll(limit)
            && let denied = failed(&error, self.timeout)
            && matches!(denied.kind, TransportErrorKind::Denied { .. })
        {
            self.events.report(denied);
        }
    }

    /// Calls again after temporary errors, as after a change of the group's coordinator, and waits
    /// longer each time.
    fn persist<T>(&self, call: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, Failure> {
        let (mut wait, deadline) = (LOOK, Instant::now() + self.timeout);
        loop {
            let error = match call(wait) {
                Ok(done) => {
                    self.events.answered();
                    return Ok(done);
                }
                Err(error) => failed(&error, self.timeout),
            };
            // It is a pause, too.
            self.listen(TICK);
            if !error.is_temporary() {
                return Err(error);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.trouble() {
                Some(denied) if matches!(denied.kind, TransportErrorKind::Denied { .. }) => {
                    return Err(denied);
                }
                trouble if left.is_zero() => return Err(trouble.unwrap_or(error)),
                _ => wait = (wait * 2).min(left),
            }
        }
    }
}

impl Cursor {
    fn offset(self) -> Offset {
        match self {
            Self::At(offset) => Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)),
            Self::Removed => Offset::Offset(0),
        }
    }
}

fn committed(
    list: &TopicPartitionList,
    Partition { topic, number }: &Partition,
    timeout: Duration,
) -> Result<Option<u64>, Failure> {
    let Some(element) = list.find_partition(topic, *number) else { return Ok(None) };
    element.error().map_err(|error| failed(&error, timeout))?;
    match element.offset() {
        Offset::Offset(0) if element.metadata() == REMOVED => Ok(None),
        Offset::Offset(offset) => Ok(u64::try_from(offset).ok()),
        _ => Ok(None),
    }
}
