//! Time ticks that messages of their own session were sent ahead of.

use super::Record;

/// The extra header of a session's time tick that doesn't cover everything that was sent before it:
/// the greatest sequence number that was sent by then. Every message up to the tick's own number,
/// in its [`Stamp`](super::Stamp), is stored before it; those between the two may stand on either
/// side.
///
/// A tick without it is *exact*: whoever begins to read there knows the number of the last message.
///
/// ```
/// use msgstream_core::record::{Header, Meta, Record, SENT_HEADER};
/// use msgstream_core::{MsgType, Timestamp};
/// let mut tick = Record::new(Meta::new(MsgType::TIME_TICK, Timestamp(9)), "");
/// tick.extra.push(Header::new(SENT_HEADER, "42"));
/// assert!(tick.header(SENT_HEADER).is_some());
/// ```
pub const SENT_HEADER: &str = "ms-sent";

/// Returns the greatest number that was sent before a session's tick, if that isn't the tick's own
/// number. A header that isn't a number only says that the tick isn't exact.
#[inline]
pub(crate) fn sent_ahead(record: &Record, last: u64) -> Option<u64> {
    if record.extra.is_empty() {
        return None;
    }
    let text = str::from_utf8(record.header(SENT_HEADER)?).ok();
    let sent = text.and_then(|text| text.parse().ok()).unwrap_or(last.saturating_add(1));
    (sent > last).then_some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Header;

    #[test]
    fn a_tick_is_exact_unless_more_was_sent() {
        let ahead = |says: &str| {
            let mut tick = Record::default();
            tick.extra.push(Header::new(SENT_HEADER, says.to_owned()));
            sent_ahead(&tick, 7)
        };
        assert_eq!(sent_ahead(&Record::default(), 7), None);
        assert_eq!([ahead("6"), ahead("7"), ahead("8")], [None, None, Some(8)]);
        assert_eq!(ahead("many"), Some(8));
    }
}
