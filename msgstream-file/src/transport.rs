//! The transport.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use msgstream_core::adapter::Failure;
use msgstream_core::adapter::positions::{offset_from_bytes, offset_to_bytes};
use msgstream_core::record::Position;
use msgstream_core::transport::{
    Capabilities, ChannelInfo, ChannelReader, ChannelWriter, CreateOptions, ReaderOptions, Result,
    Risk, Subscription, Transport, TransportError, TransportErrorKind as Kind,
};

use crate::FileConfig;
use crate::client::{Attached, Handle};
use crate::error::failed;
use crate::log::{About, create, delete, new_incarnation};
use crate::name::{file_name, name_of};
use crate::position::offset;
use crate::reader::FileReader;
use crate::subscription::FileSubscription;
use crate::writer::FileWriter;

/// A handle on a folder of channels.
///
/// A clone is the same handle: closing one closes the other. Handles on one folder, in one process
/// or in many, share its channels and cursors.
///
/// ```
/// use msgstream_core::record::Record;
/// use msgstream_core::transport::{Start, Transport as _, TransportExt as _};
/// use msgstream_file::{FileConfig, FileTransport};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let files = FileTransport::open(FileConfig::new(folder)).await?;
/// files.create("orders").await?;
/// let outcome = files.writer("orders").await?.submit(vec![Record::default()]).await;
/// assert_eq!(outcome.stored.len(), 1);
/// files.close().await?;
///
/// let again = FileTransport::open(FileConfig::new(folder)).await?;
/// let mut reader = again.reader("orders", Start::Earliest).await?;
/// assert_eq!(reader.read(Default::default()).await?.records.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileTransport {
    handle: Arc<Handle>,
}

impl FileTransport {
    /// Opens a folder, which is made if it is missing, unless
    /// [`with_create`](FileConfig::with_create) says otherwise.
    ///
    /// # Errors
    /// Fails with [`Config`](Kind::Config) if the folder is on a network file system, with
    /// [`Unavailable`](Kind::Unavailable) if it is missing and isn't made, and with what the system says if the folder can't be used. On other systems than Linux it always fails.
    ///
    /// # Cancel safety
    /// Nothing stays open after a cancelled call.
    pub async fn open(config: FileConfig) -> Result<Self> {
        let disk = crate::disk::of_this_machine().map_err(|failure| failure.during("open"))?;
        let folder = config.folder().display().to_string();
        let handle = Handle::open(config, disk).await.map_err(|failure| match failure.kind {
            // It is about the folder, not about a channel.
            Kind::NotFound => {
                let reason = format!("the folder {folder} can't be made: use another one");
                failure.with_kind(Kind::Config { reason })
            }
            _ => failure,
        });
        Ok(Self { handle: handle.map_err(|failure| failure.during("open"))? })
    }

