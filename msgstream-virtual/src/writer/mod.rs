//! Writing to a virtual channel.

mod shared;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::Shared;
use msgstream_core::MsgType;
use msgstream_core::adapter::SessionPart;
use msgstream_core::record::{Origin, Record, Stamp};
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportError, TransportErrorKind,
};

pub(crate) use self::shared::SharedWriter;
use self::shared::{poisoned, refused};
use crate::transport::Writers;

/// The receipt of a batch, which its caller and `close` await. The first one to look takes the outcome.
type InFlight = Shared<futures::future::BoxFuture<'static, Arc<Mutex<Option<Outcome>>>>>;

/// The origin of the last record, as it came and as it is written. Neighbours share it.
type Renumbered = Option<(Arc<Origin>, Arc<Origin>)>;

/// Makes the sequence number of a record one of a virtual channel.
fn number(record: &mut Record, vchannel: &str, last: &mut Renumbered) {
    let came = record.meta.stamp.as_ref().map(|stamp| stamp.origin.clone());
    match (&mut record.meta.stamp, &last) {
        (Some(stamp), Some((from, to))) if Arc::ptr_eq(&stamp.origin, from) => {
            stamp.origin = to.clone();
        }
        _ => {
            SessionPart::number(record, vchannel);
            *last = came.zip(record.meta.stamp.as_ref().map(|stamp| stamp.origin.clone()));
        }
    }
}

/// Names its virtual channel in what it writes.
pub(crate) struct VirtualWriter {
    vchannel: Arc<str>,
    physical: String,
    private_ticks: bool,
    writers: Arc<Writers>,
    shared: Option<Arc<SharedWriter>>,
    in_flight: Vec<InFlight>,
    /// Whether it submitted anything to the present writer of the physical channel.
    wrote: bool,
    poisoned: Arc<AtomicBool>,
}

impl VirtualWriter {
    pub(crate) fn new(
        vchannel: &str,
        physical: String,
        private_ticks: bool,
        writers: Arc<Writers>,
        shared: Arc<SharedWriter>,
    ) -> Self {
        Self {
            vchannel: vchannel.into(),
            physical,
            private_ticks,
            writers,
            shared: Some(shared),
            in_flight: Vec::new(),
            wrote: false,
            poisoned: Arc::default(),
        }
    }

    fn open(&self, operation: &'static str) -> Result<&Arc<SharedWriter>> {
        match &self.shared {
            _ if self.writers.is_closed() => {
                Err(TransportError::new(operation, TransportErrorKind::Closed))
            }
            Some(_) if self.poisoned.load(Ordering::Acquire) => Err(poisoned(operation)),
            Some(shared) => Ok(shared),
            None => Err(TransportError::new(operation, TransportErrorKind::Closed)),
        }
    }

    /// Names the virtual channel in a record.
    fn name(&self, record: &mut Record, last: &mut Renumbered) -> Result<(), TransportErrorKind> {
        let refuse = |name: &str, reason: String| {
            Err(TransportErrorKind::InvalidHeader { name: name.to_owned(), reason })
        };
        match &record.meta.vchannel {
            Some(other) if **other != *self.vchannel => {
                return refuse("vchannel", format!("it names another virtual channel, `{other}`"));
            }
            _ => record.meta.vchannel = Some(self.vchannel.clone()),
        }
        match SessionPart::of(record) {
            SessionPart::Home => refuse(
                Stamp::HEADER,
                "the home channel of a session can't be a virtual one: set a physical one with `with_home`".to_owned(),
            ),
            SessionPart::None | SessionPart::Tick
                if record.meta.msg_type == MsgType::TIME_TICK && !self.private_ticks =>
            {
                let physical = &self.physical;
                refuse(
                    "vchannel",
                    format!("who reads `{physical}` whole would take a tick or an end of one virtual channel for one of all: write it to `{physical}`"),
                )
            }
            SessionPart::None => Ok(()),
            _ => {
                number(record, &self.vchannel, last);
                match SessionPart::is_foreign(record, &self.vchannel) {
                    true => refuse(
                        Stamp::HEADER,
                        "it is numbered for another virtual channel".to_owned(),
                    ),
                    false => Ok(()),
                }
            }
        }
    }

    fn named(&self, operation: &'static str, mut records: Vec<Record>) -> Result<Vec<Record>> {
        let mut last = None;
        for record in &mut records {
            self.name(record, &mut last).map_err(|kind| TransportError::new(operation, kind))?;
        }
        Ok(records)
    }

    fn try_submit(&self, records: Vec<Record>) -> Result<Receipt> {
        let shared = self.open("submit")?;
        let records = self.named("submit", records)?;
        shared.check(&records)?;
        Ok(shared.submit(records))
    }

    fn on(&self, error: TransportError) -> TransportError {
        error.on(&*self.vchannel)
    }
}

#[async_trait]
impl ChannelWriter for VirtualWriter {
    async fn ready(&mut self) -> Result<()> {
        if let Err(error) = self.open("ready") {
            return Err(self.on(error));
        }
        // Another virtual channel's batch failed. Nothing of this one did, so it goes on.
        if !self.wrote && self.shared.as_ref().is_some_and(|shared| !shared.is_usable()) {
            let shared = self.writers.get(&self.physical).await;
            self.shared = Some(shared.map_err(|error| self.on(error))?);
        }
        let ready = match self.open("ready") {
            Ok(shared) => shared.ready().await,
            Err(error) => Err(error),
        };
        ready.map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            self.on(error)
        })
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let checked = self.named("check", records.to_vec());
        let checked = checked.and_then(|records| match &self.shared {
            Some(shared) => shared.check(&records),
            None => Ok(()),
        });
        checked.map_err(|error| self.on(error))
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let receipt = match self.try_submit(records) {
            Ok(receipt) => receipt,
            Err(error) => {
                self.poisoned.store(true, Ordering::Release);
                return refused(self.on(error));
            }
        };
        self.wrote = true;
        let (poisoned, shared) = (self.poisoned.clone(), self.shared.clone());
        let settled = receipt.map(move |outcome| {
            if outcome.rest.is_some() {
                poisoned.store(true, Ordering::Release);
                shared.iter().for_each(|shared| shared.broke());
            }
            Arc::new(Mutex::new(Some(outcome)))
        });
        let in_flight = settled.boxed().shared();
        self.in_flight.retain(|batch| batch.peek().is_none());
        self.in_flight.push(in_flight.clone());
        let vchannel = self.vchannel.clone();
        Receipt::from_future(async move {
            let outcome = in_flight.await.lock().unwrap_or_else(PoisonError::into_inner).take();
            let mut outcome = outcome.unwrap_or_else(|| {
                // Nobody else takes it.
                let error = TransportError::new("submit", TransportErrorKind::Closed);
                Outcome::partial(Vec::new(), Fate::Unknown, error)
            });
            if let Some(rest) = outcome.rest.take() {
                outcome = Outcome::partial(outcome.stored, rest.fate, rest.error.on(&*vchannel));
            }
            outcome
        })
    }

    async fn close(&mut self) -> Result<()> {
        while let Some(batch) = self.in_flight.last() {
            batch.clone().await;
            self.in_flight.pop();
        }
        match self.shared.take().and_then(Arc::into_inner) {
            Some(last) => last.close().await.map_err(|error| self.on(error)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for VirtualWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualWriter")
            .field("vchannel", &self.vchannel)
            .field("physical", &self.physical)
            .field("in_flight", &self.in_flight.len())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
