//! Writers that seal.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use msgstream_core::adapter::Failure;
use msgstream_core::delegate;
use msgstream_core::record::Record;
use msgstream_core::transport::{
    ChannelWriter, Fate, Outcome, Receipt, Result, TransportError, TransportErrorKind as Kind,
    Unstored,
};

use super::key::{Key, Keys};
use super::seal::{HEADER, LONGEST, NONCE, OVERHEAD, header, is_sealed, seal};

pub(super) struct SealingWriter {
    inner: Box<dyn ChannelWriter>,
    channel: Box<str>,
    /// The name that messages are bound to.
    name: Arc<str>,
    keys: Arc<dyn Keys>,
    /// It refused a batch, of which the writer underneath knows nothing.
    poisoned: bool,
}

impl SealingWriter {
    pub(super) fn new(
        inner: Box<dyn ChannelWriter>,
        channel: &str,
        name: Arc<str>,
        keys: Arc<dyn Keys>,
    ) -> Self {
        Self { inner, channel: channel.into(), name, keys, poisoned: false }
    }

    fn error(&self, operation: &'static str, kind: Kind) -> TransportError {
        TransportError::new(operation, kind).on(&*self.channel)
    }

    /// Returns the key for a batch; `None` if nothing in it is sealed.
    fn key(&self, records: &[Record]) -> Result<Option<Key>, Kind> {
        if !records.iter().any(|record| is_sealed(record.meta.msg_type)) {
            return Ok(None);
        }
        let denied = || Kind::Denied { reason: "there is no key to seal messages with".to_owned() };
        self.keys.sealing(&self.name).map(Some).ok_or_else(denied)
    }

    /// Seals a batch.
    fn seal(&self, mut records: Vec<Record>) -> Result<Vec<Record>, Failure> {
        let Some(key) = self.key(&records)? else { return Ok(records) };
        let header = header(&key);
        let mut nonces = vec![[0; NONCE]; records.len()];
        getrandom::fill(nonces.as_flattened_mut()).map_err(no_nonces)?;
        for (record, nonce) in records.iter_mut().zip(nonces) {
            if !is_sealed(record.meta.msg_type) {
                continue;
            }
            is_ours(record)?;
            let sealed = seal(&key, nonce, &self.name, &record.meta, &record.payload);
            record.payload = sealed.ok_or_else(|| too_long(record.payload.len()))?;
            record.extra.push(header.clone());
        }
        Ok(records)
    }

    /// Returns records that are as large as those of a batch are once they are sealed.
    fn as_large(&self, records: &[Record]) -> Result<Vec<Record>, Kind> {
        let Some(key) = self.key(records)? else { return Ok(records.to_vec()) };
        let header = header(&key);
        let longest = records.iter().map(|record| record.payload.len()).max().unwrap_or_default();
        let blank = Bytes::from(vec![0; longest.saturating_add(OVERHEAD)]);
        let enlarged = records.iter().map(|record| {
            let mut record = record.clone();
            if is_sealed(record.meta.msg_type) {
                is_ours(&record)?;
                record.payload = blank.slice(..record.payload.len() + OVERHEAD);
                record.extra.push(header.clone());
            }
            Ok(record)
        });
        enlarged.collect()
    }
}

/// Checks that a record has no header of this layer yet: of two, readers couldn't know which is ours.
fn is_ours(record: &Record) -> Result<(), Kind> {
    if record.header(HEADER).is_none() {
        return Ok(());
    }
    let reason = "it is what marks a sealed payload, and this one isn't sealed yet".to_owned();
    Err(Kind::InvalidHeader { name: HEADER.to_owned(), reason })
}

fn no_nonces(error: getrandom::Error) -> Failure {
    let reason = "the system has no random numbers for a nonce".to_owned();
    Failure::new(Kind::Unavailable { reason }, error)
}

fn too_long(bytes: usize) -> Kind {
    Kind::TooLarge { bytes, limit: usize::try_from(LONGEST).unwrap_or(usize::MAX) }
}

/// Returns an error in the sizes of those who don't see what sealing adds.
fn unsealed(error: TransportError) -> TransportError {
    let Kind::TooLarge { bytes, limit } = *error.kind() else { return error };
    let less = |size: usize| size.saturating_sub(OVERHEAD);
    let kind = Kind::TooLarge { bytes: less(bytes), limit: less(limit) };
    let channel = error.channel().map(str::to_owned);
    let error = TransportError::new(error.operation(), kind).because(error);
    match channel {
        Some(channel) => error.on(channel),
        None => error,
    }
}

impl fmt::Debug for SealingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingWriter").field(&self.inner).finish()
    }
}

#[async_trait]
impl ChannelWriter for SealingWriter {
    delegate!(self => self.inner, ChannelWriter { close });

    async fn ready(&mut self) -> Result<()> {
        self.inner.ready().await?;
        match self.poisoned {
            true => Err(self.error("ready", Kind::Poisoned)),
            false => Ok(()),
        }
    }

    fn check(&self, records: &[Record]) -> Result<()> {
        let records = self.as_large(records).map_err(|kind| self.error("check", kind))?;
        self.inner.check(&records).map_err(unsealed)
    }

    fn submit(&mut self, records: Vec<Record>) -> Receipt {
        let sealed = match self.poisoned {
            true => Err(Kind::Poisoned.into()),
            false => self.seal(records),
        };
        let records = match sealed {
            Ok(records) => records,
            Err(failure) => {
                self.poisoned = true;
                let error = failure.during("submit").on(&*self.channel);
                return Receipt::ready(Outcome::partial(Vec::new(), Fate::NotStored, error));
            }
        };
        let receipt = self.inner.submit(records);
        Receipt::from_future(async move {
            let Outcome { stored, rest, .. } = receipt.await;
            match rest {
                None => Outcome::stored(stored),
                Some(Unstored { fate, error, .. }) => {
                    Outcome::partial(stored, fate, unsealed(error))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use msgstream_core::adapter::cause;

    use super::*;

    #[test]
    fn what_the_system_says_of_its_random_numbers_stays_the_cause() {
        let own = getrandom::Error::UNSUPPORTED;
        let error = no_nonces(own).during("submit");
        assert_eq!(cause(&error), Some(&own));
        assert!(!error.to_string().contains(&own.to_string()), "{error}");
    }
}
