//! Layers: transports, writers and readers that wrap others.
//!
//! A layer implements [`Transport`](crate::transport::Transport): it writes the methods that it
//! changes, and lists with [`delegate!`](crate::delegate) those that it passes on. A method that is
//! neither written nor listed is a compile error, so a layer that must see every write can't forget
//! one.

/// Implements the listed methods of a layer by calling the same methods of what it wraps.
///
/// Use it inside an `impl` of [`Transport`](crate::transport::Transport),
/// [`ChannelWriter`](crate::transport::ChannelWriter),
/// [`ChannelReader`](crate::transport::ChannelReader) or
/// [`Subscription`](crate::transport::Subscription), under `#[async_trait]`. This layer refuses to
/// delete channels:
///
/// ```
/// use std::sync::Arc;
/// use msgstream_core::delegate;
/// use msgstream_core::transport::{Result, Transport, TransportError, TransportErrorKind};
///
/// #[derive(Debug)]
/// struct NoDelete(Arc<dyn Transport>);
///
/// #[async_trait::async_trait]
/// impl Transport for NoDelete {
///     delegate!(self => self.0, Transport {
///         capabilities, create_with, trim, list, describe, writer, reader_with, subscription,
///         unsubscribe, subscriptions, risks, encode_position, decode_position, close,
///     });
///     async fn delete(&self, channel: &str) -> Result<()> {
///         let reason = "this program doesn't delete".to_owned();
///         Err(TransportError::new("delete", TransportErrorKind::Denied { reason }).on(channel))
///     }
/// }
/// ```
///
/// A layer that neither lists nor writes `writer` doesn't compile:
///
/// ```compile_fail,E0046
/// # use std::sync::Arc;
/// # use msgstream_core::{delegate, transport::Transport};
/// # #[derive(Debug)]
/// # struct Audit(Arc<dyn Transport>);
/// #[async_trait::async_trait]
/// impl Transport for Audit {
///     delegate!(self => self.0, Transport {
///         capabilities, create_with, delete, trim, list, describe, reader_with, subscription,
///         unsubscribe, subscriptions, risks, encode_position, decode_position, close,
///     });
/// }
/// ```
#[macro_export]
macro_rules! delegate {
    ($self:ident => $inner:expr, $trait:ident { $($method:ident),+ $(,)? }) => {
        $($crate::__delegate_method!($trait $method, $self, $inner);)+
    };
}

