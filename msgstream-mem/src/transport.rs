//! The transport.

use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::array::TryFromSliceError;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::record::Position;
use msgstream_core::registry::ConnectError;
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk,
    Subscription, Transport, TransportError, TransportErrorKind,
};

use crate::MemConfig;
use crate::client::{Attached, Channel, Handle, Instance, lock};
use crate::log::offset;
use crate::name::check_name;
use crate::reader::MemReader;
use crate::subscription::MemSubscription;
use crate::writer::MemWriter;

/// A handle on an instance: channels in memory.
///
/// A clone is the same handle: closing one closes the other. Handles made one by one on the same
/// name share channels and cursors, and are closed one by one.
///
/// ```
/// use msgstream_core::transport::{Transport as _, TransportExt as _};
/// use msgstream_mem::{MemConfig, MemTransport};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let private = MemTransport::new(MemConfig::default());
/// private.create("orders").await?;
///
/// MemTransport::named("shop").create("orders").await?;
/// assert_eq!(MemTransport::named("shop").list("").await?, ["orders"]);
/// # Ok::<(), msgstream_core::transport::TransportError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemTransport {
    handle: Arc<Handle>,
}

impl MemTransport {
    /// Creates a private instance, which ends with its last handle, writer, reader or subscription.
    #[must_use]
    pub fn new(config: MemConfig) -> Self {
        Self { handle: Handle::new(Instance::new(config)) }
    }

    /// Returns a handle on the instance of this name, which is created without limits if it is missing
    /// and kept for the life of the process. The name may be any text; in a URL it has only letters,
    /// digits, `-`, `_` and `.`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { handle: Handle::new(Instance::named(name, MemConfig::default())) }
    }

    /// Returns a handle on the instance of this name, which is created with this configuration if it is
    /// missing.
    ///
    /// # Errors
    /// Fails with [`ConnectError::InvalidOption`] if the instance has another value for an option that
    /// the configuration sets.
    pub fn named_with(name: &str, config: MemConfig) -> Result<Self, ConnectError> {
        let instance = Instance::named(name, config);
        instance.check(name, config)?;
        Ok(Self { handle: Handle::new(instance) })
    }

    fn find(&self, operation: &'static str, channel: &str) -> Result<Attached> {
        let found = self
            .handle
            .check_open()
            .and_then(|()| self.handle.instance.find(channel).ok_or(TransportErrorKind::NotFound));
        match found {
            Ok(channel) => Ok(Attached { handle: Arc::clone(&self.handle), channel }),
            Err(kind) => Err(TransportError::new(operation, kind).on(channel)),
        }
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        self.handle.check_open().map_err(|kind| TransportError::new(operation, kind))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for MemTransport {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::all().without(Capability::Persistent);
        capabilities.max_payload = self.handle.instance.config.max_payload;
        capabilities
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let error = |kind| TransportError::new("create", kind).on(channel);
        self.handle.check_open().map_err(error)?;
        check_name(channel).map_err(|reason| error(TransportErrorKind::InvalidName { reason }))?;
        let mut channels = lock(&self.handle.instance.channels);
        if channels.contains_key(channel) {
            return Err(error(TransportErrorKind::AlreadyExists));
        }
        channels.insert(channel.to_owned(), Channel::new(channel, options.properties));
        Ok(())
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let error = |kind| TransportError::new("delete", kind).on(channel);
        self.handle.check_open().map_err(error)?;
        let mut channels = lock(&self.handle.instance.channels);
        let removed =
            channels.remove(channel).ok_or_else(|| error(TransportErrorKind::NotFound))?;
        // Ended under the lock: nothing goes into it once another of its name can be made.
        let records = removed.end();
        drop(channels);
        // Not under the lock: it may be many.
        drop(records);
        Ok(())
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        let at = self.find("trim", channel)?;
        let trimmed = at.with_log(|log| Ok(log.trim(log.offset(before)?)));
        // Freed here, and not under the lock: it may be many.
        trimmed.map(drop).map_err(|kind| at.error("trim", kind))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.check_open("list")?;
        let channels = lock(&self.handle.instance.channels);
        let names = channels.range(prefix.to_owned()..).map(|(name, _)| name);
        Ok(names.take_while(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let at = self.find("describe", channel)?;
        let bounds = at.with_log(|log| Ok((log.first(), log.end())));
        let (first, end) = bounds.map_err(|kind| at.error("describe", kind))?;
        Ok(ChannelInfo::new(
            at.channel.incarnation,
            first.map(Position::new),
            Position::new(end),
            at.channel.properties.clone(),
        )
        .with_records(end - first.unwrap_or(end)))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        Ok(Box::new(MemWriter::new(self.find("writer", channel)?)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let at = self.find("reader", channel)?;
        let found = at.channel.incarnation;
        if let Some(expected) = options.incarnation.filter(|i| *i != found) {
            let kind = TransportErrorKind::WrongIncarnation { expected, found };
            return Err(at.error("reader", kind));
        }
        match at.with_log(|log| log.resolve(options.start)) {
            Ok(next) => Ok(Box::new(MemReader::new(at, next))),
            Err(kind) => Err(at.error("reader", kind)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let at = self.find("subscription", channel)?;
        if let Err(reason) = check_name(name) {
            let reason = format!("the subscription's name can't be used: {reason}");
            return Err(at.error("subscription", TransportErrorKind::Config { reason }));
        }
        Ok(Arc::new(MemSubscription::new(at, name)))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let at = self.find("unsubscribe", channel)?;
        lock(&at.channel.cursors).remove(name);
        Ok(())
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let at = self.find("subscriptions", channel)?;
        Ok(lock(&at.channel.cursors).keys().cloned().collect())
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.describe(channel).await.map(|_| Vec::new())
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let offset =
            offset(position).map_err(|kind| TransportError::new("encode_position", kind))?;
        Ok(offset.to_le_bytes().to_vec())
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        let bytes = bytes.try_into().map_err(|error: TryFromSliceError| {
            let reason =
                format!("a position of an in-process log has 8 bytes, not {}", bytes.len());
            let kind = TransportErrorKind::Config { reason };
            TransportError::new("decode_position", kind).because(error)
        })?;
        Ok(Position::new(u64::from_le_bytes(bytes)))
    }

    async fn close(&self) -> Result<()> {
        self.handle.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_keeps_its_cause() {
        let error = MemTransport::new(MemConfig::default()).decode_position(&[1]).unwrap_err();
        assert!(error.source().unwrap().is::<TryFromSliceError>());
    }
}
