//! Streams without alignment in time: produce, broadcast, consume.
