//! What a topic holds: ledgers of entries, one after another.

use std::collections::BTreeMap;

use msgstream_core::adapter::Failure;
use msgstream_core::record::Position;
use msgstream_core::transport::TransportErrorKind as Kind;
use serde::Deserialize;

/// The place before everything.
pub(crate) const ORIGIN: Position = Position::from_words([0; 3]);

/// The place before every message of an entry.
pub(crate) const fn entry_place(ledger: u64, entry: u64) -> Position {
    Position::from_words([ledger, entry, 0])
}

/// The place after everything before a ledger, and before everything in it. No record stands
/// there: it is the end of a channel that has none, and differs from the first record's place.
const fn before_ledger(ledger: u64) -> Position {
    match ledger.checked_sub(1) {
        Some(ledger) => Position::from_words([ledger, u64::MAX, 0]),
        None => ORIGIN,
    }
}

/// Returns whether a place shows by itself that its channel has no record before it.
pub(crate) const fn is_beginning(place: Position) -> bool {
    let [ledger, entry, third] = place.words();
    entry == u64::MAX || (ledger == 0 && entry == 0 && third == 0)
}

/// The ledgers of a topic, as the broker reports them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledgers {
    /// Each ledger that is left, and how many entries it has.
    entries: BTreeMap<u64, u64>,
    /// The last ledger that has entries.
    last: Option<u64>,
}

impl Ledgers {
    /// Returns the first place that can hold a record, `None` if none is left.
    pub(crate) fn first(&self) -> Option<Position> {
        let mut filled = self.entries.iter().filter(|(_, entries)| **entries > 0);
        filled.next().map(|(ledger, _)| entry_place(*ledger, 0))
    }

    /// Returns the first place at which the next record can be.
    pub(crate) fn end(&self) -> Position {
        match self.last.and_then(|last| Some((last, self.entries.get(&last)?))) {
            Some((last, entries)) => entry_place(last, *entries),
            None => self.newest().map_or(ORIGIN, before_ledger),
        }
    }

    fn newest(&self) -> Option<u64> {
        self.entries.last_key_value().map(|(ledger, _)| *ledger)
    }

    /// Fails if a place is past the end, or if retention took records before it that a reader there
    /// would miss.
    ///
    /// Whether a ledger that is gone held more than was read isn't known. So a place in it fails, unless
    /// it is the end of a channel that had no record.
    pub(crate) fn check(&self, place: Position) -> Result<(), Failure> {
        let (ledger, end) = (place.words()[0], self.end());
        let empty = self.newest().map_or(end, |newest| entry_place(newest, 0));
        if place > end.max(empty) {
            return Err(Kind::PositionBeyondEnd { position: place, end }.into());
        }
        let oldest = self.entries.first_key_value().map_or(u64::MAX, |(ledger, _)| *ledger);
        if ledger >= oldest || is_beginning(place) {
            return Ok(());
        }
        Err(Kind::PositionTrimmed { position: place, first: self.first().unwrap_or(end) }.into())
    }

    /// Returns whether it is certain that nothing was between a place and an entry of a later ledger.
    pub(crate) fn adjoin(&self, place: Position, ledger: u64, entry: u64) -> bool {
        let [from, next, _] = place.words();
        // The last ledger may have grown since.
        let read =
            self.newest() != Some(from) && self.entries.get(&from).is_some_and(|n| next >= *n);
        let mut between = self.entries.range(from.saturating_add(1)..ledger.max(from + 1));
        read && entry == 0 && self.entries.contains_key(&ledger) && between.all(|(_, n)| *n == 0)
    }

    /// The oldest ledger that is left.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(ledger, _)| *ledger)
    }

    pub(crate) fn contains(&self, ledger: u64) -> bool {
        self.entries.contains_key(&ledger)
    }
}

