//! How a field of each type takes what is read.

use std::collections::BTreeMap;

use super::wire::{DELIMITED, Key, VARINT, delimited, key, varint};

/// A message, field by field.
pub(super) trait Fields<'a>: Default {
    /// Reads a field whose key was read: sets the value, adds to the list, or merges the message.
    fn merge_field(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()>;

    /// Merges all fields of an encoded message.
    fn merge_all(&mut self, mut bytes: &'a [u8], depth: u32) -> Option<()> {
        while !bytes.is_empty() {
            let key = key(&mut bytes, depth)?;
            self.merge_field(key, &mut bytes)?;
        }
        Some(())
    }

    /// Merges a message that is a field of another one.
    fn merge_nested(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        self.merge_all(key.delimited(input)?, key.depth.checked_sub(1)?)
    }
}

/// Implements [`Fields`] for a struct, of whose fields it gets the numbers.
macro_rules! fields {
    (<$a:lifetime> $type:ty { $($tag:literal $field:ident)* }) => {
        impl<$a> $crate::message::view::field::Fields<$a> for $type {
            fn merge_field(
                &mut self,
                key: $crate::message::view::wire::Key<$a>,
                input: &mut &$a [u8],
            ) -> Option<()> {
                use $crate::message::view::field::Field as _;
                match key.tag {
                    $($tag => self.$field.merge_value(key, input),)*
                    _ => $crate::message::view::wire::skip(key, input),
                }
            }
        }
    };
}

/// Implements [`Field`] for a message that is a field of another one.
macro_rules! nested {
    (<$a:lifetime> $type:ty) => {
        impl<$a> $crate::message::view::field::Field<$a> for $type {
            fn merge_value(
                &mut self,
                key: $crate::message::view::wire::Key<$a>,
                input: &mut &$a [u8],
            ) -> Option<()> {
                use $crate::message::view::field::Fields as _;
                self.merge_nested(key, input)
            }
        }
    };
}

/// A field of a message.
pub(super) trait Field<'a> {
    /// Reads a value of the field, of which the key was read.
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()>;
}

impl<'a> Key<'a> {
    /// Reads the value, if it is a varint.
    #[inline]
    fn varint(self, input: &mut &'a [u8]) -> Option<u64> {
        (self.wire_type == VARINT).then(|| varint(input))?
    }

    /// Reads the value, if it is length-delimited.
    #[inline]
    pub(super) fn delimited(self, input: &mut &'a [u8]) -> Option<&'a [u8]> {
        (self.wire_type == DELIMITED).then(|| delimited(input))?
    }
}

/// Implements [`Field`] for a number: a greater one loses its upper bits.
macro_rules! number {
    ($type:ty) => {
        impl<'a> Field<'a> for $type {
            #[inline]
            fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
                *self = key.varint(input)? as $type;
                Some(())
            }
        }
    };
}

number!(u32);
number!(i32);
number!(u64);
number!(i64);

impl<'a> Field<'a> for bool {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        *self = key.varint(input)? != 0;
        Some(())
    }
}

impl<'a> Field<'a> for &'a [u8] {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        *self = key.delimited(input)?;
        Some(())
    }
}

impl<'a> Field<'a> for &'a str {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        *self = str::from_utf8(key.delimited(input)?).ok()?;
        Some(())
    }
}

impl<'a, T: Field<'a> + Default> Field<'a> for Option<T> {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        self.get_or_insert_default().merge_value(key, input)
    }
}

/// An entry of a map.
#[derive(Default)]
struct Entry<'a> {
    name: &'a str,
    value: &'a str,
}

fields!(<'a> Entry<'a> { 1 name 2 value });

impl<'a> Field<'a> for BTreeMap<&'a str, &'a str> {
    #[inline]
    fn merge_value(&mut self, key: Key<'a>, input: &mut &'a [u8]) -> Option<()> {
        let mut entry = Entry::default();
        entry.merge_nested(key, input)?;
        self.insert(entry.name, entry.value);
        Some(())
    }
}
