//! Who owns a channel, as its properties say it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const ROLE: &str = "ms-owner-role";
const ADDRESS: &str = "ms-owner-address";
const DESCRIPTION: &str = "ms-owner-description";

/// Describes who owns a channel.
///
/// ```
/// use msgstream_core::service::OwnerDescription;
/// let owner = OwnerDescription { role: "ingest".to_owned(), ..Default::default() };
/// assert!(owner.address.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerDescription {
    /// What the owner does.
    pub role: String,
    /// Where it is reached.
    pub address: String,
    /// Free text.
    pub description_text: String,
}

impl OwnerDescription {
    /// Returns the properties of a channel that has this owner.
    ///
    /// ```
    /// use msgstream_core::service::OwnerDescription;
    /// let owner = OwnerDescription { role: "billing".into(), ..OwnerDescription::default() };
    /// assert_eq!(OwnerDescription::from_properties(&owner.to_properties()), Some(owner));
    /// ```
    #[must_use]
    pub fn to_properties(&self) -> BTreeMap<String, String> {
        [(ROLE, &self.role), (ADDRESS, &self.address), (DESCRIPTION, &self.description_text)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    /// Returns the owner that the properties of a channel name; `None` if they name none.
    ///
    /// ```
    /// use msgstream_core::service::OwnerDescription;
    /// assert_eq!(OwnerDescription::from_properties(&Default::default()), None);
    /// ```
    #[must_use]
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Option<Self> {
        let get = |name| properties.get(name).cloned();
        // A broker may not keep an empty property.
        let some = get(ROLE).or_else(|| get(ADDRESS)).or_else(|| get(DESCRIPTION));
        some.map(|_| Self {
            role: get(ROLE).unwrap_or_default(),
            address: get(ADDRESS).unwrap_or_default(),
            description_text: get(DESCRIPTION).unwrap_or_default(),
        })
    }
}
