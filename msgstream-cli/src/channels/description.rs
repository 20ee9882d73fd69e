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
    incarnation: Option<Incarnation>,
    properties: BTreeMap<String, String>,
}

impl<'a> Description<'a> {
    pub(super) fn of(channel: &'a str, info: ChannelInfo) -> Self {
        Self {
            channel,
            owner: OwnerDescription::from_properties(&info.properties),
            first: info.first.map(|first| first.to_string()),
            end: info.end.to_string(),
            incarnation: Some(info.incarnation).filter(|known| *known != Incarnation::UNKNOWN),
            properties: info.properties,
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
        if let Some(incarnation) = self.incarnation {
            write!(f, "\n  incarnation  {incarnation}")?;
        }
        self.properties
            .iter()
            .try_for_each(|(name, value)| write!(f, "\n  property     {name}={value}"))
    }
}
