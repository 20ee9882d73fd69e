//! Creating, finding and deleting channels.

use msgstream_core::transport::CreateOptions;
use msgstream_core::transport::ReaderOptions;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, Capability, ChannelInfo, ChannelReader, ChannelWriter, Result, Subscription,
    Transport, TransportError, TransportErrorKind,
};
use serde_json::json;

use crate::NatsConfig;
use crate::config::Storage;
use crate::handle::Handle;
use crate::name::{channel_of, stream_of};
use crate::reader::NatsReader;
use crate::start::sequence;
use crate::stream_info::StreamInfo;
use crate::subscription::{NatsSubscription, check_name, cursors_of, purge, remove};
use crate::writer::NatsWriter;

/// The key in a stream's metadata that makes each creation another one.
const CREATION: &str = "msgstream.creation";

/// What the server adds to a stream's metadata begins so.
const SERVERS_OWN: &str = "_nats.";

/// A handle on the streams of one account, behind one prefix.
///
/// ```no_run
/// use msgstream_core::registry::Url;
/// use msgstream_core::transport::Transport as _;
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
    /// Connects to one of the servers. One that can't be reached is an error at once; a connection
    /// that is lost later is opened again when it is needed.
    ///
    /// # Errors
    /// [`Unavailable`](TransportErrorKind::Unavailable) where no server answers,
    /// [`Denied`](TransportErrorKind::Denied) where it refuses the credentials,
    /// [`Config`](TransportErrorKind::Config) where it demands TLS and that isn't compiled in.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn connect(config: NatsConfig) -> Result<Self> {
        let opened = Handle::open(config).await;
        let handle = opened.map_err(|kind| TransportError::new("connect", kind))?;
        Ok(Self { handle })
    }

    fn stream(&self, channel: &str) -> Result<String, TransportErrorKind> {
        stream_of(&self.handle.config.prefix, channel)
            .map_err(|reason| TransportErrorKind::InvalidName { reason })
    }

    /// The stream of a channel, and what is known of it.
    async fn find(&self, channel: &str) -> Result<(String, StreamInfo), TransportErrorKind> {
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
    ) -> Result<(), TransportErrorKind> {
        self.handle.check_open()?;
        let stream = self.stream(channel)?;
        if let Some(name) = properties.keys().find(|name| is_own(name)) {
            let reason = format!(
                "no property can be called `{name}`: names that begin with `{SERVERS_OWN}` and `{CREATION}` have another meaning"
            );
            return Err(TransportErrorKind::Config { reason });
        }
        // The server takes a request that makes what is there already for a repetition.
        let creation = RandomState::new().hash_one(std::process::id());
        properties.insert(CREATION.to_owned(), format!("{creation:x}"));
        let options = &self.handle.config.options;
        let config = json!({
            "name": stream,
            "subjects": [stream],
            "retention": "limits",
            "discard": options.discard,
            "storage": options.storage,
            "num_replicas": options.replicas,
            "max_bytes": options.max_bytes.unwrap_or(-1),
            "max_age": u64::try_from(options.max_age.as_nanos()).unwrap_or(u64::MAX),
            "metadata": properties,
        });
        Ok(self.handle.create_stream(&stream, config).await?)
    }

    async fn delete_stream(&self, channel: &str) -> Result<(), TransportErrorKind> {
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
        match self.handle.config.options.storage {
            Storage::File => all,
            Storage::Memory => all.without(Capability::Persistent),
        }
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let created = self.create_stream(channel, options.properties).await;
        created.map_err(|kind| TransportError::new("create", kind).on(channel))
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let deleted = self.delete_stream(channel).await;
        deleted.map_err(|kind| TransportError::new("delete", kind).on(channel))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self.handle.stream_names().await;
        let names = names.map_err(|e| TransportError::new("list", e.into()))?;
        let own = &self.handle.config.prefix;
        let channels = names.iter().filter_map(|stream| channel_of(own, stream));
        let mut channels: Vec<_> = channels.filter(|name| name.starts_with(prefix)).collect();
        channels.sort_unstable();
        // A page may tell what the one before has told, where streams came or went meanwhile.
        channels.dedup();
        Ok(channels)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let found = self.find(channel).await;
        let (_, info) = found.map_err(|kind| TransportError::new("describe", kind).on(channel))?;
        let first = (!info.is_empty()).then(|| Position::new(info.first()));
        let (incarnation, end) = (info.incarnation(), Position::new(info.end()));
        let mut properties = info.into_metadata();
        properties.retain(|name, _| !is_own(name));
        Ok(ChannelInfo::new(incarnation, first, end, properties))
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let opened = async {
            let stream = self.stream(channel).map_err(|_| TransportErrorKind::NotFound)?;
            NatsWriter::open(&self.handle, channel, stream).await
        };
        match opened.await {
            Ok(writer) => Ok(Box::new(writer)),
            Err(kind) => Err(TransportError::new("writer", kind).on(channel)),
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
            Err(kind) => Err(TransportError::new("reader", kind).on(channel)),
        }
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let opened = async {
            let (stream, info) = self.find(channel).await?;
            check_name(name)?;
            let handle = Arc::clone(&self.handle);
            Ok(NatsSubscription::new(handle, channel, stream, info.incarnation(), name))
        };
        match opened.await {
            Ok(subscription) => Ok(Arc::new(subscription)),
            Err(kind) => Err(TransportError::new("subscription", kind).on(channel)),
        }
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let removed = async {
            let (_, info) = self.find(channel).await?;
            check_name(name)?;
            remove(&self.handle, channel, info.incarnation(), name).await
        };
        removed.await.map_err(|kind| TransportError::new("unsubscribe", kind).on(channel))
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        let encoded = sequence(position).map(|_| offset_to_bytes(position).to_vec());
        encoded.map_err(|kind| TransportError::new("encode_position", kind))
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        offset_from_bytes(bytes).map_err(|error| {
            let reason =
                "these bytes are no position of a JetStream stream, which has 8".to_owned();
            let kind = TransportErrorKind::Config { reason };
            TransportError::new("decode_position", kind).because(error)
        })
    }

    async fn close(&self) -> Result<()> {
        self.handle.close().await;
        Ok(())
    }
}
