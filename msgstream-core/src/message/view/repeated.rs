//! Lists of values that are read from the record as they are iterated.

use std::fmt;

use super::field::{Field, Fields};
use super::wire::{DELIMITED, DEPTH, Key, VARINT, delimited, key, skip, varint};

/// The values of a repeated field. They are read from the record as they are iterated.
///
/// ```
/// use msgstream_core::message::view::InsertView;
/// use msgstream_core::message::{FromRecord, InsertMsg, proto::InsertRequest};
/// use msgstream_core::TsMsg;
/// let insert = InsertMsg::new(InsertRequest { row_ids: vec![4, 5], ..Default::default() });
/// let record = (&insert as &dyn TsMsg).to_record();
/// let view = InsertView::from_record(&record)?;
/// assert_eq!(view.row_ids.len(), 2);
/// assert!(view.row_ids.iter().eq([4, 5]));
/// # Ok::<(), msgstream_core::DecodeError>(())
/// ```
#[derive(Clone)]
pub struct Repeated<'a, T>(Values<'a, T>);

#[derive(Clone)]
enum Values<'a, T> {
    /// As many values in a message, which is there from the key of the first one on.
    Encoded { tag: u32, from: &'a [u8], len: usize },
    /// The values of several messages that were merged.
    Collected(Vec<T>),
}

/// A value of a repeated field.
pub trait Element<'a>: Clone {
    /// If true, a value is a varint, and many may be packed: length-delimited, without keys. If false,
    /// each value is length-delimited.
    const PACKABLE: bool = false;

    /// Reads a value whose key was read, or which is packed.
    fn read(input: &mut &'a [u8], depth: u32) -> Option<Self>;
}

macro_rules! number {
    ($type:ty) => {
        impl<'a> Element<'a> for $type {
            const PACKABLE: bool = true;

            fn read(input: &mut &'a [u8], _: u32) -> Option<Self> {
                varint(input).map(|value| value as Self)
            }
        }
    };
}

number!(u64);
number!(i64);

impl<'a> Element<'a> for &'a [u8] {
    fn read(input: &mut &'a [u8], _: u32) -> Option<Self> {
        delimited(input)
    }
}

impl<'a> Element<'a> for &'a str {
    fn read(input: &mut &'a [u8], _: u32) -> Option<Self> {
        str::from_utf8(delimited(input)?).ok()
    }
}

impl<'a, M: Fields<'a> + Clone> Element<'a> for M {
    fn read(input: &mut &'a [u8], depth: u32) -> Option<Self> {
        let mut message = M::default();
        message.merge_all(delimited(input)?, depth.checked_sub(1)?)?;
        Some(message)
    }
}

impl<T> Repeated<'_, T> {
    /// Returns the number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Values::Encoded { len, .. } => *len,
            Values::Collected(values) => values.len(),
        }
    }

    /// Returns whether there is no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Element<'a>> Repeated<'a, T> {
    /// Returns the values, in their order.
    #[must_use]
    pub fn iter(&self) -> RepeatedIter<'_, 'a, T> {
        RepeatedIter(match &self.0 {
            Values::Encoded { tag, from, len } => {
                Rest::Encoded { tag: *tag, rest: from, packed: &[], len: *len }
            }
            Values::Collected(values) => Rest::Collected(values.iter()),
        })
    }

    /// Merges a message with this list as its first field, like one of the same field before.
    pub(super) fn merge_array(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        if !self.is_empty() {
            self.0 = Values::Collected(self.iter().collect());
        }
        let mut array = Array { data: std::mem::take(self) };
        array.merge_nested(key, input)?;
        *self = array.data;
        Some(())
    }

    fn push(&mut self, value: T) {
        match &mut self.0 {
            Values::Encoded { len, .. } => *len += 1,
            Values::Collected(values) => values.push(value),
        }
    }
}

impl<'a, T: Element<'a>> Field<'a> for Repeated<'a, T> {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        if self.is_empty() {
            self.0 = Values::Encoded { tag: key.tag, from: key.from, len: 0 };
        }
        if T::PACKABLE && key.wire_type == DELIMITED {
            let mut packed = delimited(input)?;
            while !packed.is_empty() {
                self.push(T::read(&mut packed, key.depth)?);
            }
            return Some(());
        }
        let wire_type = if T::PACKABLE { VARINT } else { DELIMITED };
        let value = (key.wire_type == wire_type).then(|| T::read(input, key.depth))??;
        self.push(value);
        Some(())
    }
}

/// A message of nothing but a list.
struct Array<'a, T> {
    data: Repeated<'a, T>,
}

impl<T> Default for Array<'_, T> {
    fn default() -> Self {
        Self { data: Repeated::default() }
    }
}

impl<'a, T: Element<'a>> Fields<'a> for Array<'a, T> {
    fn merge_field(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        match key.tag {
            1 => self.data.merge_value(key, input),
            _ => skip(key, input),
        }
    }
}

impl<T> Default for Repeated<'_, T> {
    fn default() -> Self {
        Self(Values::Encoded { tag: 0, from: &[], len: 0 })
    }
}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Repeated<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'r, 'a, T: Element<'a>> IntoIterator for &'r Repeated<'a, T> {
    type Item = T;
    type IntoIter = RepeatedIter<'r, 'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The values of a repeated field. [`Repeated::iter`] returns it.
#[derive(Clone, Debug)]
pub struct RepeatedIter<'r, 'a, T>(Rest<'r, 'a, T>);

#[derive(Clone, Debug)]
enum Rest<'r, 'a, T> {
    /// As many values: those that are left of a packed list, then others of the message.
    Encoded {
        tag: u32,
        rest: &'a [u8],
        packed: &'a [u8],
        len: usize,
    },
    Collected(std::slice::Iter<'r, T>),
}

impl<'a, T: Element<'a>> Iterator for RepeatedIter<'_, 'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let (tag, rest, packed, len) = match &mut self.0 {
            Rest::Collected(values) => return values.next().cloned(),
            Rest::Encoded { tag, rest, packed, len } => (*tag, rest, packed, len),
        };
        *len = len.checked_sub(1)?;
        loop {
            if !packed.is_empty() {
                return T::read(packed, DEPTH);
            }
            let key = key(rest, DEPTH)?;
            if key.tag != tag {
                skip(key, rest)?;
            } else if T::PACKABLE && key.wire_type == DELIMITED {
                *packed = delimited(rest)?;
            } else {
                return T::read(rest, DEPTH);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Rest::Encoded { len, .. } => (*len, Some(*len)),
            Rest::Collected(values) => values.size_hint(),
        }
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for RepeatedIter<'_, 'a, T> {}
