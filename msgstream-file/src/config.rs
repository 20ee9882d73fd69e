//! The configuration, from a URL or a program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use msgstream_core::registry::{ConnectError, Url, parse_options};
use serde::Deserialize;

use crate::log::{Rules, SyncMode};

/// How a [`FileTransport`](crate::FileTransport) keeps its channels.
///
/// ```
/// use msgstream_file::{FileConfig, SyncPolicy};
/// let config = FileConfig::new("/var/lib/shop/log").with_sync(SyncPolicy::Commit).with_max_bytes(1 << 30);
/// assert_eq!(config.folder(), std::path::Path::new("/var/lib/shop/log"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    folder: PathBuf,
    pub(crate) create: bool,
    pub(crate) prefix: String,
    pub(crate) sync: SyncPolicy,
    segment_bytes: u64,
    max_bytes: Option<u64>,
    max_age: Option<Duration>,
    pub(crate) max_payload: usize,
    pub(crate) window_bytes: usize,
    pub(crate) max_open_files: usize,
    pub(crate) timeout: Duration,
}

/// When records become durable: what a power cut, or a crash of the operating system, may take. The
/// end of a process takes nothing that was acknowledged, whichever it is.
///
/// ```
/// use msgstream_file::SyncPolicy;
/// assert_eq!(SyncPolicy::default(), SyncPolicy::Commit);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before they are acknowledged, and before any reader sees them. Nothing is lost.
    #[default]
    Commit,
    /// At least this often. What was acknowledged, and read, since the last time is lost.
    Every(Duration),
    /// When the operating system thinks it right, mostly within half a minute, and at the end of
    /// each segment.
    Os,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UrlOptions {
    create: bool,
    prefix: String,
    sync: String,
    segment_bytes: u64,
    max_bytes: Option<u64>,
    max_age_ms: Option<u64>,
    max_payload: usize,
    window_bytes: usize,
    max_open_files: usize,
    timeout_ms: u64,
}

impl Default for UrlOptions {
    fn default() -> Self {
        let usual = FileConfig::new("");
        Self {
            create: usual.create,
            prefix: usual.prefix,
            sync: "commit".to_owned(),
            segment_bytes: usual.segment_bytes,
            max_bytes: None,
            max_age_ms: None,
            max_payload: usual.max_payload,
            window_bytes: usual.window_bytes,
            max_open_files: usual.max_open_files,
            timeout_ms: usual.timeout.as_millis() as u64,
        }
    }
}

/// The least number of open files that is enough for the calls that are under way at a time.
pub(crate) const FEWEST_FILES: usize = 80;

impl FileConfig {
    /// Returns the configuration of a transport with its channels in a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            create: true,
            prefix: String::new(),
            sync: SyncPolicy::Commit,
            segment_bytes: 64 << 20,
            max_bytes: None,
            max_age: None,
            max_payload: 64 << 20,
            window_bytes: 16 << 20,
            max_open_files: 256,
            timeout: Duration::from_secs(30),
        }
    }

    /// Reads a URL: the folder is its path, and the rest its options.
    ///
    /// ```
    /// use msgstream_core::registry::Url;
    /// use msgstream_file::FileConfig;
    /// let url = Url::parse("file:///var/lib/shop?sync=200ms&prefix=eu-").unwrap();
    /// let config = FileConfig::from_url(&url)?;
    /// assert_eq!(config.folder(), std::path::Path::new("/var/lib/shop"));
    /// # Ok::<(), msgstream_core::registry::ConnectError>(())
    /// ```
    ///
    /// # Errors
    /// Fails with [`ConnectError`] if the URL has no absolute path, or an option is unknown or has an
    /// invalid value.
    pub fn from_url(url: &Url) -> Result<Self, ConnectError> {
        let read: UrlOptions = parse_options(url)?;
        let positive = |name: &str, value: u64| match value {
            0 => Err(ConnectError::option(url, name, "it must be greater than 0")),
            value => Ok(value),
        };
        if !(1..=LARGEST_SEGMENT).contains(&read.segment_bytes) {
            let reason = format!("it must be from 1 to {LARGEST_SEGMENT}");
            return Err(ConnectError::option(url, "segment_bytes", reason));
        }
        positive("timeout_ms", read.timeout_ms)?;
        positive("window_bytes", read.window_bytes as u64)?;
        read.max_bytes.map(|bytes| positive("max_bytes", bytes)).transpose()?;
        read.max_age_ms.map(|ms| positive("max_age_ms", ms)).transpose()?;
        if !(1..=LARGEST_PAYLOAD).contains(&read.max_payload) {
            let reason = format!("it must be from 1 to {LARGEST_PAYLOAD}");
            return Err(ConnectError::option(url, "max_payload", reason));
        }
        if read.max_open_files < FEWEST_FILES {
            let reason = format!("it must be at least {FEWEST_FILES}");
            return Err(ConnectError::option(url, "max_open_files", reason));
        }
        Ok(Self {
            folder: folder(url)?,
            create: read.create,
            prefix: read.prefix,
            sync: sync(url, &read.sync)?,
            segment_bytes: read.segment_bytes,
            max_bytes: read.max_bytes,
            max_age: read.max_age_ms.map(Duration::from_millis),
            max_payload: read.max_payload,
            window_bytes: read.window_bytes,
            max_open_files: read.max_open_files,
            timeout: Duration::from_millis(read.timeout_ms),
        })
    }

    /// Returns the folder of the channels.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets whether the folder is made if it is missing. It is unless set; otherwise opening it fails
    /// with [`Unavailable`](msgstream_core::transport::TransportErrorKind::Unavailable).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use msgstream_file::{FileConfig, FileTransport};
    /// let config = FileConfig::new("/var/lib/shop/lgo").with_create(false);
    /// let error = FileTransport::open(config).await.unwrap_err();
    /// assert!(error.to_string().contains("there is no log in the folder /var/lib/shop/lgo"));
    /// # }
    /// ```
    #[must_use]
    pub const fn with_create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets what the names of all channels begin with, unseen. Nothing unless set.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets when records become durable. [`SyncPolicy::Commit`] unless set.
    #[must_use]
    pub const fn with_sync(mut self, sync: SyncPolicy) -> Self {
        self.sync = sync;
        self
    }

    /// Sets how large a segment grows, in bytes. 64 MiB unless set, 1 GiB at most. Retention removes
    /// whole segments.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(1, LARGEST_SEGMENT);
        self
    }

    /// Sets how much each channel keeps, in bytes of its files; the oldest segments go first. There
    /// is no limit unless set.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets how long records are kept, at the least. There is no limit unless set.
    #[must_use]
    pub const fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Sets the limit to the payload of a record, in bytes. 64 MiB unless set, 1 GiB at most.
    #[must_use]
    pub fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes.clamp(1, LARGEST_PAYLOAD);
        self
    }

    /// Sets how much may be in flight in each writer, in bytes. 16 MiB unless set.
    #[must_use]
    pub const fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes;
        self
    }

    /// Sets how many files are open at most. 256 unless set, 80 at the least.
    #[must_use]
    pub fn with_max_open_files(mut self, files: usize) -> Self {
        self.max_open_files = files.max(FEWEST_FILES);
        self
    }

    /// Sets how long to wait for another process that writes to the same channel. 30 s unless set.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) const fn rules(&self) -> Rules {
        Rules {
            sync: match self.sync {
                SyncPolicy::Commit => SyncMode::Commit,
                SyncPolicy::Every(_) | SyncPolicy::Os => SyncMode::Later,
            },
            segment_bytes: self.segment_bytes,
            max_bytes: self.max_bytes,
            max_age: self.max_age,
        }
    }
}