/// A method of [`delegate!`], as `#[async_trait]` would write it.
#[doc(hidden)]
#[macro_export]
macro_rules! __delegate_method {
    (Transport capabilities, $self:ident, $inner:expr) => {
        fn capabilities(&$self) -> $crate::transport::Capabilities {
            #[allow(unused_imports)]
            use $crate::transport::Transport as _;
            $inner.capabilities()
        }
    };
    (Transport create_with, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport create_with, $self, $inner,
            (channel: &'b str, options: $crate::transport::CreateOptions) -> ());
    };
    (Transport delete, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport delete, $self, $inner, (channel: &'b str) -> ());
    };
    (Transport trim, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport trim, $self, $inner,
            (channel: &'b str, before: $crate::record::Position) -> ());
    };
    (Transport list, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport list, $self, $inner,
            (prefix: &'b str) -> ::std::vec::Vec<::std::string::String>);
    };
    (Transport describe, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport describe, $self, $inner,
            (channel: &'b str) -> $crate::transport::ChannelInfo);
    };
    (Transport writer, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport writer, $self, $inner,
            (channel: &'b str) -> ::std::boxed::Box<dyn $crate::transport::ChannelWriter>);
    };
    (Transport reader_with, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport reader_with, $self, $inner,
            (channel: &'b str, options: $crate::transport::ReaderOptions)
                -> ::std::boxed::Box<dyn $crate::transport::ChannelReader>);
    };
    (Transport subscription, $self:ident, $inner:expr) => {
        fn subscription<'a, 'b, 'c, 'async_trait>(
            &'a $self,
            channel: &'b str,
            name: &'c str,
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<
                    Output = $crate::transport::Result<
                        ::std::sync::Arc<dyn $crate::transport::Subscription>,
                    >,
                > + ::std::marker::Send + 'async_trait,
        >>
        where
            'a: 'async_trait,
            'b: 'async_trait,
            'c: 'async_trait,
            Self: 'async_trait,
        {
            #[allow(unused_imports)]
            use $crate::transport::Transport as _;
            $inner.subscription(channel, name)
        }
    };
    (Transport unsubscribe, $self:ident, $inner:expr) => {
        fn unsubscribe<'a, 'b, 'c, 'async_trait>(
            &'a $self,
            channel: &'b str,
            name: &'c str,
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<Output = $crate::transport::Result<()>>
                + ::std::marker::Send + 'async_trait,
        >>
        where
            'a: 'async_trait,
            'b: 'async_trait,
            'c: 'async_trait,
            Self: 'async_trait,
        {
            #[allow(unused_imports)]
            use $crate::transport::Transport as _;
            $inner.unsubscribe(channel, name)
        }
    };
    (Transport subscriptions, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport subscriptions, $self, $inner,
            (channel: &'b str) -> ::std::vec::Vec<::std::string::String>);
    };
    (Transport risks, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport risks, $self, $inner,
            (channel: &'b str) -> ::std::vec::Vec<$crate::transport::Risk>);
    };
    (Transport encode_position, $self:ident, $inner:expr) => {
        fn encode_position(
            &$self,
            position: $crate::record::Position,
        ) -> $crate::transport::Result<::std::vec::Vec<u8>> {
            #[allow(unused_imports)]
            use $crate::transport::Transport as _;
            $inner.encode_position(position)
        }
    };
    (Transport decode_position, $self:ident, $inner:expr) => {
        fn decode_position(
            &$self,
            bytes: &[u8],
        ) -> $crate::transport::Result<$crate::record::Position> {
            #[allow(unused_imports)]
            use $crate::transport::Transport as _;
            $inner.decode_position(bytes)
        }
    };
    (Transport close, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Transport close, $self, $inner, () -> ());
    };
    (ChannelWriter ready, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(mut ChannelWriter ready, $self, $inner, () -> ());
    };
    (ChannelWriter check, $self:ident, $inner:expr) => {
        fn check(&$self, records: &[$crate::record::Record]) -> $crate::transport::Result<()> {
            #[allow(unused_imports)]
            use $crate::transport::ChannelWriter as _;
            $inner.check(records)
        }
    };
    (ChannelWriter submit, $self:ident, $inner:expr) => {
        fn submit(
            &mut $self,
            records: ::std::vec::Vec<$crate::record::Record>,
        ) -> $crate::transport::Receipt {
            #[allow(unused_imports)]
            use $crate::transport::ChannelWriter as _;
            $inner.submit(records)
        }
    };
    (ChannelWriter close, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(mut ChannelWriter close, $self, $inner, () -> ());
    };
    (ChannelReader read, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(mut ChannelReader read, $self, $inner,
            (limit: $crate::transport::Limit) -> $crate::transport::ReadBatch);
    };
    (ChannelReader seek, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(mut ChannelReader seek, $self, $inner,
            (start: $crate::transport::Start) -> ());
    };
    (ChannelReader incarnation, $self:ident, $inner:expr) => {
        fn incarnation(&$self) -> $crate::record::Incarnation {
            #[allow(unused_imports)]
            use $crate::transport::ChannelReader as _;
            $inner.incarnation()
        }
    };
    (Subscription ack, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Subscription ack, $self, $inner,
            (before: $crate::record::Position) -> ());
    };
    (Subscription acked, $self:ident, $inner:expr) => {
        $crate::__delegate_async!(Subscription acked, $self, $inner,
            () -> ::std::option::Option<$crate::record::Position>);
    };
}

/// A method of [`delegate!`] that returns a future.
#[doc(hidden)]
#[macro_export]
macro_rules! __delegate_async {
    ($trait:ident $method:ident, $self:ident, $inner:expr,
        ($name:ident: &'b str $(, $more:ident: $type:ty)*) -> $output:ty) => {
        fn $method<'a, 'b, 'async_trait>(
            &'a $self,
            $name: &'b str
            $(, $more: $type)*
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<Output = $crate::transport::Result<$output>>
                + ::std::marker::Send + 'async_trait,
        >>
        where
            'a: 'async_trait,
            'b: 'async_trait,
            Self: 'async_trait,
        {
            #[allow(unused_imports)]
            use $crate::transport::$trait as _;
            $inner.$method($name $(, $more)*)
        }
    };
    ($trait:ident $method:ident, $self:ident, $inner:expr,
        ($($name:ident: $type:ty),*) -> $output:ty) => {
        fn $method<'a, 'async_trait>(
            &'a $self
            $(, $name: $type)*
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<Output = $crate::transport::Result<$output>>
                + ::std::marker::Send + 'async_trait,
        >>
        where
            'a: 'async_trait,
            Self: 'async_trait,
        {
            #[allow(unused_imports)]
            use $crate::transport::$trait as _;
            $inner.$method($($name),*)
        }
    };
    (mut $trait:ident $method:ident, $self:ident, $inner:expr,
        ($($name:ident: $type:ty),*) -> $output:ty) => {
        fn $method<'a, 'async_trait>(
            &'a mut $self
            $(, $name: $type)*
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<Output = $crate::transport::Result<$output>>
                + ::std::marker::Send + 'async_trait,
        >>
        where
            'a: 'async_trait,
            Self: 'async_trait,
        {
            #[allow(unused_imports)]
            use $crate::transport::$trait as _;
            $inner.$method($($name),*)
        }
    };
}
