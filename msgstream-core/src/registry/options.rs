//! Reads the options of a URL into a struct.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::de::Error as _;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use url::Url;

use super::ConnectError;

/// Reads the options of a URL, which follow its `?`, into a struct.
///
/// The struct is flat: its fields are numbers, booleans, strings, unit enums, or an `Option` of these.
/// Unknown names and repeated names are refused. Errors name the option and never show its value,
/// which may be a secret; only the text of a field's own `deserialize_with` is shown as it is.
///
/// ```
/// use msgstream_core::registry::{Url, parse_options};
///
/// #[derive(Debug, Default, PartialEq, serde::Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Options { batch: Option<usize>, name: String }
///
/// let options: Options = parse_options(&Url::parse("tape://a?batch=7").unwrap())?;
/// assert_eq!(options, Options { batch: Some(7), name: String::new() });
/// let error = parse_options::<Options>(&Url::parse("tape://a?bach=7").unwrap()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a `tape` URL has no option `bach` (did you mean `batch`?): the options are: batch, name"
/// );
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
///
/// # Errors
/// Fails with [`ConnectError::UnknownOption`], [`ConnectError::DuplicateOption`] or
/// [`ConnectError::InvalidOption`].
pub fn parse_options<T: DeserializeOwned>(url: &Url) -> Result<T, ConnectError> {
    let scheme = || url.scheme().to_owned();
    let pairs: Vec<_> = url.query_pairs().collect();
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
            let option = name.to_string();
            return Err(ConnectError::DuplicateOption { scheme: scheme(), option });
        }
    }
    let options = Options { pairs: pairs.iter(), value: None, known: &[] };
    T::deserialize(options).map_err(|fault| match fault {
        Fault::Unknown { option, known } => ConnectError::UnknownOption {
            scheme: scheme(),
            option,
            known: known.iter().map(|&name| name.to_owned()).collect(),
        },
        Fault::Invalid { option, reason, source } => {
            ConnectError::InvalidOption { scheme: scheme(), option, reason, source }
        }
    })
}

/// What is wrong, before the scheme is known.
#[derive(Debug)]
enum Fault {
    Unknown { option: String, known: &'static [&'static str] },
    Invalid { option: String, reason: String, source: Option<Box<dyn StdError + Send + Sync>> },
}

impl Fault {
    fn on(self, name: &str) -> Self {
        match self {
            Self::Invalid { reason, source, .. } => {
                Self::Invalid { option: name.to_owned(), reason, source }
            }
            unknown @ Self::Unknown { .. } => unknown,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { option, .. } => write!(f, "unknown option `{option}`"),
            Self::Invalid { option, reason, .. } => write!(f, "option `{option}`: {reason}"),
        }
    }
}

impl StdError for Fault {}

// The default texts of these show the value.
impl de::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Invalid { option: String::new(), reason: reason.to_string(), source: None }
    }
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it must be {expected}"))
    }
    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("it must be {expected}"))
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("it must be one of: {}", expected.join(", ")))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::custom("it must be given").on(field)
    }
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// All options, as a map whose keys must be known.
struct Options<'a> {
    pairs: std::slice::Iter<'a, Pair<'a>>,
    value: Option<&'a Pair<'a>>,
    known: &'static [&'static str],
}

impl<'de> Deserializer<'de> for Options<'de> {
    type Error = Fault;

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.known = fields;
        visitor.visit_map(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(de::Error::custom("options can only be read into a struct without flattened parts"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Options<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.pairs.next();
        let Some((name, _)) = self.value else {
            return Ok(None);
        };
        // Checked here, so that a struct can't forget `deny_unknown_fields`.
        if !self.known.contains(&&**name) {
            return Err(Fault::Unknown { option: name.to_string(), known: self.known });
        }
        let name: StrDeserializer<'_, Fault> = name.as_ref().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.value.ok_or_else(|| Fault::custom("it has no value"))?;
        seed.deserialize(Value(value)).map_err(|fault| fault.on(name))
    }
}

/// The text of one option, read as what the struct's field asks for.
struct Value<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(error) => Err(Fault::Invalid {
                    option: String::new(),
                    reason: concat!("it must be ", $what).to_owned(),
                    source: Some(error.into()),
                }),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Fault;

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number, not negative";
        deserialize_u16 visit_u16 u16, "a whole number, not negative";
        deserialize_u32 visit_u32 u32, "a whole number, not negative";
        deserialize_u64 visit_u64 u64, "a whole number, not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
