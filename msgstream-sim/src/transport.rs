//! The transport: making, finding and removing channels, and cursors.

use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk, Subscription, Transport,
    TransportError, TransportErrorKind,
};

use crate::broker::{Attached, Channel, Handle, timed_out};
use crate::faults::{Dice, Fault};
use crate::log::offset;
use crate::reader::SimReader;
use crate::writer::SimWriter;

/// A handle on a simulated broker, made by [`Sim::transport`](crate::Sim::transport). A clone is
/// the same handle: closing one closes the other.
#[derive(Clone)]
pub struct SimTransport {
    pub(crate) handle: Arc<Handle>,
}

impl SimTransport {
    /// Makes the way to a channel and does something there; the answer may be lost.
    async fn call<T>(
        &self,
        operation: &'static str,
        channel: &str,
        act: impl FnOnce(&mut Channel, &mut Dice) -> Result<T, TransportErrorKind>,
    ) -> Result<T> {
        self.handle.reach(operation, channel).await?;
        let mut state = self.handle.broker.lock();
        let crate::broker::State { channels, dice, .. } = &mut *state;
        let done = match channels.get_mut(channel) {
            Some(channel) => act(channel, dice),
            None => Err(TransportErrorKind::NotFound),
        };
        let done = done.and_then(|done| answered(dice).map(|()| done));
        done.map_err(|kind| TransportError::new(operation, kind).on(channel))
    }

    /// The same for opening what stays attached to the channel's present life.
    async fn attach<T>(
        &self,
        operation: &'static str,
        name: &str,
        open: impl FnOnce(&mut Channel) -> Result<T, TransportErrorKind>,
    ) -> Result<(Attached, T)> {
        let handle = self.handle.clone();
        self.call(operation, name, |channel, _| {
            let opened = open(channel)?;
            Ok((Attached { handle, name: name.into(), life: channel.life }, opened))
        })
        .await
    }
}

/// What a call did is done, and its caller may not hear of it.
fn answered(dice: &mut Dice) -> Result<(), TransportErrorKind> {
    if dice.happens(dice.rates.lost_ack, Fault::LostAnswer) { Err(timed_out()) } else { Ok(()) }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for SimTransport {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::all();
        can.max_payload = self.handle.broker.max_payload;
        can
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let error = |kind| TransportError::new("create", kind).on(channel);
        self.handle.reach("create", channel).await?;
        check_name(channel).map_err(|reason| error(TransportErrorKind::InvalidName { reason }))?;
        let mut state = self.handle.broker.lock();
        if state.channels.contains_key(channel) {
            return Err(error(TransportErrorKind::AlreadyExists));
        }
        state.create(channel, options.properties);
        answered(&mut state.dice).map_err(error)
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let error = |kind| TransportError::new("delete", kind).on(channel);
        self.handle.reach("delete", channel).await?;
        let mut state = self.handle.broker.lock();
        if !state.delete(channel) {
            return Err(error(TransportErrorKind::NotFound));
        }
        answered(&mut state.dice).map_err(error)
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        let trim = |Channel { log, .. }: &mut Channel, dice: &mut Dice| {
            log.offset(before)?;
            dice.note(format_args!("trim {channel} before {before}"));
            log.trim(before);
            Ok(())
        };
        self.call("trim", channel, trim).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.handle.check_open().map_err(|kind| TransportError::new("list", kind))?;
        let state = self.handle.broker.lock();
        let names = state.channels.range(prefix.to_owned()..).map(|(name, _)| name);
        Ok(names.take_while(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let describe = |channel: &mut Channel, _: &mut Dice| {
            let first = channel.log.first().map(Position::new);
            let end = Position::new(channel.log.end());
            let info = ChannelInfo::new(channel.life, first, end, channel.properties.clone());
            Ok(info.with_records(channel.log.count()))
        };
        self.call("describe", channel, describe).await
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let (at, ()) = self.attach("writer", channel, |_| Ok(())).await?;
        Ok(Box::new(SimWriter::new(at)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let open = |channel: &mut Channel| {
            let found = channel.life;
            if let Some(expected) = options.incarnation.filter(|i| *i != found) {
                return Err(TransportErrorKind::WrongIncarnation { expected, found });
            }
            Ok((channel.changed.clone(), channel.log.resolve(options.start)?))
        };
        let (at, (changed, next)) = self.attach("reader", channel, open).await?;
        Ok(Box::new(SimReader::new(at, changed, next)))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let open = |channel: &mut Channel| {
            check_name(name).map_err(|reason| TransportErrorKind::Config {
                reason: format!("the subscription's name can't be used: {reason}"),
            })?;
            channel.cursors.entry(name.to_owned()).or_default();
            Ok(())
        };
        let (at, ()) = self.attach("subscription", channel, open).await?;
        Ok(Arc::new(SimSubscription { at, name: name.to_owned() }))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let remove = |channel: &mut Channel, _: &mut Dice| {
            channel.cursors.remove(name);
            Ok(())
        };
        self.call("unsubscribe", channel, remove).await
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let names =
            |channel: &mut Channel, _: &mut Dice| Ok(channel.cursors.keys().cloned().collect());
        self.call("subscriptions", channel, names).await
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.describe(channel).await.map(|_| Vec::new())
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let error = |kind| TransportError::new("encode_position", kind);
        Ok(offset(position).map_err(error)?.to_be_bytes().to_vec())
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        let Ok(bytes) = bytes.try_into() else {
            let reason = format!("a position of a simulated log has 8 bytes, not {}", bytes.len());
            let kind = TransportErrorKind::Config { reason };
            return Err(TransportError::new("decode_position", kind));
        };
        Ok(Position::new(u64::from_be_bytes(bytes)))
    }

    async fn close(&self) -> Result<()> {
        self.handle.close();
        self.handle.in_flight.fewer_than(1).await;
        Ok(())
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport").finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<(), String> {
    const MAX: usize = 255;
    if name.is_empty() || name.len() > MAX {
        return Err(format!("it has {} bytes; 1 to {MAX} are allowed", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("it has control characters; any other character is allowed".to_owned());
    }
    Ok(())
}

/// A cursor, kept with its channel.
#[derive(Debug)]
struct SimSubscription {
    at: Attached,
    name: String,
}

impl SimSubscription {
    async fn call<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut Channel) -> Result<T, TransportErrorKind>,
    ) -> Result<T> {
        self.at.handle.reach(operation, &self.at.name).await?;
        let done = self.at.with(|channel, dice| {
            let done = act(channel)?;
            answered(dice).map(|()| done)
        });
        done.map_err(|kind| self.at.error(operation, kind))
    }
}

#[async_trait]
impl Subscription for SimSubscription {
    async fn ack(&self, before: Position) -> Result<()> {
        let name = &self.name;
        let ack = |channel: &mut Channel| {
            channel.log.offset(before)?;
            let cursor = channel.cursors.entry(name.clone()).or_default();
            *cursor = (*cursor).max(Some(before));
            Ok(())
        };
        self.call("ack", ack).await
    }

    async fn acked(&self) -> Result<Option<Position>> {
        self.call("acked", |channel| Ok(channel.cursors.get(&self.name).copied().flatten())).await
    }
}
