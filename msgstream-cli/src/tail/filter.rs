//! Which messages are shown.

use std::str::FromStr;

use msgstream::MsgType;
use msgstream::record::Record;

use super::line::names;
use crate::error::did_you_mean;

/// Conditions on messages: one of the types, if there are any, and one of the virtual channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    types: Vec<MsgType>,
    vchannels: Vec<String>,
}

impl Filter {
    /// Returns whether a record is shown.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let vchannel = record.meta.vchannel.as_deref().unwrap_or_default();
        (self.types.is_empty() || self.types.contains(&record.meta.msg_type))
            && (self.vchannels.is_empty() || self.vchannels.iter().any(|name| name == vchannel))
    }
}

impl FromStr for Filter {
    type Err = String;

    /// Reads `type=NAME` and `vchannel=NAME`, with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let names = names();
        let mut filter = Self::default();
        for condition in text.split(',') {
            match condition.split_once('=') {
                Some(("type", name)) => {
                    let known = names.parse(name);
                    let known = known.ok_or_else(|| {
                        let all: Vec<_> = names.iter().map(|(_, name)| name).collect();
                        let (meant, all) = (did_you_mean(name, &all), all.join(", "));
                        format!("there is no type `{name}`{meant}: the types with names are {all}; of any other write the number")
                    })?;
                    filter.types.push(known);
                }
                Some(("vchannel", name)) => filter.vchannels.push(name.to_owned()),
                _ => {
                    return Err(format!("`{condition}` is neither type=NAME nor vchannel=NAME"));
                }
            }
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use msgstream::Timestamp;
    use msgstream::record::Meta;

    use super::*;

    #[test]
    fn one_of_the_types_and_one_of_the_virtual_channels_must_fit() {
        let filter: Filter = "type=Insert,vchannel=v,type=70100".parse().unwrap();
        let takes = |msg_type, vchannel: Option<&str>| {
            let mut meta = Meta::new(msg_type, Timestamp(1));
            meta.vchannel = vchannel.map(Into::into);
            filter.takes(&Record::new(meta, ""))
        };
        assert!(takes(MsgType::INSERT, Some("v")) && takes(MsgType(70_100), Some("v")));
        assert!(!takes(MsgType::DELETE, Some("v")));
        assert!(!takes(MsgType::INSERT, Some("w")) && !takes(MsgType::INSERT, None));
        for wrong in ["", "type", "type=Nothing", "channel=a", "type=Row,"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }
}
