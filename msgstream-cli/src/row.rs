//! A row as a message.

use std::fmt;

use msgstream::message::{SerdeBody, SerdeMsg};
use msgstream::{MsgType, Timestamp};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::input::Fields;

/// The columns of a row as a JSON object, in the order of the file, each value a string.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Row(pub(crate) Box<RawValue>);

impl SerdeBody for Row {
    const MSG_TYPE: MsgType = MsgType(70_100);
}

impl Row {
    pub(crate) fn new(columns: &[String], fields: Fields<'_>) -> serde_json::Result<Self> {
        Self::of(&Columns { columns, fields })
    }

    /// Returns the row of any value.
    pub(crate) fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self)
    }

    /// Returns the row as a message: its place is the id, its hash key decides the channel, and its key
    /// is the record's.
    pub(crate) fn into_message(
        self,
        place: Place,
        ts: Timestamp,
        hash_key: u32,
        key: Option<String>,
    ) -> serde_json::Result<SerdeMsg<Self>> {
        let message = SerdeMsg::new(ts, self)?.with_hash_keys([hash_key]).with_msg_id(place.0);
        Ok(match key {
            Some(key) => message.with_key(key),
            None => message,
        })
    }
}

struct Columns<'a> {
    columns: &'a [String],
    fields: Fields<'a>,
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, field) in self.columns.iter().zip(self.fields.iter()) {
            map.serialize_entry(column, field)?;
        }
        map.end()
    }
}

/// Where a row stands: which file, and which line of it. It travels as the message's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(i64);

impl Place {
    const LINE_BITS: u32 = 40;

    /// `None` where file or line are beyond what an id can hold.
    pub(crate) fn new(file: usize, line: u64) -> Option<Self> {
        let file = i64::try_from(file).ok().filter(|f| f >> (63 - Self::LINE_BITS) == 0)?;
        let line = i64::try_from(line).ok().filter(|l| l >> Self::LINE_BITS == 0)?;
        Some(Self(file << Self::LINE_BITS | line))
    }

    pub(crate) const fn from_id(id: i64) -> Self {
        Self(id)
    }

    /// The number of the file, from 0.
    pub(crate) fn file(self) -> usize {
        usize::try_from(self.0 >> Self::LINE_BITS).unwrap_or(usize::MAX)
    }

    /// The line, from 1.
    pub(crate) const fn line(self) -> u64 {
        self.0 as u64 & ((1 << Self::LINE_BITS) - 1)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file(), self.line())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::input::Records;

    #[test]
    fn columns_keep_their_order_and_values_their_text() {
        let mut records = Records::new(&b"\"say \"\"hi\"\"\",007,\xc3\xa9\n"[..]);
        assert!(records.advance().unwrap());
        let columns = ["z", "a", "m"].map(str::to_owned);
        let row = Row::new(&columns, records.fields().unwrap()).unwrap();
        assert_eq!(row.0.get(), r#"{"z":"say \"hi\"","a":"007","m":"é"}"#);
    }

    #[test]
    fn a_place_is_one_number_as_far_as_it_fits() {
        let last = (1 << 23) - 1;
        for (file, line) in [(0, 1), (11, 28_000), (last, (1 << 40) - 1)] {
            let place = Place::new(file, line).unwrap();
            assert_eq!((place.file(), place.line()), (file, line));
            assert!(place.0 >= 0);
        }
        assert_eq!(Place::new(last + 1, 1), None);
        assert_eq!(Place::new(0, 1 << 40), None);
    }
}
