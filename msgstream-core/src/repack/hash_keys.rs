//! The hash keys of many messages.

use crate::message::Message;

/// The hash keys of a pack's messages, in two flat lists instead of one list per message.
///
/// ```
/// use msgstream_core::repack::HashKeys;
/// let keys = HashKeys::from_iter([[1, 2].as_slice(), &[], &[3]]);
/// assert_eq!(keys.len(), 3);
/// assert_eq!(keys.of(0), [1, 2]);
/// assert!(keys.of(1).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HashKeys {
    keys: Vec<u32>,
    /// Where each message's keys end in `keys`.
    ends: Vec<usize>,
}

impl HashKeys {
    /// Returns the hash keys of messages. A record that isn't decoded has none.
    ///
    /// ```
    /// use msgstream_core::message::{Message, TimeTickMsg};
    /// use msgstream_core::repack::HashKeys;
    /// use msgstream_core::Timestamp;
    /// let message = Message::from(TimeTickMsg::new(Timestamp(5)).with_hash_keys([7]));
    /// assert_eq!(HashKeys::of_messages(&[message]).of(0), [7]);
    /// ```
    #[must_use]
    pub fn of_messages(msgs: &[Message]) -> Self {
        msgs.iter()
            .map(|msg| match msg {
                Message::Typed(m) => m.hash_keys(),
                Message::Stored(_) => &[],
            })
            .collect()
    }

    /// Returns the keys of one message; none if the index is past the end.
    ///
    /// ```
    /// use msgstream_core::repack::HashKeys;
    /// let keys = HashKeys::from_iter([[1, 2].as_slice()]);
    /// assert_eq!(keys.of(0), [1, 2]);
    /// assert!(keys.of(1).is_empty());
    /// ```
    #[must_use]
    pub fn of(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).and_then(|i| self.ends.get(i)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|end| self.keys.get(start..*end)).unwrap_or_default()
    }

    /// Returns the keys of each message.
    ///
    /// ```
    /// use msgstream_core::repack::HashKeys;
    /// let keys = HashKeys::from_iter([[1, 2].as_slice(), &[3]]);
    /// assert_eq!(keys.iter().map(|keys| keys.len()).sum::<usize>(), 3);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|i| self.of(i))
    }

    /// Returns the number of messages.
    ///
    /// ```
    /// use msgstream_core::repack::HashKeys;
    /// assert_eq!(HashKeys::from_iter([[1, 2].as_slice()]).len(), 1);
    /// ```
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no messages.
    ///
    /// ```
    /// use msgstream_core::repack::HashKeys;
    /// assert!(HashKeys::default().is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl<'a> FromIterator<&'a [u32]> for HashKeys {
    fn from_iter<I: IntoIterator<Item = &'a [u32]>>(messages: I) -> Self {
        let messages = messages.into_iter();
        let (least, _) = messages.size_hint();
        let mut all = Self { keys: Vec::with_capacity(least), ends: Vec::with_capacity(least) };
        for keys in messages {
            all.keys.extend_from_slice(keys);
            all.ends.push(all.keys.len());
        }
        all
    }
}
