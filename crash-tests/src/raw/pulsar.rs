//! By the crate `pulsar`.

use futures::TryStreamExt;
use msgstream::record::Position;
use pulsar::consumer::InitialPosition;
use pulsar::proto::MessageIdData;
use pulsar::{ConsumerOptions, Pulsar, TokioExecutor};
use url::Url;

use super::{Failure, Records};
use crate::log::Log;

/// The records of each channel.
pub(super) async fn read(url: &str, logs: &[Log]) -> Result<Vec<Records>, Failure> {
    let mut broker = Url::parse(&with_one_host(url))?;
    let namespace = broker.path().trim_matches('/').to_owned();
    broker.set_path("");
    broker.set_query(None);
    let client = Pulsar::builder(broker.as_str(), TokioExecutor).build().await?;
    let mut channels = Vec::new();
    for log in logs {
        let topic = format!("persistent://{namespace}/{}", log.channel);
        channels.push(records_of(&client, topic).await?);
    }
    Ok(channels)
}

/// Returns the URL with the first of several hosts alone, which knows the others.
fn with_one_host(url: &str) -> String {
    let Some((first, rest)) = url.split_once(',') else { return url.to_owned() };
    format!("{first}{}", rest.find('/').map_or("", |path| &rest[path..]))
}

async fn records_of(client: &Pulsar<TokioExecutor>, topic: String) -> Result<Records, Failure> {
    let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
    let reader = client.reader().with_topic(topic).with_options(options);
    let mut reader = reader.into_reader::<Vec<u8>>().await?;
    let last = reader.get_last_message_id().await?;
    let mut records = Records::new();
    // Of an empty topic it is no entry.
    while last.entry_id != u64::MAX && records.last().is_none_or(|(at, _)| *at < position(&last)) {
        let message = reader.try_next().await?.ok_or("the plain client ended")?;
        records.push((position(message.message_id()), message.payload.data.into()));
    }
    Ok(records)
}

/// Positions count a batch's messages from 1, and have 0 for a message that is no batch.
fn position(id: &MessageIdData) -> Position {
    let third = u64::try_from(id.batch_index.unwrap_or(-1) + 1).unwrap_or_default();
    Position::from_words([id.ledger_id, id.entry_id, third])
}
