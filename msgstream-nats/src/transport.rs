//! The transport.

use msgstream_core::adapter::Failure;
use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, Result, Risk,
    Subscription, Transport, TransportError, TransportErrorKind,
};

use crate::NatsConfig;
use crate::client::Handle;
use crate::created::Storage;
use crate::name::{channel_of, stream_of};
use crate::reader::NatsReader;
use crate::risks::{jetstream, risks};
use crate::start::sequence;
use crate::stream_info::StreamInfo;
use crate::subscription::{NatsSubscription, check_name, cursors_of, names, purge, remove};
use crate::writer::NatsWriter;

/// The key in a stream's metadata that makes each creation unique.
const CREATION: &str = "msgstream.creation";

/// Begins the keys that the server adds to a stream's metadata.
const SERVERS_OWN: &str = "_nats.";

/// A transport over the streams of one account whose names begin with one prefix.
///
/// ```no_run
/// use msgstream_core::registry::Url;
/// use msgstream_core::transport::TransportExt as _;
/// use msgstream_nats::{NatsConfig, NatsTransport};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let url = Url::parse("nats://localhost:4222/shop-")?;
/// let transport = NatsTransport::connect(NatsConfig::from_url(&url)?).await?;
/// transport.create("orders").await?; // the stream `shop-orders`
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct NatsTransport {
    handle: Arc<Handle>,
}

impl NatsTransport {
    /// Connects to one of the servers. A connection that is lost later is opened again when it is
    /// needed.
    ///
    /// # Errors
    /// Fails with [`Unavailable`](TransportErrorKind::Unavailable) if no server answers, with
    /// [`Denied`](TransportErrorKind::Denied) if the server refuses the credentials, and with
    /// [`Config`](TransportErrorKind::Config) if it demands TLS and that isn't compiled in.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn connect(config: NatsConfig) -> Result<Self> {
        let opened = Handle::open(config).await;
        let handle = opened.map_err(|failure| failure.during("connect"))?;
        Ok(Self { handle })
    }

    fn stream(&self, channel: &str) -> Result<String, Failure> {
        stream_of(&self.handle.config.prefix, channel)
            .map_err(|reason| TransportErrorKind::InvalidName { reason }.into())
    }

    /// Returns the stream of a channel, and what the server reports about it.
    async fn find(&self, channel: &str) -> Result<(String, StreamInfo), Failure> {
        self.handle.check_open()?;
        // No channel has a name that can't be used.
        let stream = self.stream(channel).map_err(|_| TransportErrorKind::NotFound)?;
        let info = self.handle.stream_info(&stream).await?;
        Ok((stream, info))
    }

    async fn create_stream(
        &self,
        channel: &str,
        mut properties: BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        self.handle.check_open()?;
        let stream = self.stream(channel)?;
        if let Some(name) = properties.keys().find(|name| is_own(name)) {
            let reason = format!(
                "the property `{name}` can't be set, because `{CREATION}` and names that begin with `{SERVERS_OWN}` are reserved: use another name"
            );
            return Err(TransportErrorKind::Config { reason }.into());
        }
        // Without this the server takes a request to create what is there already for a repetition.
        let creation = RandomState::new().hash_one(std::process::id());
        properties.insert(CREATION.to_owned(), format!("{creation:x}"));
        let config = self.handle.config.options.created.of_channel(&stream, &properties);
        Ok(self.handle.create_stream(&stream, config).await?)
    }

    async fn trim_stream(&self, channel: &str, before: Position) -> Result<(), Failure> {
        let sequence = sequence(before)?;
        let (stream, info) = self.find(channel).await?;
        if sequence > info.end() {
            // The server would go on from there.
            let (position, end) = (before, Position::new(info.end()));
            return Err(TransportErrorKind::PositionBeyondEnd { position, end }.into());
        }
        match sequence > info.first() {
            true => Ok(self.handle.purge_before(&stream, sequence).await?),
            false => Ok(()),
        }
    }

    async fn delete_stream(&self, channel: &str) -> Result<(), Failure> {
        let (stream, info) = self.find(channel).await?;
        self.handle.delete_stream(&stream).await?;
        let cursors = cursors_of(&self.handle.config, channel, info.incarnation());
        purge(&self.handle, &cursors).await
    }
}

