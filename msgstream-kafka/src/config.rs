//! The configuration, from a URL, the environment or a program.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use msgstream_core::registry::{ConnectError, Url, hosts, user};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::name::is_topic_text;
use crate::options::{DANGEROUS, FOR_ALL, FOR_READERS, FOR_WRITERS, OWN, check};

/// The port of an address that names none.
const PORT: u16 = 9092;

/// The most partitions that librdkafka creates a topic with.
const MAX_PARTITIONS: u32 = 100_000;
/// The most replicas.
const MAX_REPLICAS: u32 = 10_000;

/// Begins the options that are settings of topics which are created.
const CREATED_WITH: &str = "create.";
/// The setting of such topics that is the transport's own.
pub(crate) const TIME_TYPE: &str = "message.timestamp.type";

/// The property of librdkafka that `prefetch_bytes` sets, in KiB.
const PREFETCH: &str = "queued.max.messages.kbytes";

fn prefetch_kib(bytes: usize) -> String {
    bytes.div_ceil(1024).clamp(1, 2_097_151).to_string()
}

/// The configuration of a [`KafkaTransport`](crate::KafkaTransport).
///
/// ```
/// use msgstream_core::registry::Url;
/// use msgstream_kafka::KafkaConfig;
/// let url = "kafka://localhost/shop.?compression.codec=lz4&timeout_ms=5000";
/// let config = KafkaConfig::from_url(&Url::parse(url).unwrap())?;
///
/// use std::time::Duration;
/// let patient = config.with_timeout(Duration::from_secs(30)).with_window_bytes(1 << 20);
/// # let _ = patient;
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
#[derive(Clone)]
pub struct KafkaConfig {
    servers: String,
    /// The beginning of the topics' and groups' names.
    pub(crate) prefix: String,
    /// The longest wait for an answer.
    pub(crate) timeout: Duration,
    /// What a writer has in flight, in bytes.
    pub(crate) window_bytes: usize,
    /// Of topics that are created.
    pub(crate) partitions: i32,
    /// `None` for as many as the brokers say.
    pub(crate) replicas: Option<i32>,
    /// By the brokers' names.
    pub(crate) settings: BTreeMap<String, String>,
    /// The properties of librdkafka that are set.
    properties: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// Reads a URL. If it uses SASL and has no user, user and password come from the environment:
    /// `KAFKA_USERNAME` and `KAFKA_PASSWORD`.
    ///
    /// # Errors
    /// Fails with [`ConnectError`] if an address or option can't be used.
    pub fn from_url(url: &Url) -> Result<Self, ConnectError> {
        Self::from_url_and(url, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Sets how long a call waits for an answer.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how much a writer has in flight before `ready` waits, in bytes. It always sends one batch.
    #[must_use]
    pub fn with_window_bytes(mut self, bytes: usize) -> Self {
        self.window_bytes = bytes.max(1);
        self
    }

    /// Sets how much is read ahead for each reader, in bytes, rounded up to KiB. It is librdkafka's
    /// property `queued.max.messages.kbytes`.
    #[must_use]
    pub fn with_prefetch_bytes(mut self, bytes: usize) -> Self {
        self.properties.insert(PREFETCH.to_owned(), prefetch_kib(bytes));
        self
    }

    /// Sets with how many partitions `create` makes a topic, 1 to 100,000. One with several is as many channels:
    /// `orders:0`, `orders:1` and so on, of which none is called `orders`.
    ///
    /// Programs that create channels on their way, such as the home channel of a session, need a
    /// transport that leaves it at 1.
    #[must_use]
    pub fn with_partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions.clamp(1, MAX_PARTITIONS).cast_signed();
        self
    }

    /// Sets how many replicas the topics have that `create` makes, instead of as many as the brokers say.
    #[must_use]
    pub fn with_replicas(mut self, replicas: u32) -> Self {
        self.replicas = Some(replicas.clamp(1, MAX_REPLICAS).cast_signed());
        self
    }

    /// Sets a setting of the topics that `create` makes, by the brokers' name for it. Only
    /// `message.timestamp.type` stays what it is, `LogAppendTime`.
    ///
    /// ```
    /// # use msgstream_core::registry::Url;
    /// # use msgstream_kafka::KafkaConfig;
    /// # let config = KafkaConfig::from_url(&Url::parse("kafka://localhost").unwrap())?;
    /// let config = config.with_replicas(3).with_topic_setting("min.insync.replicas", "2");
    /// # let _ = config;
    /// # Ok::<(), msgstream_core::registry::ConnectError>(())
    /// ```
    #[must_use]
    pub fn with_topic_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    fn from_url_and(
        url: &Url,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        let mut properties = options(url)?;
        let settings = created_with(url, &mut properties)?;
        let mut own = |name: &str| properties.remove(name);
        let (more, timeout, window) = (own("servers"), own("timeout_ms"), own("window_bytes"));
        let partitions = partitions(url, own("partitions"))?;
        let replicas = replicas(url, own("replicas"))?;
        if let Some(prefetch) = own("prefetch_bytes") {
            if properties.contains_key(PREFETCH) {
                let reason = format!("the property `{PREFETCH}` is set too: leave one out");
                return Err(ConnectError::option(url, "prefetch_bytes", reason));
            }
            let bytes = positive(url, "prefetch_bytes", Some(prefetch), 1)?;
            let kib = prefetch_kib(usize::try_from(bytes).unwrap_or(usize::MAX));
            properties.insert(PREFETCH.to_owned(), kib);
        }
        let timeout = positive(url, "timeout_ms", timeout, 10_000)?;
        let window = positive(url, "window_bytes", window, 8 << 20)?;
        let servers = hosts(url, &more.unwrap_or_default(), PORT)?;
        let prefix = prefix(url)?;
        credentials(url, &mut properties, environment)?;
        mechanism(url, &properties)?;
        check(url, &properties)?;
        Ok(Self {
            servers: servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            prefix,
            timeout: Duration::from_millis(timeout),
            window_bytes: usize::try_from(window).unwrap_or(usize::MAX),
            partitions,
            replicas,
            settings,
            properties,
        })
    }

    /// Returns the client for the cursors of a group.
    pub(crate) fn cursors(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        // The group has no members, but a commit waits this long for the group's coordinator, too.
        config.set("session.timeout.ms", self.timeout.as_millis().clamp(1, 300_000).to_string());
        config
    }

    /// Returns the client for readers, which must name a group.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.questions();
        config.set("group.id", group);
        config
    }

