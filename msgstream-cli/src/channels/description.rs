//! What is known of a channel.

use std::collections::BTreeMap;
use std::fmt;

use msgstream::record::Incarnation;
use msgstream::service::OwnerDescription;
use msgstream::transport::ChannelInfo;
use serde::Serialize;

/// A channel, as `channels describe` writes it: positions are strings, as `--from` takes them.
#[derive(Debug, Serialize)]
pub(super) struct Description<'a> {
    channel: &'a str,
    owner: Option<OwnerDescription>,
    first: Option<String>,
    end: String,
    /// Unless the broker doesn't know it exactly.
    records: Option<u64>,
    /// 32 hexadecimal digits, unless the broker doesn't know it.
    incarnation: Option<String>,
    /// Those of the channel's creator: the owner's are above.
    properties: BTreeMap<String, String>,
    /// Unless the broker has no subscriptions.
    subscriptions: Option<Vec<Cursor>>,
}

/// A subscription, and where it stands: `None` if it was never moved, or if that isn't known.
#[derive(Debug, Serialize)]
pub(super) struct Cursor {
    pub(super) name: String,
    pub(super) acked: Option<String>,
}

impl<'a> Description<'a> {
    pub(super) fn of(
        channel: &'a str,
        info: ChannelInfo,
        subscriptions: Option<Vec<Cursor>>,
    ) -> Self {
        let owner = OwnerDescription::from_properties(&info.properties);
        let mut properties = info.properties;
        for name in owner.iter().flat_map(OwnerDescription::to_properties).map(|(name, _)| name) {
            properties.remove(&name);
        }
        Self {
            channel,
            owner,
            first: info.first.map(|first| first.to_string()),
            end: info.end.to_string(),
            records: info.records,
            incarnation: Some(info.incarnation)
                .filter(|known| *known != Incarnation::UNKNOWN)
                .map(|Incarnation(number)| format!("{number:032x}")),
            properties,
            subscriptions,
        }
    }
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.channel)?;
        if let Some(owner) = &self.owner {
            let parts = [&owner.role, &owner.address, &owner.description_text];
            let given: Vec<_> =
                parts.into_iter().filter(|part| !part.is_empty()).cloned().collect();
            write!(f, "\n  owner        {}", given.join(", "))?;
        }
        write!(f, "\n  first        {}", self.first.as_deref().unwrap_or("no record"))?;
        write!(f, "\n  end          {}", self.end)?;
        if let Some(records) = self.records {
            write!(f, "\n  records      {records}")?;
        }
        if let Some(incarnation) = &self.incarnation {
            write!(f, "\n  incarnation  {incarnation}")?;
        }
        for (name, value) in &self.properties {
            write!(f, "\n  property     {name}={value}")?;
        }
        for Cursor { name, acked } in self.subscriptions.iter().flatten() {
            match acked {
                Some(acked) => write!(f, "\n  subscription {name} at {acked}")?,
                None => write!(f, "\n  subscription {name}")?,
            }
        }
        Ok(())
    }
}