fn is_own(name: &str) -> bool {
    name.starts_with(SERVERS_OWN) || name == CREATION
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for NatsTransport {
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::all().with_max_payload(self.handle.max_payload);
        match self.handle.config.options.created.storage {
            Storage::File => all,
            Storage::Memory => all.without(Capability::Persistent),
        }
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let created = self.create_stream(channel, options.properties).await;
        created.map_err(|failure| failure.during("create").on(channel))
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let deleted = self.delete_stream(channel).await;
        deleted.map_err(|failure| failure.during("delete").on(channel))
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        let trimmed = self.trim_stream(channel, before).await;
        trimmed.map_err(|failure| failure.during("trim").on(channel))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self.handle.stream_names().await;
        let names = names.map_err(|error| Failure::from(error).during("list"))?;
        let own = &self.handle.config.prefix;
        let channels = names.iter().filter_map(|stream| channel_of(own, stream));
        let mut channels: Vec<_> = channels.filter(|name| name.starts_with(prefix)).collect();
        channels.sort_unstable();
        // A page may repeat a name of the one before if streams came or went meanwhile.
        channels.dedup();
        Ok(channels)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let found = self.find(channel).await;
        let (_, info) = found.map_err(|failure| failure.during("describe").on(channel))?;
        let first = (!info.is_empty()).then(|| Position::new(info.first()));
        let (incarnation, end) = (info.incarnation(), Position::new(info.end()));
        let records = info.messages();
        let mut properties = info.into_metadata();
        properties.retain(|name, _| !is_own(name));
        Ok(ChannelInfo::new(incarnation, first, end, properties).with_records(records))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let opened = async {
            let stream = self.stream(channel).map_err(|_| TransportErrorKind::NotFound)?;
            NatsWriter::open(&self.handle, channel, stream).await
        };
        match opened.await {
            Ok(writer) => Ok(Box::new(writer)),
            Err(failure) => Err(failure.during("writer").on(channel)),
        }
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let opened = async {
            let stream = self.stream(channel).map_err(|_| TransportErrorKind::NotFound)?;
            let handle = Arc::clone(&self.handle);
            let opened = NatsReader::open(handle, channel, stream, options);
            self.handle.while_open(opened).await
        };
        match opened.await {
            Ok(reader) => Ok(Box::new(reader)),
            Err(failure) => Err(failure.during("reader").on(channel)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opened = async {
            let (stream, info) = self.find(channel).await?;
            check_name(name)?;
            let handle = Arc::clone(&self.handle);
            let incarnation = info.incarnation();
            Ok::<_, Failure>(NatsSubscription::new(handle, channel, stream, incarnation, name))
        };
        match opened.await {
            Ok(subscription) => Ok(Arc::new(subscription)),
            Err(failure) => Err(failure.during("subscription").on(channel)),
        }
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let removed = async {
            let (_, info) = self.find(channel).await?;
            check_name(name)?;
            remove(&self.handle, channel, info.incarnation(), name).await
        };
        removed.await.map_err(|failure| failure.during("unsubscribe").on(channel))
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let listed = async {
            let (_, info) = self.find(channel).await?;
            names(&self.handle, channel, info.incarnation()).await
        };
        listed.await.map_err(|failure| failure.during("subscriptions").on(channel))
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        let found = async {
            let (stream, info) = self.find(channel).await?;
            let options = &self.handle.config.options;
            let server = match &options.monitor {
                Some(monitor) => Some(jetstream(monitor, options.timeout).await?),
                None => None,
            };
            Ok::<_, Failure>(risks(&stream, &info, server.as_ref()))
        };
        found.await.map_err(|failure| failure.during("risks").on(channel))
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let encoded = sequence(position).map(|_| offset_to_bytes(position).to_vec());
        encoded.map_err(|failure| failure.during("encode_position"))
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        offset_from_bytes(bytes).map_err(|error| {
            let reason = "a position of a JetStream stream has 8 bytes".to_owned();
            let kind = TransportErrorKind::Config { reason };
            TransportError::new("decode_position", kind).because(error)
        })
    }

    async fn close(&self) -> Result<()> {
        self.handle.close().await;
        Ok(())
    }
}