/// A frame that a repair puts over damage must fit 32 bits, too.
const LARGEST_SEGMENT: u64 = 1 << 30;

/// A record must fit a frame, whose length has 32 bits.
const LARGEST_PAYLOAD: usize = 1 << 30;

fn folder(url: &Url) -> Result<PathBuf, ConnectError> {
    let bare = url.host_str().is_none_or(str::is_empty) && url.fragment().is_none();
    let path = bare.then(|| url.to_file_path().ok()).flatten();
    path.filter(|path| path.parent().is_some()).ok_or_else(|| {
        ConnectError::address(url, "write file:///FOLDER, with the absolute path of a folder")
    })
}

fn sync(url: &Url, text: &str) -> Result<SyncPolicy, ConnectError> {
    match text {
        "commit" => return Ok(SyncPolicy::Commit),
        "os" => return Ok(SyncPolicy::Os),
        _ => {}
    }
    let milliseconds = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse::<u32>().ok(),
        (None, Some(number)) => number.parse::<u32>().ok().and_then(|n| n.checked_mul(1_000)),
        (None, None) => None,
    };
    match milliseconds {
        Some(ms) if ms > 0 => Ok(SyncPolicy::Every(Duration::from_millis(u64::from(ms)))),
        _ => {
            let reason = "it must be `commit`, `os`, or a time such as 200ms or 1s";
            Err(ConnectError::option(url, "sync", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(url: &str) -> Result<FileConfig, ConnectError> {
        FileConfig::from_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_url_is_a_folder_and_options() {
        let usual = read("file:///a%20b/c").unwrap();
        assert_eq!(usual, FileConfig::new("/a b/c"));
        assert_eq!(read("file://localhost/x").unwrap().folder(), Path::new("/x"));
        let config = read("file:///x?create=false&prefix=p&sync=os&segment_bytes=1&max_bytes=2&max_age_ms=3&max_payload=4&window_bytes=5&max_open_files=80&timeout_ms=7").unwrap();
        let wanted = FileConfig::new("/x")
            .with_create(false)
            .with_prefix("p")
            .with_sync(SyncPolicy::Os)
            .with_segment_bytes(1)
            .with_max_bytes(2)
            .with_max_age(Duration::from_millis(3))
            .with_max_payload(4)
            .with_window_bytes(5)
            .with_max_open_files(80)
            .with_timeout(Duration::from_millis(7));
        assert_eq!(config, wanted);
    }

    #[test]
    fn syncs_are_read() {
        let of = |text: &str| read(&format!("file:///x?sync={text}")).map(|config| config.sync);
        assert_eq!(of("commit").unwrap(), SyncPolicy::Commit);
        assert_eq!(of("200ms").unwrap(), SyncPolicy::Every(Duration::from_millis(200)));
        assert_eq!(of("2s").unwrap(), SyncPolicy::Every(Duration::from_secs(2)));
        for wrong in ["", "always", "0ms", "5", "-1s", "1m"] {
            assert!(matches!(of(wrong), Err(ConnectError::InvalidOption { .. })), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        for url in ["file://host/x", "file:///", "file:///x#y"] {
            assert!(matches!(read(url), Err(ConnectError::InvalidAddress { .. })), "{url}");
        }
        for option in ["max_payload=0", "max_open_files=3", "segment_bytes=0", "max_age_ms=0"] {
            let error = read(&format!("file:///x?{option}")).unwrap_err();
            assert!(matches!(error, ConnectError::InvalidOption { .. }), "{option}");
        }
    }
}
