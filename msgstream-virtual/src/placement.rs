//! On which channel of the transport a virtual one is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use msgstream_core::message::hash_str;
use msgstream_core::registry::nearest;

/// On which channel of the transport, its *physical* channel, each virtual channel is. A name that
/// has no place is that of a physical channel, and the transport gets it as it is.
///
/// The place of a channel must never change: its records stay where they are.
///
/// ```
/// use msgstream_virtual::Placement;
/// let milvus = Placement::milvus();
/// assert_eq!(milvus.physical("dml_3_42v0").as_deref(), Some("dml_3"));
/// assert_eq!(milvus.physical("dml_3"), None);
///
/// let hash: Placement = "hash:16:orders".parse()?;
/// let physical = hash.physical("customer-7").unwrap();
/// assert!(physical.starts_with("orders_"));
/// assert_eq!(hash.physical(&physical), None);
/// # Ok::<(), msgstream_virtual::PlacementError>(())
/// ```
#[derive(Clone)]
pub struct Placement {
    rule: Rule,
    pub(crate) common: Common,
    pub(crate) private_ticks: bool,
}

type Function = dyn Fn(&str) -> Option<String> + Send + Sync;

#[derive(Clone)]
enum Rule {
    Milvus,
    Hash { channels: u32, name: Arc<str> },
    Custom(Arc<Function>),
}

/// Which virtual channels get a message that names none. Ticks, ends and sessions' control records that
/// name none go to all of them.
///
/// ```
/// use msgstream_virtual::{Common, Placement};
/// let placement = Placement::hash(16, "orders").with_common(Common::None);
/// # let _ = placement;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Common {
    /// All of the physical channel.
    All,
    /// None of them.
    None,
    /// Those of the message's collection, whose id is in the channel's name as Milvus writes it:
    /// `dml_3_42v0` is of collection 42.
    Collection,
}

impl Placement {
    /// Returns the placement of Milvus: `dml_3_42v0` is on `dml_3`, as one of collection 42.
    ///
    /// A message that names no virtual channel goes to those of its collection. Ticks and ends are
    /// those of the physical channel: who reads it whole would take one of a virtual channel for one
    /// of all, so none is written.
    #[must_use]
    pub const fn milvus() -> Self {
        Self { rule: Rule::Milvus, common: Common::Collection, private_ticks: false }
    }

    /// Returns the placement on so many channels, `NAME_0` and so on, by a hash of the virtual
    /// channel's name. Every other name is that of a virtual channel.
    ///
    /// A message that names no virtual channel goes to all of them. Each virtual channel may have
    /// ticks and an end of its own, beside those of its physical channel.
    #[must_use]
    pub fn hash(channels: u32, name: impl Into<Arc<str>>) -> Self {
        let rule = Rule::Hash { channels: channels.max(1), name: name.into() };
        Self { rule, common: Common::All, private_ticks: true }
    }

    /// Returns a placement of one's own: a function from the name of a virtual channel to that of its
    /// physical one, and to `None` for the name of a physical channel. Otherwise it is as
    /// [`hash`](Self::hash).
    ///
    /// ```
    /// use msgstream_virtual::Placement;
    /// let by_first_word = Placement::with(|name| Some(name.split_once('.')?.0.to_owned()));
    /// assert_eq!(by_first_word.physical("orders.7").as_deref(), Some("orders"));
    /// ```
    #[must_use]
    pub fn with(rule: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { rule: Rule::Custom(Arc::new(rule)), common: Common::All, private_ticks: true }
    }

    /// Sets which virtual channels get a message that names none.
    #[must_use]
    pub const fn with_common(mut self, common: Common) -> Self {
        self.common = common;
        self
    }

    /// Returns the physical channel of a virtual one; `None` for the name of a physical channel.
    #[must_use]
    pub fn physical(&self, channel: &str) -> Option<String> {
        match &self.rule {
            Rule::Milvus => Some(milvus(channel)?.0.to_owned()),
            Rule::Hash { channels, name } => {
                let own = channel.strip_prefix(&**name).and_then(|rest| rest.strip_prefix('_'));
                let number = own.and_then(|rest| rest.parse::<u32>().ok());
                match number.is_some_and(|number| number < *channels) {
                    true => None,
                    false => Some(format!("{name}_{}", hash_str(channel) % channels)),
                }
            }
            Rule::Custom(rule) => rule(channel),
        }
    }

    /// Returns the collection that a virtual channel is of, if its messages are known by it.
    pub(crate) fn collection(&self, channel: &str) -> Option<i64> {
        milvus(channel).map(|(_, collection)| collection)
    }
}

/// Splits `dml_3_42v0` into `dml_3` and 42.
fn milvus(channel: &str) -> Option<(&str, i64)> {
    let (physical, rest) = channel.rsplit_once('_')?;
    let (collection, shard) = rest.split_once('v')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
    let (collection, _): (i64, i64) = (number(collection)??, number(shard)??);
    (!physical.is_empty()).then_some((physical, collection))
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Milvus => f.write_str("milvus"),
            Rule::Hash { channels, name } => write!(f, "hash:{channels}:{name}"),
            Rule::Custom(_) => f.write_str("custom"),
        }
    }
}

impl FromStr for Placement {
    type Err = PlacementError;

    /// Parses `milvus` or `hash:CHANNELS:NAME`.
    fn from_str(text: &str) -> Result<Self, PlacementError> {
        let kind = text.split(':').next().unwrap_or_default();
        match (kind, text.splitn(3, ':').collect::<Vec<_>>().as_slice()) {
            ("milvus", [_]) => Ok(Self::milvus()),
            ("hash", [_, channels, name]) if !name.is_empty() => match channels.parse() {
                Ok(channels @ 1..) => Ok(Self::hash(channels, *name)),
                _ => Err(PlacementError { near: None }),
            },
            _ => Err(PlacementError { near: nearest(kind, &["milvus", "hash"]) }),
        }
    }
}

/// The error of a text that names no [`Placement`].
///
/// ```
/// use msgstream_virtual::Placement;
/// let error = "milvs".parse::<Placement>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "there is no such placement (did you mean `milvus`?): write `milvus` or `hash:CHANNELS:NAME`"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacementError {
    near: Option<&'static str>,
}

impl fmt::Display for PlacementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such placement")?;
        if let Some(near) = self.near {
            write!(f, " (did you mean `{near}`?)")?;
        }
        f.write_str(": write `milvus` or `hash:CHANNELS:NAME`")
    }
}

impl std::error::Error for PlacementError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_split_as_milvus_writes_them() {
        for (name, wanted) in [
            ("dml_3_42v0", Some(("dml_3", 42))),
            ("by-dev-rootcoord-dml_0_449v12", Some(("by-dev-rootcoord-dml_0", 449))),
            ("dml_3", None),
            ("dml_3_42", None),
            ("dml_3_v0", None),
            ("dml_3_42v", None),
            ("dml_3_+42v0", None),
            ("_42v0", None),
            ("", None),
        ] {
            assert_eq!(milvus(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_hash_places_each_channel_for_life() {
        let hash: Placement = "hash:4:a:b".parse().unwrap();
        assert_eq!(hash.physical("x").as_deref(), Some("a:b_3"));
        assert_eq!(hash.physical("a:b_3"), None);
        assert!(hash.physical("a:b_4").is_some());
    }

    #[test]
    fn what_is_no_placement_is_refused() {
        for text in ["", "hash", "hash:0:a", "hash:x:a", "hash:3:", "hash:3", "milvus:3", "round"] {
            assert!(text.parse::<Placement>().is_err(), "{text}");
        }
    }
}
