//! Channels, and what is in them.

use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::{
    ChannelReader, Limit, Transport, TransportError, TransportExt as _,
};
use msgstream_core::{MsgType, Timestamp};

pub(crate) fn record(number: u64) -> Record {
    Record::new(Meta::new(MsgType::INSERT, Timestamp(number)), number.to_string())
}

pub(crate) async fn create(transport: &dyn Transport, channel: &str) {
    transport.create(channel).await.unwrap();
}

pub(crate) async fn write(transport: &dyn Transport, channel: &str, numbers: std::ops::Range<u64>) {
    let mut writer = transport.writer(channel).await.unwrap();
    let outcome = writer.submit(numbers.map(record).collect()).await;
    assert!(outcome.rest.is_none(), "{outcome:?}");
    writer.close().await.unwrap();
}

/// The times of the records that are left, in their order.
pub(crate) async fn drain(reader: &mut dyn ChannelReader) -> Vec<u64> {
    let mut times = Vec::new();
    loop {
        let batch = reader.read(Limit::default()).await.unwrap();
        times.extend(batch.records.iter().map(|r| r.meta.timestamp.0));
        if batch.caught_up {
            return times;
        }
    }
}

/// The error of a reader whose channel is gone: an answer of the server may be on its way.
pub(crate) async fn failure(reader: &mut dyn ChannelReader) -> TransportError {
    loop {
        match reader.read(Limit::default()).await {
            Ok(batch) => assert!(batch.records.is_empty(), "{batch:?}"),
            Err(error) => return error,
        }
    }
}
