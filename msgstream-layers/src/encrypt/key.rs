//! Keys, and where they come from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

/// A key that payloads are sealed with, and its id.
///
/// The id is in a header of each record that is sealed with the key, where anyone can read it. The
/// key itself is never written: `Debug` shows the id alone, and the memory is overwritten when the
/// last clone is dropped. A clone is the same key.
///
/// ```
/// use msgstream_layers::Key;
/// let key = Key::new("2026-11", &[7; Key::BYTES])?;
/// assert_eq!(format!("{key:?}"), r#"Key("2026-11")"#);
/// # Ok::<(), msgstream_layers::InvalidKeyId>(())
/// ```
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    id: Box<str>,
    cipher: XChaCha20Poly1305,
}

impl Key {
    /// The length of a key, in bytes.
    ///
    /// ```
    /// assert_eq!(msgstream_layers::Key::BYTES, 32);
    /// ```
    pub const BYTES: usize = 32;

    /// Returns a key. The bytes must be random, as a key management service or the system's random
    /// generator makes them: a password isn't a key. The id is 1 to 64 letters, digits, `.`, `_` and
    /// `-`.
    ///
    /// # Errors
    /// Fails with [`InvalidKeyId`].
    ///
    /// ```
    /// use msgstream_layers::Key;
    /// assert!(Key::new("orders-1", &[7; Key::BYTES]).is_ok());
    /// assert!(Key::new("orders;1", &[7; Key::BYTES]).is_err());
    /// ```
    pub fn new(id: impl Into<String>, bytes: &[u8; Self::BYTES]) -> Result<Self, InvalidKeyId> {
        let id = id.into();
        if !is_id(&id) {
            return Err(InvalidKeyId(id));
        }
        let cipher = XChaCha20Poly1305::new(bytes.into());
        Ok(Self(Arc::new(Inner { id: id.into(), cipher })))
    }

    /// Returns the id.
    ///
    /// ```
    /// # use msgstream_layers::Key;
    /// # let key = Key::new("orders-1", &[7; Key::BYTES])?;
    /// assert_eq!(key.id(), "orders-1");
    /// # Ok::<(), msgstream_layers::InvalidKeyId>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.0.cipher
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.0.id).finish()
    }
}

/// Returns whether a text can be a key's id: every broker takes it in a header.
pub(super) fn is_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(letter)
}

/// The error of a text that can't be a key's id.
///
/// ```
/// use msgstream_layers::Key;
/// let error = Key::new("", &[7; Key::BYTES]).unwrap_err();
/// assert!(error.to_string().starts_with("`` can't be the id of a key"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` can't be the id of a key: it has 1 to 64 letters, digits, `.`, `_` and `-`",
    .0.escape_debug()
)]
pub struct InvalidKeyId(String);

/// Where keys come from.
///
/// Both methods are called for batches and records, on the threads of the runtime, so they must not
/// wait: a program that has its keys from a key management service requests them beforehand, and
/// keeps them in memory. [`KeyRing`] is enough for keys that don't change while the program runs.
///
/// ```
/// use msgstream_layers::{Key, Keys};
/// /// One key for the channels with payments, and one for all others.
/// struct ByChannel { payments: Key, others: Key }
/// impl Keys for ByChannel {
///     fn sealing(&self, channel: &str) -> Option<Key> {
///         Some(if channel.starts_with("payments") { &self.payments } else { &self.others }.clone())
///     }
///     fn opening(&self, channel: &str, id: &str) -> Option<Key> {
///         self.sealing(channel).filter(|key| key.id() == id)
///     }
/// }
/// ```
pub trait Keys: Send + Sync + 'static {
    /// Returns the key that new records of a channel are sealed with. If it is `None`, they are
    /// refused with [`Denied`](msgstream_core::transport::TransportErrorKind::Denied).
    fn sealing(&self, channel: &str) -> Option<Key>;

    /// Returns the key that records of a channel were sealed with, by its id. If it is `None`, they are
    /// unreadable.
    fn opening(&self, channel: &str, id: &str) -> Option<Key>;
}

impl<K: Keys + ?Sized> Keys for Arc<K> {
    fn sealing(&self, channel: &str) -> Option<Key> {
        (**self).sealing(channel)
    }

    fn opening(&self, channel: &str, id: &str) -> Option<Key> {
        (**self).opening(channel, id)
    }
}

/// The same keys for every channel: one that seals, and older ones that only open.
///
/// To replace a key, add the new one everywhere with [`with`](Self::with) first, and seal with it once
/// every reader has it.
///
/// ```
/// use msgstream_layers::{Key, KeyRing, Keys};
/// let (old, new) = (Key::new("1", &[1; 32])?, Key::new("2", &[2; 32])?);
/// let ring = KeyRing::new(new).with(old);
/// assert_eq!(ring.sealing("orders").unwrap().id(), "2");
/// assert!(ring.opening("orders", "1").is_some());
/// # Ok::<(), msgstream_layers::InvalidKeyId>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRing {
    sealing: Key,
    keys: BTreeMap<Box<str>, Key>,
}

impl KeyRing {
    /// Returns a ring of one key, which seals.
    ///
    /// ```
    /// use msgstream_layers::{Key, KeyRing};
    /// let ring = KeyRing::new(Key::new("1", &[1; 32])?);
    /// # Ok::<(), msgstream_layers::InvalidKeyId>(())
    /// ```
    #[must_use]
    pub fn new(sealing: Key) -> Self {
        Self { sealing: sealing.clone(), keys: BTreeMap::new() }.with(sealing)
    }

    /// Adds a key that opens. It replaces one with the same id.
    ///
    /// ```
    /// use msgstream_layers::{Key, KeyRing, Keys};
    /// let ring = KeyRing::new(Key::new("1", &[1; 32])?).with(Key::new("2", &[2; 32])?);
    /// assert_eq!(ring.sealing("orders").unwrap().id(), "1");
    /// # Ok::<(), msgstream_layers::InvalidKeyId>(())
    /// ```
    #[must_use]
    pub fn with(mut self, opening: Key) -> Self {
        self.keys.insert(opening.id().into(), opening);
        self
    }
}

impl Keys for KeyRing {
    fn sealing(&self, _: &str) -> Option<Key> {
        Some(self.sealing.clone())
    }

    fn opening(&self, _: &str, id: &str) -> Option<Key> {
        self.keys.get(id).cloned()
    }
}
