//! Which channel a row goes to, and whether it is there already.

use std::collections::BTreeMap;
use std::sync::Arc;

use msgstream::repack::{RepackError, bucket};

use crate::error::{Error, Result};

/// Decides the channels of rows, from nothing but the rows before, so that it is the same in every
/// run.
#[derive(Debug)]
pub(super) struct Route {
    /// Rows so far.
    rows: u64,
    /// For each channel, how many of its first rows an earlier run of the session wrote.
    written: Vec<u64>,
}

impl Route {
    /// Begins with the first row. `last` has the session's last sequence number on each channel.
    pub(super) fn new(channels: &[String], last: &BTreeMap<Arc<str>, u64>) -> Self {
        let written = |channel: &String| last.get(&**channel).copied().unwrap_or(0);
        Self { rows: 0, written: channels.iter().map(written).collect() }
    }

    /// Returns the channel of the next row, by its index: that of its key, or without one the
    /// channels' in turn.
    pub(super) fn next(&mut self, key: Option<u32>) -> Result<usize, RepackError> {
        let channels = self.written.len();
        let turn = self.rows;
        self.rows += 1;
        match key {
            Some(key) => bucket(key, channels),
            // Less than the number of channels, so it fits.
            None => bucket((turn % channels.max(1) as u64) as u32, channels),
        }
    }

    /// Counts a row of a channel. Returns whether an earlier run wrote it.
    pub(super) fn is_written(&mut self, channel: usize) -> bool {
        match self.written.get_mut(channel) {
            Some(left @ 1..) => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Checks at the end of the input that all rows of earlier runs were in it.
    pub(super) fn check(&self, channels: &[String], session: &str) -> Result<()> {
        match self.written.iter().zip(channels).find(|(left, _)| **left > 0) {
            None => Ok(()),
            Some((left, channel)) => Err(Error::OtherInput {
                session: session.to_owned(),
                channel: channel.clone(),
                rows: *left,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rows_go_by_turns_or_by_key_and_the_first_of_a_channel_are_there() {
        let channels = ["a", "b"].map(str::to_owned);
        let mut route = Route::new(&channels, &[(Arc::from("b"), 1)].into());
        let mut turns = || {
            let channel = route.next(None).unwrap();
            (channel, route.is_written(channel))
        };
        assert_eq!(
            [turns(), turns(), turns(), turns()],
            [(0, false), (1, true), (0, false), (1, false)]
        );
        assert_eq!(route.next(Some(7)).unwrap(), 1);
        assert!(route.check(&channels, "s").is_ok());
        let shorter = Route::new(&channels, &[(Arc::from("a"), 1)].into());
        assert!(matches!(shorter.check(&channels, "s"), Err(Error::OtherInput { rows: 1, .. })));
    }
}