    /// Returns the client for requests.
    pub(crate) fn questions(&self) -> ClientConfig {
        self.client(FOR_READERS)
    }

    /// Returns the client for writers. With a limit, its batches are no larger.
    pub(crate) fn producer(&self, limit: Option<usize>) -> ClientConfig {
        let mut config = self.client(FOR_WRITERS);
        if let Some(limit) = limit {
            config.set("batch.size", limit.to_string());
        }
        config
    }

    /// Returns the client for topics. Its log is off, because nobody would read it.
    pub(crate) fn admin(&self) -> ClientConfig {
        let mut config = self.client(&[]);
        if !self.properties.contains_key("socket.timeout.ms") {
            // To make a topic takes its time, and isn't asked for twice.
            let timeout = self.timeout.as_millis().clamp(1000, 300_000);
            config.set("socket.timeout.ms", timeout.to_string());
        }
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    fn client(&self, defaults: &[(&str, &str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        for (name, alias, value) in FOR_ALL.iter().chain(defaults) {
            if !self.properties.contains_key(*alias) {
                config.set(*name, *value);
            }
        }
        config.extend(self.properties.clone());
        config
    }

    /// Returns how long a record is tried.
    pub(crate) fn message_timeout(&self) -> Duration {
        let timeout = self.writers_number("message.timeout.ms").unwrap_or_default();
        Duration::from_millis(timeout as u64)
    }

    /// Returns a number among the properties of writers, set or not.
    pub(crate) fn writers_number(&self, name: &str) -> Option<usize> {
        self.producer(None).create_native_config().ok()?.get(name).ok()?.parse().ok()
    }

    /// Returns a number among the properties of readers, set or not.
    pub(crate) fn readers_number(&self, name: &str) -> Option<u32> {
        self.consumer("").create_native_config().ok()?.get(name).ok()?.parse().ok()
    }
}

/// The values may be secrets.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            servers,
            prefix,
            timeout,
            window_bytes,
            partitions,
            replicas,
            settings,
            properties,
        } = self;
        f.debug_struct("KafkaConfig")
            .field("servers", servers)
            .field("prefix", prefix)
            .field("timeout", timeout)
            .field("window_bytes", window_bytes)
            .field("partitions", partitions)
            .field("replicas", replicas)
            .field("settings", settings)
            .field("properties", &properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

fn options(url: &Url) -> Result<BTreeMap<String, String>, ConnectError> {
    let mut options = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        let (option, scheme) = (name.into_owned(), url.scheme().to_owned());
        if OWN.contains(&&*option) {
            let reason = "the transport sets it itself: leave it out";
            return Err(ConnectError::option(url, option, reason));
        }
        if DANGEROUS.contains(&&*option) || option.starts_with("sasl.oauthbearer.") {
            let reason = match option.starts_with("sasl") && !option.ends_with("cmd") {
                true => {
                    "OAUTHBEARER needs a token, which can't be obtained here: use PLAIN or SCRAM"
                }
                false => "it would make the client run or load what a URL names: leave it out",
            };
            return Err(ConnectError::option(url, option, reason));
        }
        if options.contains_key(&option) {
            return Err(ConnectError::DuplicateOption { scheme, option });
        }
        options.insert(option, value.into_owned());
    }
    Ok(options)
}

fn positive(
    url: &Url,
    name: &str,
    value: Option<String>,
    default: u64,
) -> Result<u64, ConnectError> {
    match value.map(|text| text.parse()) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err(ConnectError::option(url, name, "it must be a whole number greater than 0")),
    }
}

fn partitions(url: &Url, value: Option<String>) -> Result<i32, ConnectError> {
    let number = positive(url, "partitions", value, 1)?;
    match i32::try_from(number) {
        Ok(number) if number.unsigned_abs() <= MAX_PARTITIONS => Ok(number),
        _ => Err(ConnectError::option(url, "partitions", "it must be from 1 to 100000")),
    }
}

fn replicas(url: &Url, value: Option<String>) -> Result<Option<i32>, ConnectError> {
    let Some(value) = value else { return Ok(None) };
    match i32::try_from(positive(url, "replicas", Some(value), 1)?) {
        Ok(number) if number.unsigned_abs() <= MAX_REPLICAS => Ok(Some(number)),
        _ => Err(ConnectError::option(url, "replicas", "it must be from 1 to 10000")),
    }
}

/// Takes the settings of topics out of the options. The brokers check them when a topic is created.
fn created_with(
    url: &Url,
    options: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ConnectError> {
    let mut settings = BTreeMap::new();
    while let Some(option) = options.keys().find(|name| name.starts_with(CREATED_WITH)).cloned() {
        let setting = option[CREATED_WITH.len()..].to_owned();
        if setting == TIME_TYPE {
            let reason =
                "it is always `LogAppendTime`, because readers start at times of the brokers";
            return Err(ConnectError::option(url, &option, reason));
        }
        settings.insert(setting, options.remove(&option).unwrap_or_default());
    }
    Ok(settings)
}

fn prefix(url: &Url) -> Result<String, ConnectError> {
    let prefix = url.path().strip_prefix('/').unwrap_or_default();
    if url.fragment().is_some() || prefix.len() > 200 || !is_topic_text(prefix) {
        let reason = "the path is the prefix of the topics' names: use up to 200 letters A-Z and a-z, digits, `.`, `_` and `-`";
        return Err(ConnectError::address(url, reason));
    }
    Ok(prefix.to_owned())
}

/// Adds user and password. They are sent in the clear, or not, as the URL says: there is no default
/// for that.
fn credentials(
    url: &Url,
    properties: &mut BTreeMap<String, String>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConnectError> {
    let given = properties.contains_key("sasl.username");
    let in_address = user(url)?;
    if given && in_address.is_some() {
        let reason = "the user is set twice, before the host and as an option: leave one out";
        return Err(ConnectError::address(url, reason));
    }
    let user = if let Some((name, password)) = in_address {
        Some((name, password.unwrap_or_default()))
    } else if given {
        None
    } else if properties
        .get("security.protocol")
        .is_some_and(|p| p.to_ascii_lowercase().starts_with("sasl"))
    {
        let password = environment("KAFKA_PASSWORD").unwrap_or_default();
        environment("KAFKA_USERNAME").map(|name| (name, password))
    } else {
        // Without SASL what the environment has is meant for another connection.
        None
    };
    if let Some((name, password)) = user {
        properties.insert("sasl.username".to_owned(), name);
        properties.insert("sasl.password".to_owned(), password);
    }
    if !properties.contains_key("sasl.username") {
        return Ok(());
    }
    if !["sasl.mechanism", "sasl.mechanisms"].iter().any(|name| properties.contains_key(*name)) {
        properties.insert("sasl.mechanism".to_owned(), "PLAIN".to_owned());
    }
    if !properties.contains_key("security.protocol") {
        let reason = "user and password need it: set `sasl_ssl`, or `sasl_plaintext` if the network may see them";
        return Err(ConnectError::option(url, "security.protocol", reason));
    }
    Ok(())
}

/// Fails for a mechanism that needs more than a URL.
fn mechanism(url: &Url, properties: &BTreeMap<String, String>) -> Result<(), ConnectError> {
    for name in ["sasl.mechanism", "sasl.mechanisms"] {
        if properties.get(name).is_some_and(|value| value.eq_ignore_ascii_case("OAUTHBEARER")) {
            let reason =
                "OAUTHBEARER needs a token, which can't be obtained here: use PLAIN or SCRAM";
            return Err(ConnectError::option(url, name, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
