//! Splitting messages by hash key into one pack per channel.