/// The answer of the admin interface about ledgers and cursors. Any part of it may be missing while
/// the topic is being loaded.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InternalStats {
    last_confirmed_entry: Option<String>,
    ledgers: Option<Vec<LedgerInfo>>,
    cursors: Option<BTreeMap<String, CursorInfo>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LedgerInfo {
    ledger_id: u64,
    entries: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CursorInfo {
    mark_delete_position: String,
}

impl InternalStats {
    /// The ledgers. The account of the one that is written to lags; the last entry doesn't.
    pub(crate) fn ledgers(&self) -> Result<Ledgers, Failure> {
        let (last_confirmed, ledgers) = (there(&self.last_confirmed_entry)?, there(&self.ledgers)?);
        let mut entries: BTreeMap<_, _> =
            ledgers.iter().map(|info| (info.ledger_id, info.entries)).collect();
        let (ledger, confirmed) = entry_after(last_confirmed)?;
        let count = entries.entry(ledger).or_default();
        *count = (*count).max(confirmed);
        let last = (confirmed > 0).then_some(ledger);
        Ok(Ledgers { entries, last })
    }

    /// Returns the place after what a cursor has passed, `None` if there is no such cursor.
    pub(crate) fn cursor(&self, name: &str) -> Result<Option<Position>, Failure> {
        let Some(cursor) = there(&self.cursors)?.get(name) else { return Ok(None) };
        let (ledger, entry) = entry_after(&cursor.mark_delete_position)?;
        Ok(Some(entry_place(ledger, entry)))
    }
}

/// Returns a part of an answer, if the topic is loaded.
fn there<T>(part: &Option<T>) -> Result<&T, Failure> {
    part.as_ref().ok_or_else(|| {
        let reason = "the topic is being loaded, so its ledgers aren't known yet".to_owned();
        Kind::Unavailable { reason }.into()
    })
}

/// The entry after one that is written as `LEDGER:ENTRY`, the entry before the first being -1.
fn entry_after(text: &str) -> Result<(u64, u64), Failure> {
    let parse = |text: &str| {
        let (ledger, entry) = text.split_once(':')?;
        let entry: i64 = entry.parse().ok()?;
        Some((ledger.parse().ok()?, entry.checked_add(1)?.try_into().ok()?))
    };
    parse(text).ok_or_else(|| {
        let reason = format!("the admin interface named the entry `{text}`, which can't be parsed");
        Kind::Protocol { reason }.into()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn ledgers(last_confirmed: &str, entries: &[(u64, u64)]) -> Ledgers {
        let info = |(ledger_id, entries): &(u64, u64)| LedgerInfo {
            ledger_id: *ledger_id,
            entries: *entries,
        };
        let stats = InternalStats {
            last_confirmed_entry: Some(last_confirmed.to_owned()),
            ledgers: Some(entries.iter().map(info).collect()),
            cursors: Some(BTreeMap::new()),
        };
        stats.ledgers().unwrap()
    }

    #[test]
    fn a_topic_that_is_being_loaded_is_asked_again() {
        for answer in ["{}", r#"{"ledgers":[],"cursors":{}}"#, r#"{"lastConfirmedEntry":"3:1"}"#] {
            let stats: InternalStats = serde_json::from_str(answer).unwrap();
            assert!(stats.ledgers().unwrap_err().kind.is_temporary(), "{answer}");
        }
        let stats: InternalStats = serde_json::from_str("{}").unwrap();
        assert!(stats.cursor("billing").unwrap_err().kind.is_temporary());
    }

    #[test]
    fn a_channel_without_records_ends_where_its_first_one_will_be() {
        let new = ledgers("5:-1", &[(5, 0)]);
        assert_eq!(new.first(), None);
        assert!(new.end() < entry_place(5, 0));
        // Nothing was written, and the broker was restarted: it is the same place still.
        let restarted = ledgers("8:-1", &[(8, 0)]);
        assert_eq!(restarted.check(new.end()), Ok(()));
    }

    #[test]
    fn the_open_ledger_has_what_is_confirmed() {
        let open = ledgers("7:9", &[(5, 3), (7, 0)]);
        assert_eq!(open.first(), Some(entry_place(5, 0)));
        assert_eq!(open.end(), entry_place(7, 10));
        // After a restart there is an empty one behind it; the end is the same.
        assert_eq!(ledgers("7:9", &[(5, 3), (7, 10), (9, 0)]).end(), open.end());
    }

    #[test]
    fn a_place_in_a_ledger_that_is_gone_is_trimmed() {
        let trimmed = ledgers("9:4", &[(7, 10), (9, 0)]);
        let position = entry_place(5, 2);
        let first = entry_place(7, 0);
        assert_eq!(trimmed.check(position), Err(Kind::PositionTrimmed { position, first }.into()));
        assert_eq!(trimmed.check(ORIGIN), Ok(()));
    }

    #[test]
    fn the_ends_of_ledgers_join_the_next() {
        let history = ledgers("9:4", &[(5, 3), (6, 0), (7, 10), (9, 0)]);
        assert!(history.adjoin(entry_place(5, 3), 7, 0));
        assert!(!history.adjoin(entry_place(5, 2), 7, 0), "one wasn't read");
        assert!(!history.adjoin(entry_place(5, 3), 7, 1), "one is missing");
        assert!(!history.adjoin(entry_place(5, 3), 9, 0), "a ledger is missing");
        assert!(!history.adjoin(entry_place(9, 5), 11, 0), "the last one may have grown");
    }

    proptest! {
        #[test]
        fn every_record_and_the_end_can_be_read_from(
            counts in proptest::collection::vec((1..4u64, 0..4u64), 1..6),
        ) {
            let mut ledger = 0;
            let mut entries = Vec::new();
            for (step, count) in counts {
                ledger += step;
                entries.push((ledger, count));
            }
            let last = entries.iter().rev().find(|(_, n)| *n > 0).or(entries.last()).unwrap();
            let all = ledgers(&format!("{}:{}", last.0, last.1 as i64 - 1), &entries);
            let places = entries.iter().flat_map(|(l, n)| (0..*n).map(|e| entry_place(*l, e)));
            for place in places {
                prop_assert!(all.first() <= Some(place) && place < all.end());
                prop_assert_eq!(all.check(place), Ok(()));
            }
            prop_assert_eq!(all.check(all.end()), Ok(()));
            let beyond = entry_place(ledger + 1, 0);
            prop_assert_eq!(
                all.check(beyond),
                Err(Kind::PositionBeyondEnd { position: beyond, end: all.end() }.into())
            );
        }
    }
}
