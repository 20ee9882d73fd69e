//! What a transport can do.

use std::fmt;

macro_rules! capabilities {
    ($($(#[$doc:meta])* $field:ident $variant:ident,)*) => {
        /// One of a transport's [`Capabilities`].
        ///
        /// ```
        /// use msgstream_core::transport::Capability;
        /// assert_eq!(Capability::SeekTime.to_string(), "seek_time");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[$doc])* $variant,)*
        }

        impl Capability {
            /// All capabilities, in the order of the fields of [`Capabilities`].
            ///
            /// ```
            /// use msgstream_core::transport::{Capabilities, Capability};
            /// let can = Capabilities::none().with(Capability::List);
            /// let missing = Capability::ALL.iter().filter(|c| !can.has(**c));
            /// assert_eq!(missing.count(), Capability::ALL.len() - 1);
            /// ```
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name of its field in [`Capabilities`].
            ///
            /// ```
            /// use msgstream_core::transport::Capability;
            /// assert_eq!(Capability::BinaryHeaders.name(), "binary_headers");
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)*
                }
            }
        }

        /// What a transport can do.
        ///
        /// A call that needs a capability that is `false` fails with
        /// [`Unsupported`](super::TransportErrorKind::Unsupported), and a header with
        /// [`InvalidHeader`](super::TransportErrorKind::InvalidHeader): nothing is silently left
        /// undone. `ack_keeps`, `keys` and `persistent` are promises, which no call asks for.
        ///
        /// ```
        /// use msgstream_core::transport::{Capabilities, Capability};
        /// let can = Capabilities::none().with(Capability::Create).with(Capability::SeekTime);
        /// assert!(can.seek_time && !can.delete);
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Capabilities {
            $($(#[$doc])* pub $field: bool,)*
            /// The largest payload that any channel takes, in bytes. `None` if memory is the only
            /// limit.
            ///
            /// It is an upper bound: a broker may limit each channel by itself, and headers may
            /// count. [`ChannelWriter::check`](super::ChannelWriter::check) knows what one takes.
            pub max_payload: Option<usize>,
        }

        impl Capabilities {
            /// Returns every capability, with no limit to a payload.
            ///
            /// ```
            /// use msgstream_core::transport::{Capabilities, Capability};
            /// let can = Capabilities::all().without(Capability::Persistent);
            /// assert!(can.create && !can.persistent);
            /// ```
            #[must_use]
            pub const fn all() -> Self {
                Self { $($field: true,)* max_payload: None }
            }

            /// Returns no capability: channels can be written and read, and that is all.
            ///
            /// ```
            /// use msgstream_core::transport::Capabilities;
            /// assert!(!Capabilities::none().create);
            /// ```
            #[must_use]
            pub const fn none() -> Self {
                Self { $($field: false,)* max_payload: None }
            }

            /// Returns whether a capability is there.
            ///
            /// ```
            /// use msgstream_core::transport::{Capabilities, Capability};
            /// assert!(Capabilities::all().has(Capability::List));
            /// ```
            #[must_use]
            pub const fn has(&self, capability: Capability) -> bool {
                match capability {
                    $(Capability::$variant => self.$field,)*
                }
            }

            const fn set(mut self, capability: Capability, value: bool) -> Self {
                match capability {
                    $(Capability::$variant => self.$field = value,)*
                }
                self
            }
        }
    };
}

capabilities! {
    /// `create` makes channels.
    create Create,
    /// `delete` removes channels.
    delete Delete,
    /// `list` returns the names of the channels.
    list List,
    /// `describe` returns the properties that `create` was called with, in any process.
    properties Properties,
    /// A channel that was deleted and created again is known to be another one. If false, every
    /// channel's incarnation is [`Incarnation::UNKNOWN`](crate::record::Incarnation::UNKNOWN), and
    /// a reader of any other one is refused.
    incarnations Incarnations,
    /// Readers start at, start after and seek to positions.
    seek_position SeekPosition,
    /// Readers start at and seek to wall-clock times.
    seek_time SeekTime,
    /// `subscription` returns durable cursors, `unsubscribe` removes them, and `subscriptions` lists
    /// them.
    subscriptions Subscriptions,
    /// Acknowledging removes nothing: what all subscriptions have passed is still there.
    ack_keeps AckKeeps,
    /// `trim` removes the records before a position.
    trim Trim,
    /// The values of [`Record::extra`](crate::record::Record::extra) may be any bytes. If false,
    /// they are text: UTF-8 without control characters.
    binary_headers BinaryHeaders,
    /// The key of a record, [`Record::key`](crate::record::Record::key), may be any bytes, and stands where
    /// the broker's other programs read keys, if it has such a place. If false, it is a header like any
    /// other.
    keys Keys,
    /// Acknowledged records and cursors survive a restart of the broker.
    persistent Persistent,
}

impl Capabilities {
    /// Adds a capability.
    ///
    /// ```
    /// use msgstream_core::transport::{Capabilities, Capability};
    /// assert!(Capabilities::none().with(Capability::Delete).delete);
    /// ```
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        self.set(capability, true)
    }

    /// Removes a capability.
    ///
    /// ```
    /// use msgstream_core::transport::{Capabilities, Capability};
    /// assert!(!Capabilities::all().without(Capability::Delete).delete);
    /// ```
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        self.set(capability, false)
    }

    /// Sets the largest payload, in bytes.
    ///
    /// ```
    /// use msgstream_core::transport::Capabilities;
    /// assert_eq!(Capabilities::all().with_max_payload(1 << 20).max_payload, Some(1 << 20));
    /// ```
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Returns each capability, and whether it is there.
    ///
    /// ```
    /// use msgstream_core::transport::{Capabilities, Capability};
    /// let can = Capabilities::none().with(Capability::List);
    /// let there = can.iter().filter(|(_, yes)| *yes).map(|(capability, _)| capability);
    /// assert!(there.eq([Capability::List]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (Capability, bool)> {
        Capability::ALL.iter().map(|capability| (*capability, self.has(*capability)))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
