//! What streams are created with.

use std::collections::BTreeMap;
use std::time::Duration;

use msgstream_core::registry::{ConnectError, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::UrlOptions;

/// Where the server keeps a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Storage {
    #[default]
    File,
    Memory,
}

/// What a full stream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Discard {
    /// It drops its oldest records.
    #[default]
    Old,
    /// It refuses new ones.
    New,
}

/// How the server compresses a stream's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    None,
    S2,
}

/// On which servers of several a stream may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Placement {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

/// The options for streams that are created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) storage: Storage,
    replicas: usize,
    /// Of each channel; `None` for no limit.
    max_bytes: Option<i64>,
    max_age: Duration,
    discard: Discard,
    compression: Compression,
    duplicate_window: Option<Duration>,
    placement: Placement,
}

impl Created {
    pub(crate) fn read(url: &Url, options: &UrlOptions) -> Result<Self, ConnectError> {
        if !(1..=5).contains(&options.replicas) {
            return Err(ConnectError::option(url, "replicas", "it must be from 1 to 5"));
        }
        let max_bytes = match options.max_bytes.map(i64::try_from) {
            None => None,
            Some(Ok(bytes)) if bytes > 0 => Some(bytes),
            Some(_) => {
                let reason = format!("it must be from 1 to {}", i64::MAX);
                return Err(ConnectError::option(url, "max_bytes", reason));
            }
        };
        if options.duplicate_window_ms == Some(0) {
            let reason = "it must be greater than 0: leave it out for the server's default";
            return Err(ConnectError::option(url, "duplicate_window_ms", reason));
        }
        let tags = options.tags.iter().flat_map(|tags| tags.split(',')).map(str::to_owned);
        let tags: Vec<_> = tags.collect();
        for (name, values) in
            [("tags", &tags), ("cluster", &Vec::from_iter(options.cluster.clone()))]
        {
            if values.iter().any(String::is_empty) {
                return Err(ConnectError::option(url, name, "a name is missing"));
            }
        }
        Ok(Self {
            storage: options.storage,
            replicas: options.replicas,
            max_bytes,
            max_age: Duration::from_millis(options.max_age_ms),
            discard: options.discard,
            compression: options.compression,
            duplicate_window: options.duplicate_window_ms.map(Duration::from_millis),
            placement: Placement { cluster: options.cluster.clone(), tags },
        })
    }

    /// Returns the configuration of a channel's stream.
    pub(crate) fn of_channel(&self, stream: &str, properties: &BTreeMap<String, String>) -> Value {
        let mut config = self.of_any(stream, stream);
        config["discard"] = json!(self.discard);
        config["max_bytes"] = json!(self.max_bytes.unwrap_or(-1));
        config["max_age"] = json!(nanoseconds(self.max_age));
        config["metadata"] = json!(properties);
        if let Some(window) = self.duplicate_window {
            config["duplicate_window"] = json!(nanoseconds(window));
        }
        config
    }

    /// Returns the configuration of the stream for cursors, which keeps the last one of each subject.
    pub(crate) fn of_cursors(&self, stream: &str) -> Value {
        let mut config = self.of_any(stream, &format!("{stream}.>"));
        config["description"] =
            json!("cursors of msgstream's subscriptions: CHANNEL.INCARNATION.NAME");
        config["max_msgs_per_subject"] = json!(1);
        config
    }

    fn of_any(&self, stream: &str, subject: &str) -> Value {
        let mut config = json!({
            "name": stream,
            "subjects": [subject],
            "retention": "limits",
            "storage": self.storage,
            "num_replicas": self.replicas,
            "compression": self.compression,
        });
        if self.placement != Placement::default() {
            config["placement"] = json!(self.placement);
        }
        config
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::NatsConfig;

    fn created(url: &str) -> Created {
        NatsConfig::from_url(&Url::parse(url).unwrap()).unwrap().options.created
    }

    #[test]
    fn the_server_is_told_what_the_options_say() {
        let created = created(
            "nats://h?cluster=east&tags=ssd,quiet&duplicate_window_ms=5&compression=s2&replicas=3",
        );
        let config = created.of_channel("orders", &BTreeMap::new());
        assert_eq!(config["placement"], json!({ "cluster": "east", "tags": ["ssd", "quiet"] }));
        assert_eq!(
            (&config["duplicate_window"], &config["compression"], &config["num_replicas"]),
            (&json!(5_000_000), &json!("s2"), &json!(3))
        );
        assert_eq!(created.of_cursors("cursors")["placement"], config["placement"]);
    }

    #[test]
    fn what_no_option_names_is_left_to_the_server() {
        let config = created("nats://h").of_channel("orders", &BTreeMap::new());
        assert_eq!((config.get("placement"), config.get("duplicate_window")), (None, None));
    }
}
