//! Copies of the payloads that a client library lends.

use bytes::{Bytes, BytesMut};

/// Copies payloads out of the buffers of a client library.
///
/// A payload that shares a library's buffer would keep all of it in memory, which may be a whole
/// answer of the broker. Copies of small payloads share buffers too, but of at most
/// [`SHARED`](Self::SHARED) bytes, so that neighbours cost one allocation together. A larger payload
/// has a buffer of its own.
///
/// ```
/// use msgstream_core::adapter::Copies;
/// let mut copies = Copies::default();
/// assert_eq!(copies.copy(b"one apple"), "one apple");
/// ```
#[derive(Debug, Default)]
pub struct Copies {
    rest: BytesMut,
}

impl Copies {
    /// The size of a buffer that copies share, in bytes.
    ///
    /// ```
    /// use msgstream_core::adapter::Copies;
    /// // Two small payloads together fit one buffer.
    /// assert!(Copies::SHARED > 2 * 1_000);
    /// ```
    pub const SHARED: usize = 16 << 10;

    /// Copies some bytes.
    ///
    /// ```
    /// use msgstream_core::adapter::Copies;
    /// let answer = b"key=payload".to_vec();
    /// let payload = Copies::default().copy(&answer[4..]);
    /// drop(answer);
    /// assert_eq!(payload, "payload");
    /// ```
    #[must_use]
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > Self::SHARED / 8 {
            return Bytes::copy_from_slice(bytes);
        }
        if bytes.len() > self.rest.capacity() {
            self.rest = BytesMut::with_capacity(Self::SHARED);
        }
        self.rest.extend_from_slice(bytes);
        self.rest.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn copies_are_what_was_copied(
            all in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 0..40),
        ) {
            let mut copies = Copies::default();
            let copied: Vec<_> = all.iter().map(|bytes| copies.copy(bytes)).collect();
            prop_assert_eq!(all, copied);
        }
    }

    #[test]
    fn a_buffer_is_shared_by_neighbours_and_by_no_more_than_it_holds() {
        let mut copies = Copies::default();
        let of = |copy: &Bytes| copy.as_ptr() as usize;
        let first = copies.copy(&[1; 1_000]);
        for n in 1..Copies::SHARED / 1_000 {
            assert_eq!(of(&copies.copy(&[2; 1_000])), of(&first) + n * 1_000);
        }
        assert!(!first.is_unique());
        let next = copies.copy(&[3; 1_000]);
        assert!(!(of(&first)..of(&first) + Copies::SHARED).contains(&of(&next)));
        assert!(first.is_unique(), "nothing but the copies keeps a buffer");
        let large = copies.copy(&[4; Copies::SHARED / 8 + 1]);
        assert!(large.is_unique() && !next.is_unique());
    }
}
