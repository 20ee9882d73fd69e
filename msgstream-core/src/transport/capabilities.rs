//! What a transport can do.

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a transport can do. A call that needs what is `false` here is refused with
        /// [`Unsupported`](super::TransportErrorKind::Unsupported), a header with
        /// [`InvalidHeader`](super::TransportErrorKind::InvalidHeader): nothing is silently left
        /// undone. `persistent` is a promise, which no call asks for.
        ///
        /// ```
        /// use msgstream_core::transport::Capabilities;
        /// let can = Capabilities::none().with("create").with("seek_time");
        /// assert!(can.seek_time && !can.delete);
        /// assert_eq!(can.iter().filter(|(_, yes)| *yes).count(), 2);
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Capabilities {
            $($(#[$doc])* pub $name: bool,)*
            /// No channel takes a larger payload, in bytes; `None` where memory is the only limit.
            ///
            /// An upper bound: brokers limit each channel by itself, and headers may count.
            /// [`ChannelWriter::check`](super::ChannelWriter::check) tells what one takes.
            pub max_payload: Option<usize>,
        }

        impl Capabilities {
            /// The names of all capabilities, in the order of the fields.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Everything, with no limit to a payload.
            #[must_use]
            pub const fn all() -> Self {
                Self { $($name: true,)* max_payload: None }
            }

            /// Nothing but writing and reading.
            #[must_use]
            pub const fn none() -> Self {
                Self { $($name: false,)* max_payload: None }
            }

            /// Each capability's name, and whether it is there.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, bool)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }

            fn set(&mut self, name: &str, value: bool) {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => debug_assert!(false, "no capability is called {name}"),
                }
            }
        }
    };
}

capabilities! {
    /// `create` makes channels.
    create,
    /// `delete` removes channels.
    delete,
    /// `list` names the channels.
    list,
    /// Properties given to `create` come back from `describe`, in any process.
    properties,
    /// A deleted and recreated channel is told from the old one. Without it every channel's
    /// incarnation is [`Incarnation::UNKNOWN`](super::Incarnation::UNKNOWN), and a reader on any
    /// other is refused.
    incarnations,
    /// Readers start at, after and seek to positions.
    seek_position,
    /// Readers start at and seek to wall-clock times.
    seek_time,
    /// `subscription` gives durable cursors, and `unsubscribe` removes them.
    subscriptions,
    /// The values of [`Record::extra`](super::Record::extra) may be any bytes. Without it they
    /// are text: UTF-8 without control characters.
    binary_headers,
    /// Acknowledged records and cursors survive a restart of the broker.
    persistent,
}

impl Capabilities {
    /// The same with one more, by name. A name that no capability has changes nothing.
    #[must_use]
    pub fn with(mut self, name: &str) -> Self {
        self.set(name, true);
        self
    }

    /// The same with one less, by name. A name that no capability has changes nothing.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.set(name, false);
        self
    }

    /// The same with an upper bound of the payload, in bytes.
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = Some(bytes);
        self
    }
}
