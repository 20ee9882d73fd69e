//! Memory for what is read.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::disk::{DiskFile, read_up_to};

/// A smaller buffer is left to the allocator, in bytes.
const SMALL: usize = 64 << 10;

/// A larger buffer is left to the allocator, in bytes: a single record is in it.
const LARGE: usize = 288 << 10;

/// How many buffers are kept for the next reads.
const KEPT: usize = 16;

/// Buffers that nobody uses any more, of this process.
///
/// Allocators return memory of such sizes to the system when it is free. Then each page of the next
/// buffer is a page fault, and reading takes twice as long.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The size of a page of memory, in bytes. If the machine's pages are larger, it divides their size.
const PAGE: u64 = 4 << 10;

/// How many bytes a copy must be ahead of its original in their pages, if it is.
const AHEAD: usize = 64;

/// A buffer for a part of a file.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// How many bytes are in front of what is read.
    front: usize,
    size: usize,
    at: u64,
}

impl Buffer {
    /// Returns a buffer for so many bytes of a file from a place on.
    ///
    /// The system copies them out of its own pages. If the copy is a few bytes ahead of the original in
    /// their pages, the processor takes what it reads next for what it has just written, and copying
    /// takes about five times as long. So such a copy begins further behind.
    pub(super) fn new(size: usize, at: u64) -> Self {
        let bytes = take(size + AHEAD);
        let ahead = (bytes.as_ptr().addr() as u64).wrapping_sub(at) % PAGE;
        let front = if (1..AHEAD as u64).contains(&ahead) { AHEAD } else { 0 };
        Self { bytes, front, size, at }
    }

    /// Reads, and returns fewer bytes only if the file ends.
    pub(super) fn read(mut self, file: &dyn DiskFile) -> io::Result<Bytes> {
        self.bytes.resize(self.front, 0);
        read_up_to(file, &mut self.bytes, self.size, self.at)?;
        Ok(self.freeze())
    }

    /// Reads without waiting for the disk, and fails if it would have to wait for any of the bytes.
    pub(super) fn read_cached(mut self, file: &dyn DiskFile) -> io::Result<Bytes> {
        // A buffer that was used before has most of its bytes, so they aren't made anew.
        self.bytes.resize(self.front + self.size, 0);
        let to = self.bytes.get_mut(self.front..).unwrap_or_default();
        match file.read_cached(to, self.at)? == self.size {
            true => Ok(self.freeze()),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// The buffer is used again once nobody has a part of it.
    fn freeze(self) -> Bytes {
        let bytes = match is_kept(self.bytes.capacity()) {
            true => Bytes::from_owner(Lent(self.bytes)),
            false => self.bytes.into(),
        };
        bytes.slice(self.front..)
    }
}

const fn is_kept(capacity: usize) -> bool {
    SMALL <= capacity && capacity <= LARGE
}

/// Returns a buffer with room for so many bytes, and for less than twice as many. It holds what it held
/// when it was used before.
fn take(size: usize) -> Vec<u8> {
    let fits = |free: &Vec<u8>| size <= free.capacity() && free.capacity() / 2 < size;
    let found = is_kept(size).then(|| {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().rposition(fits).map(|place| free.swap_remove(place))
    });
    found.flatten().unwrap_or_else(|| Vec::with_capacity(size))
}

/// A buffer that is kept for the next read when it is dropped.
struct Lent(Vec<u8>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() == KEPT {
            free.remove(0);
        }
        free.push(mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_never_a_few_bytes_ahead_of_its_original() {
        for at in (0..2 * PAGE).step_by(8) {
            let mut buffer = Buffer::new(1000, at);
            assert!(buffer.bytes.capacity() >= buffer.front + buffer.size);
            buffer.bytes.resize(buffer.front, 0);
            buffer.bytes.extend_from_slice(b"read");
            let read = buffer.freeze();
            assert_eq!(read, "read");
            let ahead = (read.as_ptr().addr() as u64).wrapping_sub(at) % PAGE;
            assert!(ahead == 0 || ahead >= AHEAD as u64, "{ahead} at {at}");
        }
    }

    #[test]
    fn a_buffer_is_used_again_when_its_last_part_is_gone() {
        let size = LARGE - AHEAD;
        let is_used_again = || {
            let mut buffer = Buffer::new(size, 0);
            let address = buffer.bytes.as_ptr();
            buffer.bytes.resize(buffer.front + size, 7);
            let whole = buffer.freeze();
            let part = whole.slice(size - 10..);
            drop(whole);
            assert_ne!(Buffer::new(size, 0).bytes.as_ptr(), address);
            assert_eq!(part, [7; 10].as_slice());
            drop(part);
            Buffer::new(size, 0).bytes.as_ptr() == address
        };
        // Another test that reads at the same time may take it first, but not each time.
        assert!((0..1000).any(|_| is_used_again()));
    }
}