    /// Gives up what is damaged in a channel, so that the rest can be read. Returns the positions of
    /// the records that are lost by this, in order; none if nothing is damaged.
    ///
    /// A read of a damaged record fails with [`Damaged`](Kind::Damaged), again and again: what is lost
    /// is never passed over by itself. After the repair readers go on behind it. All that is sound
    /// stays, at its position. Records that were written together in one batch may be lost together.
    ///
    /// ```
    /// use msgstream_core::record::{Position, Record};
    /// use msgstream_core::transport::{Transport as _, TransportErrorKind, TransportExt as _};
    /// # use msgstream_core::transport::Start;
    /// # use msgstream_file::{FileConfig, FileTransport};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let files = FileTransport::open(FileConfig::new(folder.path())).await?;
    /// # files.create("orders").await?;
    /// # let mut writer = files.writer("orders").await?;
    /// # assert!(writer.submit(vec![Record::default()]).await.rest.is_none());
    /// # let segment = folder.path().join("orders/00000000000000000000.log");
    /// # let mut bytes = std::fs::read(&segment)?;
    /// # bytes[72 + 48] ^= 1;
    /// # std::fs::write(&segment, bytes)?;
    /// # let mut reader = files.reader("orders", Start::Earliest).await?;
    /// let error = reader.read(Default::default()).await.unwrap_err();
    /// if matches!(error.kind(), TransportErrorKind::Damaged { .. }) {
    ///     let lost = files.repair("orders").await?;
    ///     assert_eq!(lost, [Position::new(0)..Position::new(1)]);
    /// }
    /// # assert!(reader.read(Default::default()).await?.records.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails with [`NotFound`](Kind::NotFound) if there is no such channel, and with
    /// [`Damaged`](Kind::Damaged) if more than records is damaged, such as the file that names the
    /// channel.
    ///
    /// # Cancel safety
    /// The repair may or may not be done after a cancelled call. What it gave up is in the log of the
    /// program, as a warning, whether the call is cancelled or not.
    pub async fn repair(&self, channel: &str) -> Result<Vec<Range<Position>>> {
        let (at, _) = self.find("repair", channel).await?;
        let (log, name) = (at.log.clone(), channel.to_owned());
        let repair = move |held: &_| {
            let lost = log.repair(held)?;
            for Range { start, end } in &lost {
                tracing::warn!(channel = name, start, end, "damaged records are given up");
            }
            Ok(lost)
        };
        let lost = at.handle.locked(&at.log, repair).await;
        let lost = lost.map_err(|failure| at.error("repair", failure))?;
        Ok(lost
            .into_iter()
            .map(|lost| Position::new(lost.start)..Position::new(lost.end))
            .collect())
    }

    pub(crate) async fn find(
        &self,
        operation: &'static str,
        channel: &str,
    ) -> Result<(Attached, About)> {
        let found = match self.handle.check_open() {
            Ok(()) => self.handle.find(channel).await,
            Err(kind) => Err(kind.into()),
        };
        found.map_err(|failure| failure.during(operation).on(channel))
    }
}

