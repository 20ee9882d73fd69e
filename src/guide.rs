//! The examples of the guide run as tests.

macro_rules! page {
    ($name:ident, $file:literal) => {
        #[doc = include_str!($file)]
        struct $name;
    };
}

page!(FirstStream, "../docs/guide/src/first-stream.md");
page!(Ticks, "../docs/guide/src/ticks.md");
page!(SilentChannels, "../docs/guide/src/silent-channels.md");
page!(WithoutTicks, "../docs/guide/src/without-ticks.md");
#[cfg(feature = "virtual")]
page!(Sharding, "../docs/guide/src/sharding.md");
page!(ExactlyOnce, "../docs/guide/src/exactly-once.md");
page!(Messages, "../docs/guide/src/messages.md");
page!(OwnTransport, "../docs/guide/src/transport.md");
page!(Backends, "../docs/guide/src/backends.md");
page!(HighAvailability, "../docs/guide/src/high-availability.md");
#[cfg(feature = "layers")]
page!(Testing, "../docs/guide/src/testing.md");
page!(FromMilvus, "../docs/guide/src/from-milvus.md");