/// Returns the failure of a subscription's name.
fn cursor_name(name: &str) -> Result<String, Failure> {
    file_name(name).map_err(|reason| {
        let reason = format!("the subscription's name can't be used: {reason}");
        Kind::Config { reason }.into()
    })
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Transport for FileTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all().with_max_payload(self.handle.config.max_payload)
    }

    async fn create_with(&self, channel: &str, options: CreateOptions) -> Result<()> {
        let error = |failure: Failure| failure.during("create").on(channel);
        let folder = self.handle.folder_of(channel).map_err(error)?;
        let handle = Arc::clone(&self.handle);
        let name = handle.whole_name(channel);
        let make = move || {
            let incarnation = new_incarnation(handle.disk.now());
            create(&handle.disk, &handle.files, &folder, &name, options.properties, incarnation)
                .map_err(|failure| handle.vanished(failure))
        };
        self.handle.blocking(make).await.map_err(error)
    }

    async fn delete(&self, channel: &str) -> Result<()> {
        let (at, _) = self.find("delete", channel).await?;
        let log = at.log.clone();
        let deleted = at.handle.locked(&at.log, move |held| delete(&log, held)).await;
        deleted.map_err(|failure| at.error("delete", failure))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let error = |failure: Failure| failure.during("list");
        self.handle.check_open().map_err(|kind| error(kind.into()))?;
        let handle = Arc::clone(&self.handle);
        let prefix = self.handle.whole_name(prefix);
        let list = move || {
            let folder = handle.config.folder();
            let files = handle.disk.list(folder).map_err(failed("list", folder));
            let files = files.map_err(|failure| handle.vanished(failure))?;
            // Other folders may be there: `lost+found`, for one.
            let is_channel = |file: &str| {
                let found = handle.disk.identity(&folder.join(file).join("channel"));
                !found.is_err_and(|error| {
                    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                })
            };
            let own = |file: String| {
                let name = name_of(&file).filter(|name| name.starts_with(&prefix))?;
                let name = name.strip_prefix(&handle.config.prefix)?;
                is_channel(&file).then(|| name.to_owned())
            };
            let mut names: Vec<_> = files.into_iter().filter_map(own).collect();
            names.sort();
            Ok(names)
        };
        self.handle.blocking(list).await.map_err(error)
    }

    async fn describe(&self, channel: &str) -> Result<ChannelInfo> {
        let (at, about) = self.find("describe", channel).await?;
        let published = at.handle.published(&at.log).await;
        let published = published.map_err(|failure| at.error("describe", failure))?;
        let first = (published.first < published.end).then(|| Position::new(published.first));
        let end = Position::new(published.end);
        let log = at.log.clone();
        let records = at.handle.blocking(move || Ok(log.count(&published))).await;
        let mut info = ChannelInfo::new(about.incarnation, first, end, about.properties);
        info.records = records.map_err(|failure| at.error("describe", failure))?;
        Ok(info)
    }

    async fn writer(&self, channel: &str) -> Result<Box<dyn ChannelWriter>> {
        let (at, _) = self.find("writer", channel).await?;
        let log = at.log.clone();
        let kept = at.handle.blocking(move || log.keep()).await;
        kept.map_err(|failure| at.error("writer", failure))?;
        Ok(Box::new(FileWriter::new(at, channel)))
    }

    async fn reader_with(
        &self,
        channel: &str,
        options: ReaderOptions,
    ) -> Result<Box<dyn ChannelReader>> {
        let (at, about) = self.find("reader", channel).await?;
        let found = about.incarnation;
        if let Some(expected) = options.incarnation.filter(|i| *i != found) {
            return Err(at.error("reader", Kind::WrongIncarnation { expected, found }));
        }
        let reader = FileReader::open(at.clone(), options.start).await;
        Ok(Box::new(reader.map_err(|failure| at.error("reader", failure))?))
    }

    async fn subscription(&self, channel: &str, name: &str) -> Result<Arc<dyn Subscription>> {
        let (at, _) = self.find("subscription", channel).await?;
        let name = cursor_name(name).map_err(|failure| at.error("subscription", failure))?;
        let opened = FileSubscription::open(at.clone(), name).await;
        Ok(Arc::new(opened.map_err(|failure| at.error("subscription", failure))?))
    }

    async fn unsubscribe(&self, channel: &str, name: &str) -> Result<()> {
        let (at, _) = self.find("unsubscribe", channel).await?;
        let name = cursor_name(name).map_err(|failure| at.error("unsubscribe", failure))?;
        let log = at.log.clone();
        let removed = at.handle.locked(&at.log, move |held| log.remove_cursor(held, &name)).await;
        removed.map_err(|failure| at.error("unsubscribe", failure))
    }

    async fn subscriptions(&self, channel: &str) -> Result<Vec<String>> {
        let (at, _) = self.find("subscriptions", channel).await?;
        let log = at.log.clone();
        let files = at.handle.blocking(move || log.cursors()).await;
        let files = files.map_err(|failure| at.error("subscriptions", failure))?;
        let mut names: Vec<_> = files.iter().filter_map(|file| name_of(file)).collect();
        names.sort();
        Ok(names)
    }

    async fn trim(&self, channel: &str, before: Position) -> Result<()> {
        let (at, _) = self.find("trim", channel).await?;
        let before = offset(before).map_err(|kind| at.error("trim", kind))?;
        let log = at.log.clone();
        let trimmed = at.handle.locked(&at.log, move |held| log.trim(held, before)).await;
        trimmed.map_err(|failure| at.error("trim", failure))
    }

    async fn risks(&self, channel: &str) -> Result<Vec<Risk>> {
        self.describe(channel).await.map(|_| Vec::new())
    }

    fn encode_position(&self, position: Position) -> Result<Vec<u8>> {
        offset(position).map_err(|kind| TransportError::new("encode_position", kind))?;
        Ok(offset_to_bytes(position).to_vec())
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position> {
        offset_from_bytes(bytes).map_err(|error| {
            let reason = "a position in a log of files has 8 bytes".to_owned();
            TransportError::new("decode_position", Kind::Config { reason }).because(error)
        })
    }

    async fn close(&self) -> Result<()> {
        self.handle.close().await;
        Ok(())
    }
}
